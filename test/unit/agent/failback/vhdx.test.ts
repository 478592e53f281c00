// Writing VHDX files in place and as new disks: any disk, any writes at the same time, against plain bytes and against QEMU.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ItemStateFile } from '../../../../agent/daemon/itemState.ts';
import { requireKnown } from '../../../../agent/daemon/knownDisks.ts';
import { openDisk } from '../../../../agent/disk/openDisk.ts';
import { openForWriting, openNewDisk } from '../../../../agent/failback/sourceDiskWriter.ts';
import { planSwap, swapIn } from '../../../../agent/failback/swap.ts';
import { SeededRandom } from '../../../fuzz/random.ts';
import { applyWrites, expectDisk, randomWrites } from '../../../support/images/diskModel.ts';
import {
  addPendingLog,
  buildVhdx,
  vhdxLayout,
  type VhdxOptions,
} from '../../../support/images/vhdxWriter.ts';
import { findMissingTools, titleOf } from '../../../support/tools.ts';

const mib = 1024 * 1024;
const dataWriteGuid = '11111111-0000-4000-8000-000000000000';
const { tableAt } = vhdxLayout;
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'failback-vhdx-'));
});
afterEach(() => rm(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);
const place = (name: string) => ({ disk: 'os', location: at(name) });

const noQemu = findMissingTools({ 'qemu-img': 'qemu-utils' });

/** Holds the container against QEMU; its VHDX driver knows sectors of 512 bytes alone. */
async function expectQemu(name: string, disk: Buffer): Promise<void> {
  if (noQemu !== undefined) return;
  execFileSync('qemu-img', ['check', '-q', '-f', 'vhdx', at(name)]);
  await writeFile(at('expected.raw'), disk);
  execFileSync('qemu-img', ['compare', '-q', '-f', 'vhdx', '-F', 'raw', at(name), at('expected.raw')]);
}

interface Plan {
  blockMiB: number;
  sizeSectors: number;
  sectorBytes: number;
  isFixed: boolean;
  hasLog: boolean;
  states: number[];
  seed: number;
}

const plans: fc.Arbitrary<Plan> = fc.record({
  blockMiB: fc.constantFrom(1, 2, 4, 8, 32),
  sizeSectors: fc.integer({ min: 64, max: 3_000 }),
  sectorBytes: fc.constantFrom(512, 512, 4096),
  isFixed: fc.boolean(),
  hasLog: fc.boolean(),
  states: fc.array(fc.nat(3), { maxLength: 12 }),
  seed: fc.nat(2 ** 31),
});

/** An image, the bytes of its disk, and what shall be written: places that do not overlap, zeros among them. */
function make({ blockMiB, sizeSectors, sectorBytes, isFixed, hasLog, states, seed }: Plan) {
  const random = new SeededRandom(seed);
  const sizeBytes = sizeSectors * 8 * 512;
  const writes = randomWrites(random, sizeBytes, { count: 4, sectorBytes });
  const image = buildVhdx({
    ...{ sizeBytes, dataWriteGuid, writes, isFixed, blockSizeBytes: blockMiB * mib },
    ...{ logicalSectorBytes: sectorBytes, states: Object.fromEntries(states.entries()) },
  });
  const disk = applyWrites(Buffer.alloc(sizeBytes), writes);
  if (hasLog) {
    const pages = [tableAt, image.length - 4096];
    const plan = pages.map((offset) => ({
      offset,
      data: Buffer.from(image.subarray(offset, offset + 4096)),
    }));
    for (const { offset } of plan) image.fill(0xee, offset, offset + 4096);
    addPendingLog(image, [{ writes: plan.slice(0, 1) }, { writes: plan.slice(1) }], { dataWriteGuid });
  }
  const slots = Math.min(12, sizeSectors >> 3);
  const slotBytes = Math.floor(sizeBytes / slots / 4096) * 4096;
  const changes = Array.from({ length: slots }, (_, slot) => {
    const [change] = randomWrites(random, slotBytes, {
      count: 1,
      sectorBytes,
      maxSectors: slotBytes / sectorBytes,
    });
    if (random.once(3)) change!.data.fill(0);
    return { offset: slot * slotBytes + change!.offset, data: change!.data };
  });
  return { image, disk, changes, random };
}

describe('a failback writes a VHDX', () => {
  it('of any kind, as plain bytes would be written', async () => {
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const { image, disk, changes, random } = make(plan);
        await writeFile(at('disk.vhdx'), image);
        const expected = Buffer.from(disk);
        {
          await using target = await openForWriting(place('disk.vhdx'), disk.length);
          await Promise.all(
            changes.map(async ({ offset, data }) => {
              await target.write(offset, data);
              expect(Buffer.compare(await target.reader.read(offset, data.length), data)).toBe(0);
            }),
          );
          applyWrites(expected, changes);
          await expectDisk(target.reader, expected, random);
          await target.sync();
        }
        await using reader = await openDisk(at('disk.vhdx'));
        await expectDisk(reader, expected, random);
        if (plan.sectorBytes === 512) await expectQemu('disk.vhdx', expected);
        // Blocks that were there are where they were.
        const table = (bytes: Buffer) => bytes.subarray(tableAt, tableAt + 400);
        const [old, now] = [
          table(plan.hasLog ? make({ ...plan, hasLog: false }).image : image),
          table(await readFile(at('disk.vhdx'))),
        ];
        for (let entry = 0; entry < 400; entry += 8)
          if ((old[entry]! & 7) === 6)
            expect(now.subarray(entry, entry + 8).equals(old.subarray(entry, entry + 8))).toBe(true);
      }),
      { numRuns: 20 },
    );
  }, 120_000);

  const small: VhdxOptions = {
    ...{ sizeBytes: 6 * mib, blockSizeBytes: mib, dataWriteGuid },
    writes: [{ offset: mib, data: Buffer.alloc(4096, 1) }],
  };

  it('changes nothing as long as nothing is written, nor for zeros where there are none', async () => {
    const image = buildVhdx(small);
    await writeFile(at('disk.vhdx'), image);
    {
      await using target = await openForWriting(place('disk.vhdx'), 6 * mib);
      await target.reader.read(0, 6 * mib);
      await target.write(3 * mib, Buffer.alloc(2 * mib));
      await target.sync();
    }
    expect((await readFile(at('disk.vhdx'))).equals(image)).toBe(true);
  });

  it('grows by the blocks that it needs, once each, and leaves the rest as it is', async () => {
    const image = buildVhdx(small);
    await writeFile(at('disk.vhdx'), image);
    {
      await using target = await openForWriting(place('disk.vhdx'), 6 * mib);
      const pieces = Array.from({ length: 64 }, (_, piece) => 4 * mib + piece * 16 * 1024);
      await Promise.all(pieces.map((offset) => target.write(offset, Buffer.alloc(512, 9))));
      await target.sync();
    }
    const written = await readFile(at('disk.vhdx'));
    expect(written.length).toBe(image.length + mib);
    const changed = [...Array(image.length / 4096).keys()]
      .map((page) => page * 4096)
      .filter((page) => !written.subarray(page, page + 4096).equals(image.subarray(page, page + 4096)));
    expect(changed).toEqual([...vhdxLayout.headersAt, tableAt]);
  });

  it('refuses parts of sectors, differencing disks, and other disks', async () => {
    await writeFile(at('large.vhdx'), buildVhdx({ ...small, logicalSectorBytes: 4096 }));
    {
      await using target = await openForWriting(place('large.vhdx'), 6 * mib);
      await expect(target.write(512, Buffer.alloc(4096, 1))).rejects.toThrow(RangeError);
      await expect(target.write(0, Buffer.alloc(512, 1))).rejects.toThrow(RangeError);
      await expect(target.write(6 * mib, Buffer.alloc(4096, 1))).rejects.toThrow(RangeError);
    }
    await writeFile(at('base.vhdx'), buildVhdx(small));
    const parent = { linkage: dataWriteGuid, paths: { relative_path: 'base.vhdx' } };
    const child = buildVhdx({ ...small, dataWriteGuid: '2'.repeat(8) + dataWriteGuid.slice(8), parent });
    await writeFile(at('child.avhdx'), child);
    for (const open of [openForWriting, openNewDisk])
      await expect(open(place('child.avhdx'), 6 * mib)).rejects.toMatchObject({
        ...{ code: 'SourceDiskUnknown' },
        message: expect.stringMatching(/is vhdx differencing, which.*Convert-VHD.*qemu-img/) as string,
      });
    expect((await readFile(at('child.avhdx'))).equals(child)).toBe(true);
    await expect(openForWriting(place('base.vhdx'), 7 * mib)).rejects.toMatchObject({
      code: 'SourceDiskUnknown',
    });
    // Its child sees that it is another disk than the one it was made on.
    {
      await using target = await openForWriting(place('base.vhdx'), 6 * mib);
      await target.write(0, Buffer.alloc(512, 3));
    }
    await expect(openDisk(at('child.avhdx'))).rejects.toMatchObject({
      code: 'BrokenVhdChain',
      fault: 'id mismatch',
    });
  });

  it('does not replay a log that would write over headers or itself', async () => {
    for (const offset of [64 * 1024, vhdxLayout.logAt + mib - 4096]) {
      const image = buildVhdx(small);
      addPendingLog(image, [{ writes: [{ offset, data: Buffer.alloc(4096, 7) }] }], { dataWriteGuid });
      await writeFile(at('disk.vhdx'), image);
      await expect(openForWriting(place('disk.vhdx'), 6 * mib)).rejects.toMatchObject({
        code: 'DiskImageCorrupt',
      });
      expect((await readFile(at('disk.vhdx'))).equals(image)).toBe(true);
    }
  });

  it('that it wrote half is still the disk that was replicated', async () => {
    await writeFile(at('disk.vhdx'), buildVhdx(small));
    const state = await ItemStateFile.open(folder, 'vm-1');
    await using reader = await openDisk(at('disk.vhdx'));
    const { location, imageId, diskId } = reader.identity.chain[0]!;
    const remember = (id: string | undefined) =>
      state.update({ disks: { os: { location, sizeBytes: 6 * mib, imageId: id ?? null } } });
    const writeSome = async () => {
      await using target = await openForWriting(place('disk.vhdx'), 6 * mib);
      await target.write(0, Buffer.alloc(512, 3));
    };
    // Also when an earlier version of the agent remembered the id that a write changes.
    for (const id of [diskId, imageId]) {
      await writeFile(at('disk.vhdx'), buildVhdx(small));
      await remember(id);
      await requireKnown({ state }, place('disk.vhdx'));
      await writeSome();
      await requireKnown({ state }, place('disk.vhdx'));
    }
    await remember('99999999-0000-4000-8000-000000000000');
    await expect(requireKnown({ state }, place('disk.vhdx'))).rejects.toMatchObject({
      code: 'SourceDiskUnknown',
    });
  });

  const noMount = process.platform !== 'linux' || process.getuid?.() !== 0;
  it.skipIf(noMount)('says when the file system is full, and the container opens (needs root)', async () => {
    await mkdir(at('small'));
    const size = 40 * mib;
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'none', at('small')]);
    try {
      const old = { offset: mib, data: Buffer.alloc(mib, 1) };
      await writeFile(at('small/disk.vhdx'), buildVhdx({ ...small, sizeBytes: size, writes: [old] }));
      const expected = applyWrites(Buffer.alloc(size), [old]);
      {
        await using target = await openForWriting(place('small/disk.vhdx'), size);
        const write = async (): Promise<void> => {
          for (let offset = 4 * mib; offset < size; offset += 4096) {
            await target.write(offset, Buffer.alloc(4096, 5));
            expected.fill(5, offset, offset + 4096);
          }
        };
        await expect(write()).rejects.toMatchObject({
          ...{ code: 'OutputFull' },
          message: expect.stringContaining('until the failback has ended') as string,
        });
      }
      await using reader = await openDisk(at('small/disk.vhdx'));
      await expectDisk(reader, expected, new SeededRandom(1));
      // With more room it goes on.
      execFileSync('mount', ['-o', 'remount,size=64m', at('small')]);
      {
        await using target = await openForWriting(place('small/disk.vhdx'), size);
        await target.write(20 * mib, Buffer.alloc(12 * mib, 6));
        await target.sync();
      }
      await using again = await openDisk(at('small/disk.vhdx'));
      await expectDisk(again, expected.fill(6, 20 * mib, 32 * mib), new SeededRandom(2));
    } finally {
      execFileSync('umount', [at('small')]);
    }
  });
});

describe('a new disk in the place of a VHDX', () => {
  it.each([false, true])(
    'is another one of the same kind (fixed: %s), and goes on where it was left',
    async (isFixed) => {
      const sizeBytes = 5 * mib + 512;
      const old = { offset: mib, data: Buffer.alloc(4096, 1) };
      const image = buildVhdx({ sizeBytes, dataWriteGuid, writes: [old], isFixed, blockSizeBytes: 2 * mib });
      await writeFile(at('disk.vhdx'), image);
      const expected = Buffer.alloc(sizeBytes);
      // What an earlier attempt left half made, or what is another disk, is made anew.
      for (const junk of [
        image.subarray(0, 3 * mib),
        buildVhdx({ ...{ sizeBytes, writes: [old] }, dataWriteGuid: '3'.repeat(8) + dataWriteGuid.slice(8) }),
      ]) {
        await writeFile(at('disk.vhdx.failback'), junk);
        const { disk, isNew } = await openNewDisk(place('disk.vhdx'), sizeBytes);
        expect(isNew).toBe(true);
        await expectDisk(disk.reader, expected, new SeededRandom(3));
        await disk.close();
      }
      const write = { offset: sizeBytes - 1024, data: Buffer.alloc(1024, 4) };
      {
        const { disk, isNew } = await openNewDisk(place('disk.vhdx'), sizeBytes);
        expect(isNew).toBe(false);
        await disk.write(write.offset, write.data);
        await disk.close();
      }
      const { disk, isNew } = await openNewDisk(place('disk.vhdx'), sizeBytes);
      expect(isNew).toBe(false);
      await expectDisk(disk.reader, applyWrites(expected, [write]), new SeededRandom(4));
      await disk.close();
      expect((await readFile(at('disk.vhdx'))).equals(image)).toBe(true);
      await using before = await openDisk(at('disk.vhdx'));
      await swapIn(await planSwap(place('disk.vhdx')));
      await using after = await openDisk(at('disk.vhdx'));
      const [one, other] = [before, after].map(({ identity }) => identity.chain[0]!);
      expect(other!.diskId).toBe(one!.diskId);
      expect(other!.imageId).not.toBe(one!.imageId);
      await expectQemu('disk.vhdx', expected);
      const blocks = isFixed ? 3 : 1;
      expect((await stat(at('disk.vhdx'))).size).toBe((4 + 2 * blocks) * mib);
    },
  );

  it.skipIf(noQemu)(titleOf('takes what QEMU made', noQemu), async () => {
    for (const subformat of ['fixed', 'dynamic']) {
      const name = `${subformat}.vhdx`;
      await writeFile(at('source.raw'), Buffer.alloc(9 * mib, 1));
      const options = ['-o', `subformat=${subformat},block_size=1048576`];
      execFileSync('qemu-img', [
        'convert',
        '-f',
        'raw',
        '-O',
        'vhdx',
        ...options,
        at('source.raw'),
        at(name),
      ]);
      await copyFile(at(name), at('copy.vhdx'));
      const write = { offset: 5 * mib - 512, data: Buffer.alloc(1024, 8) };
      const { disk } = await openNewDisk(place(name), 9 * mib);
      await disk.write(write.offset, write.data);
      await disk.sync();
      await disk.close();
      await expectQemu(`${name}.failback`, applyWrites(Buffer.alloc(9 * mib), [write]));
      await using target = await openForWriting(place('copy.vhdx'), 9 * mib);
      await target.write(write.offset, write.data);
      await target.sync();
      await expectQemu('copy.vhdx', applyWrites(Buffer.alloc(9 * mib, 1), [write]));
      // QEMU writes it, too, and dies: what it left in its log comes first.
      expect(spawnSync('qemu-img', ['check', '-q', at('copy.vhdx')]).status).toBe(0);
    }
    await truncate(at('source.raw'), 0);
  });
});
