// The structures of VHDX that a reader must check, and logs that wait for replay.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crc32cWithField } from '../../../../agent/disk/vhdx/crc32c.ts';
import { openDisk } from '../../../../agent/disk/openDisk.ts';
import { SeededRandom } from '../../../fuzz/random.ts';
import { applyWrites, expectDisk, randomWrites } from '../../../support/images/diskModel.ts';
import {
  addPendingLog,
  buildVhdx,
  guidBytes,
  plainCrc32c,
  sealVhdx,
  vhdxLayout,
  type LogEntryPlan,
  type VhdxOptions,
} from '../../../support/images/vhdxWriter.ts';

const mib = 1024 * 1024;
const seed = 20_261_125;
const dataWriteGuid = '11111111-0000-4000-8000-000000000000';
const unknownGuid = 'eeeeeeee-1234-4000-8000-000000000000';
const size = 8 * mib;
const { headersAt, regionsAt, logAt, tableAt, metadataAt } = vhdxLayout;

let folder = '';
const at = (name: string): string => join(folder, name);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lifeboat-vhdx-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const random = new SeededRandom(seed);
const writes = randomWrites(random, size, { count: 40 });
const disk = applyWrites(Buffer.alloc(size), writes);
const build = (options: Partial<VhdxOptions> = {}): Buffer =>
  buildVhdx({ sizeBytes: size, dataWriteGuid, writes, ...options });

async function expectReads(image: Buffer, bytes: Buffer = disk): Promise<void> {
  await writeFile(at('disk.vhdx'), image);
  await using reader = await openDisk(at('disk.vhdx'));
  await expectDisk(reader, bytes, random);
}

async function expectRefused(image: Buffer, code: string, reason: string): Promise<void> {
  await writeFile(at('disk.vhdx'), image);
  const error: unknown = await openDisk(at('disk.vhdx')).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code });
  expect(String(error)).toContain(reason);
}

/** Changes a structure and makes its checksum right again. */
function changeSealed(
  image: Buffer,
  offset: number,
  length: number,
  change: (bytes: Buffer) => void,
): Buffer {
  const structure = image.subarray(offset, offset + length);
  change(structure);
  sealVhdx(structure);
  return image;
}
const changeHeaders = (image: Buffer, change: (header: Buffer, index: number) => void): Buffer => {
  headersAt.forEach((offset, index) => changeSealed(image, offset, 4096, (header) => change(header, index)));
  return image;
};
const changeRegions = (image: Buffer, change: (table: Buffer) => void): Buffer => {
  for (const offset of regionsAt) changeSealed(image, offset, 64 * 1024, change);
  return image;
};

it('CRC-32C is that of the standard check, and of a plain reader for any length', () => {
  const check = Buffer.from('123456789');
  expect(plainCrc32c(check)).toBe(0xe3069283);
  for (const length of [4, 5, 11, 12, 13, 64, 4096, 4099]) {
    const bytes = random.bytes(length);
    for (const fieldAt of [0, Math.min(4, length - 4), length - 4]) {
      const zeroed = Buffer.from(bytes).fill(0, fieldAt, fieldAt + 4);
      expect(crc32cWithField(bytes, fieldAt)).toBe(plainCrc32c(zeroed));
    }
  }
});

describe('a VHDX', () => {
  it('is read by the newer header, and by the other one when that is torn', async () => {
    const newer = changeHeaders(build(), (header, index) =>
      header.writeBigUInt64LE(index === 0 ? 9n : 3n, 8),
    );
    await expectReads(newer);
    for (const offset of headersAt) await expectReads(build().fill(0xee, offset, offset + 100));
    await expectReads(build().fill(0xee, regionsAt[0], regionsAt[0] + 100));
  });

  it('may have unknown regions and items that are not required, and not others', async () => {
    await expectReads(build({ extraRegion: { guid: unknownGuid, isRequired: false } }));
    await expectReads(build({ extraItem: { guid: unknownGuid, isRequired: false } }));
    const region = build({ extraRegion: { guid: unknownGuid, isRequired: true } });
    await expectRefused(region, 'DiskImageUnsupported', `region ${unknownGuid}`);
    const item = build({ extraItem: { guid: unknownGuid, isRequired: true } });
    await expectRefused(item, 'DiskImageUnsupported', `item ${unknownGuid}`);
  });

  const table = (change: (table: Buffer) => void, options?: Partial<VhdxOptions>): Buffer => {
    const image = build(options);
    change(image.subarray(tableAt));
    return image;
  };
  const parent = { linkage: dataWriteGuid, paths: { relative_path: 'none.vhdx' } };
  const ratio = 2 ** 11;

  it.each<[string, () => Buffer, string, string]>([
    ['both headers', () => build().fill(1, headersAt[0], headersAt[1] + 9), 'DiskImageCorrupt', 'headers'],
    [
      'headers that contradict',
      () =>
        changeHeaders(build(), (header, index) => {
          header.writeBigUInt64LE(5n, 8);
          header.writeUInt8(index, 100);
        }),
      'DiskImageCorrupt',
      'same sequence number',
    ],
    [
      'another version',
      () => changeHeaders(build(), (header) => header.writeUInt16LE(2, 66)),
      'DiskImageUnsupported',
      'version 2',
    ],
    [
      'both region tables',
      () => build().fill(1, regionsAt[0], regionsAt[1] + 9),
      'DiskImageCorrupt',
      'region tables',
    ],
    [
      'regions that overlap',
      () => changeRegions(build(), (regions) => regions.writeBigUInt64LE(BigInt(tableAt), 48 + 16)),
      'DiskImageCorrupt',
      'overlap',
    ],
    [
      'a region outside the file',
      () => changeRegions(build(), (regions) => regions.writeBigUInt64LE(2n ** 62n, 32)),
      'DiskImageCorrupt',
      'inside the file',
    ],
    [
      'no metadata region',
      () => changeRegions(build(), (regions) => regions.writeUInt32LE(1, 8)),
      'DiskImageCorrupt',
      'no region',
    ],
    [
      'too many regions',
      () => changeRegions(build(), (regions) => regions.writeUInt32LE(4_000_000, 8)),
      'DiskImageCorrupt',
      'entries',
    ],
    [
      'the metadata signature',
      () => build().fill(0, metadataAt, metadataAt + 8),
      'DiskImageCorrupt',
      'signature',
    ],
    [
      'odd blocks',
      () => {
        const image = build();
        image.writeUInt32LE(3 * mib, metadataAt + 65_536);
        return image;
      },
      'DiskImageCorrupt',
      'blocks of',
    ],
    [
      'an odd size',
      () => {
        const image = build();
        image.writeBigUInt64LE(1001n, metadataAt + 65_544);
        return image;
      },
      'DiskImageCorrupt',
      '1001 bytes',
    ],
    [
      'a size that the table is too small for',
      () => {
        const image = build();
        image.writeBigUInt64LE(2n ** 45n, metadataAt + 65_544);
        return image;
      },
      'DiskImageCorrupt',
      'entries',
    ],
    [
      'a block state that there is not',
      () => table((entries) => entries.writeUInt8(5, 0)),
      'DiskImageCorrupt',
      'state 5',
    ],
    [
      'partial blocks without a parent',
      () => table((entries) => entries.writeUInt8((entries[0] ?? 0) | 7, 0)),
      'DiskImageCorrupt',
      'state 7',
    ],
    [
      'a block outside the file',
      () => table((entries) => entries.writeUInt32LE(1, 4)),
      'DiskImageCorrupt',
      'outside the file',
    ],
    [
      'two blocks in one place',
      () => table((entries) => entries.copyWithin(0, 8, 16)),
      'DiskImageCorrupt',
      'lies over',
    ],
    [
      'a block over the table',
      () => table((entries) => entries.writeBigUInt64LE((3n << 20n) | 6n, 0)),
      'DiskImageCorrupt',
      'lies over',
    ],
    [
      'a differencing disk without the bitmap that it needs',
      () => table((entries) => entries.writeBigUInt64LE(0n, ratio * 8), { parent, blockSizeBytes: 2 * mib }),
      'DiskImageCorrupt',
      'needed',
    ],
    ['a truncated file', () => build().subarray(0, 5 * mib), 'DiskImageCorrupt', 'outside the file'],
    ['a file of a few bytes', () => Buffer.from('vhdxfile'), 'DiskImageCorrupt', 'too short'],
  ])('is refused for %s', async (_, make, code, reason) => {
    await expectRefused(make(), code, reason === 'needed' ? 'need it' : reason);
  });
});

/**
 * A stale image and the log that brings it to `image`: some 4 KiB pages of the block table and of the data are other
 * bytes, and the log has them right.
 */
function withPendingLog(
  image: Buffer,
  options: { pages: readonly number[]; entries: number; startAt?: number; zeroAt?: number },
): Buffer {
  const stale = Buffer.from(image);
  const plans: { writes: LogEntryPlan['writes'][number][] }[] = Array.from(
    { length: options.entries },
    () => ({
      writes: [],
    }),
  );
  options.pages.forEach((page, index) => {
    const plan = plans[index % plans.length]!;
    // An older entry writes something else first: the newest must win.
    if (index % plans.length > 0) plans[0]!.writes.push({ offset: page, data: Buffer.alloc(4096, 0xdd) });
    plan.writes.push({ offset: page, data: image.subarray(page, page + 4096) });
    stale.fill(0xee, page, page + 4096);
  });
  if (options.zeroAt !== undefined) {
    plans.at(-1)!.writes.push({ offset: options.zeroAt, zeroBytes: 8192 });
    stale.fill(0xab, options.zeroAt, options.zeroAt + 8192);
  }
  addPendingLog(stale, plans, {
    dataWriteGuid,
    ...(options.startAt === undefined ? {} : { startAt: options.startAt }),
  });
  return stale;
}

describe('a pending log', () => {
  const firstBlock = tableAt + mib;
  const pages = [
    tableAt,
    metadataAt,
    metadataAt + 65_536,
    firstBlock,
    firstBlock + 40_960,
    firstBlock + 3 * mib,
  ];

  it.each([
    ['one entry', { entries: 1 }],
    ['several entries', { entries: 4 }],
    ['an entry that goes on at the beginning of the log', { entries: 1, startAt: mib - 8192 }],
    ['a sequence that goes on at the beginning of the log', { entries: 5, startAt: mib - 4 * 8192 }],
  ])('is replayed in memory: %s', async (_, options) => {
    await expectReads(withPendingLog(build(), { pages, ...options }));
  });

  it('may clear parts of the file', async () => {
    const image = build();
    // In the table: entries of blocks that are absent anyway.
    await expectReads(withPendingLog(image, { pages, entries: 2, zeroAt: tableAt + 8192 }));
  });

  it('of which a later entry is torn ends before it', async () => {
    const image = withPendingLog(build(), { pages, entries: 3 });
    // A fourth entry that never got whole: its signature and id are there, its data is not.
    const length = image.readUInt32LE(logAt + 8);
    let next = logAt;
    for (let entry = 0; entry < 3; entry++) next += image.readUInt32LE(next + 8);
    image.copy(image, next, logAt, logAt + length - 4096);
    await expectReads(image);
  });

  it('with older sequences of the same log uses the newest', async () => {
    const image = build();
    const stale = withPendingLog(image, { pages, entries: 2, startAt: 512 * 1024 });
    const old = Buffer.from(image);
    addPendingLog(old, [{ writes: [{ offset: tableAt, data: Buffer.alloc(4096, 0x11) }] }], {
      dataWriteGuid,
      firstSequence: 3n,
    });
    old.copy(stale, logAt, logAt, logAt + 8192);
    await expectReads(stale);
  });

  it('without any entry of its own is empty', async () => {
    const image = build();
    addPendingLog(image, [], { dataWriteGuid });
    await expectReads(image);
    const foreign = build();
    const plan = { writes: [{ offset: tableAt, data: Buffer.alloc(4096, 0x11) }] };
    addPendingLog(foreign, [plan], { dataWriteGuid, logGuid: unknownGuid });
    changeHeaders(foreign, (header) => guidBytes('99999999-1234-4000-8000-000000000000').copy(header, 48));
    await expectReads(foreign);
  });

  it.each<[string, (image: Buffer) => void, string, string]>([
    [
      'whose only entry is damaged',
      (image) => image.writeUInt8(1, logAt + 5000),
      'DiskImageCorrupt',
      'its log has entries',
    ],
    [
      'in a file that lost its end',
      (image) =>
        changeSealed(image, logAt, image.readUInt32LE(logAt + 8), (entry) =>
          entry.writeBigUInt64LE(2n ** 40n, 48),
        ),
      'DiskImageCorrupt',
      'its log says',
    ],
    [
      'that writes past the end',
      (image) =>
        changeSealed(image, logAt, image.readUInt32LE(logAt + 8), (entry) =>
          entry.writeBigUInt64LE(2n ** 40n, 64 + 16),
        ),
      'DiskImageCorrupt',
      'past the end',
    ],
    [
      'outside the file',
      (image) => changeHeaders(image, (header) => header.writeBigUInt64LE(2n ** 50n, 72)),
      'DiskImageCorrupt',
      'its log [',
    ],
    [
      'of another version',
      (image) => changeHeaders(image, (header) => header.writeUInt16LE(1, 64)),
      'DiskImageUnsupported',
      'log of version 1',
    ],
  ])('%s is refused', async (_, change, code, reason) => {
    const image = withPendingLog(build(), { pages, entries: 1 });
    change(image);
    await expectRefused(image, code, reason);
  });

  it('that demands to be checked for ever is refused', async () => {
    const image = build();
    addPendingLog(image, [], { dataWriteGuid });
    const plan: LogEntryPlan = { writes: [{ offset: tableAt, data: Buffer.alloc(4096, 1) }] };
    const made = build();
    addPendingLog(made, [plan], { dataWriteGuid });
    const entry = Buffer.from(made.subarray(logAt, logAt + 64));
    entry.writeUInt32LE(mib, 8);
    for (let offset = 0; offset < mib; offset += 4096) entry.copy(image, logAt + offset);
    await expectRefused(image, 'DiskImageCorrupt', 'overlap');
  });

  it('that makes the file longer adds zeros', async () => {
    const image = build();
    const table = Buffer.from(image.subarray(tableAt, tableAt + 4096));
    // Block 3 moves to a place past the end of the file, of which only one page is written.
    const newAt = image.length;
    table.writeBigUInt64LE((BigInt(newAt / mib) << 20n) | 6n, 3 * 8);
    const page = Buffer.alloc(4096, 0x5a);
    const longer = Buffer.alloc(newAt + 2 * mib);
    image.copy(longer);
    addPendingLog(
      longer,
      [
        {
          writes: [
            { offset: tableAt, data: table },
            { offset: newAt + 4096, data: page },
          ],
        },
      ],
      {
        dataWriteGuid,
      },
    );
    const cut = longer.subarray(0, newAt);
    changeSealed(cut, logAt, cut.readUInt32LE(logAt + 8), (entry) =>
      entry.writeBigUInt64LE(BigInt(newAt), 48),
    );
    const expected = Buffer.from(disk).fill(0, 6 * mib, 8 * mib);
    page.copy(expected, 6 * mib + 4096);
    await expectReads(cut, expected);
  });
});
