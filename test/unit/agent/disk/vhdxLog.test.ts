// Logs that wait for replay: the disk reads as after a repair, and the file stays as it is.
import { describe, it } from 'vitest';
import {
  addPendingLog,
  guidBytes,
  vhdxLayout,
  type LogEntryPlan,
} from '../../../support/images/vhdxWriter.ts';
import {
  build,
  changeHeaders,
  changeSealed,
  dataWriteGuid,
  disk,
  expectReads,
  expectRefused,
  mib,
  unknownGuid,
} from './vhdxTestBed.ts';

const { logAt, metadataAt, tableAt } = vhdxLayout;

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
