// The power goes, or the agent dies, at every operation of writing a VHDX: the container opens, every sector is the old or the new
// one, what nobody wrote is as it was, and whoever goes on ends with the right bytes.
import { describe, expect, it } from 'vitest';
import { looksLikeVhdx, openVhdx } from '../../../../agent/disk/vhdx/openVhdx.ts';
import { isSameDisk, makeEmptyVhdx } from '../../../../agent/failback/vhdx/emptyVhdx.ts';
import { openVhdxWriter } from '../../../../agent/failback/vhdx/writeVhdx.ts';
import { readVhdxStructures } from '../../../../agent/disk/vhdx/structures.ts';
import { SeededRandom } from '../../../fuzz/random.ts';
import { CrashFile, PowerLost } from '../../../support/images/crashFile.ts';
import {
  addPendingLog,
  buildVhdx,
  sealVhdx,
  vhdxLayout,
  type VhdxOptions,
} from '../../../support/images/vhdxWriter.ts';

const mib = 1024 * 1024;
const seed = 20_261_129;
const outcomes = 3;
const sectorBytes = 512;
const dataWriteGuid = '11111111-0000-4000-8000-000000000000';
const link = { location: 'disk.vhdx', variant: 'vhdx', imageId: undefined };
const noParent = () => Promise.reject(new Error('no parent'));

/** Bytes that tell where they belong, and to which generation. */
function marked(generation: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 8) {
    bytes.writeUInt32LE(offset + at, at);
    bytes.writeUInt32LE(generation, at + 4);
  }
  return bytes;
}

interface Write {
  offset: number;
  data: Buffer;
}

const diskBytes = 6 * mib + 3 * sectorBytes;
const oldWrites: Write[] = [
  [0, 64 * 1024],
  [mib + 4096, 8192],
  [2 * mib + 8192, 512],
].map(([offset = 0, length = 0]) => ({ offset, data: marked(1, offset, length) }));
/** Into blocks that are there, that are not (some twice), over their borders, at the end; and one that clears. */
const firstWrites: Write[] = [
  [4096, 4096],
  [mib, 4096],
  [4 * mib - 8192, 16 * 1024],
  [4 * mib + 512 * 1024, 4096],
].map(([offset = 0, length = 0]) => ({ offset, data: marked(2, offset, length) }));
const secondWrites: Write[] = [
  { offset: 5 * mib + 512, data: marked(2, 5 * mib + 512, 4096) },
  { offset: 5 * mib + 512 * 1024, data: marked(2, 5 * mib + 512 * 1024, 4096) },
  { offset: diskBytes - 1024, data: marked(2, diskBytes - 1024, 1024) },
  { offset: 16 * 1024, data: Buffer.alloc(8192) },
];

function apply(disk: Buffer, writes: readonly Write[]): Buffer {
  const next = Buffer.from(disk);
  for (const { offset, data } of writes) data.copy(next, offset);
  return next;
}

const before = apply(Buffer.alloc(diskBytes), oldWrites);
const after = apply(before, [...firstWrites, ...secondWrites]);

const imageOf = (options: Partial<VhdxOptions> = {}): Buffer =>
  buildVhdx({ sizeBytes: diskBytes, blockSizeBytes: mib, dataWriteGuid, writes: oldWrites, ...options });

/** The same disk, but table and some pages are right in the log alone, and the last block lies where the file has to grow to. */
function withPendingLog(): Buffer {
  const image = imageOf();
  const { tableAt, logAt } = vhdxLayout;
  const data = tableAt + mib;
  const page = (at: number) => ({ offset: at, data: Buffer.from(image.subarray(at, at + 4096)) });
  const plans = [
    { writes: [page(tableAt), page(data)] },
    { writes: [page(data + 4096), page(image.length - mib + 8192)] },
  ];
  image.fill(0, tableAt, tableAt + 4096);
  image.fill(0xee, data, data + 8192);
  addPendingLog(image, plans, { dataWriteGuid });
  const flushedBytes = image.length - mib;
  let entryAt = logAt;
  for (let index = 0; index < plans.length; index++) {
    const entry = image.subarray(entryAt, entryAt + image.readUInt32LE(entryAt + 8));
    entry.writeBigUInt64LE(BigInt(flushedBytes), 48);
    sealVhdx(entry);
    entryAt += entry.length;
  }
  return image.subarray(0, flushedBytes);
}

/** What a failback does; `synced` tells what must have survived. */
async function writeAll(file: CrashFile, synced: (writes: readonly Write[]) => void): Promise<void> {
  const writer = await openVhdxWriter(file, link);
  for (const writes of [firstWrites, secondWrites]) {
    await Promise.all(writes.map(({ offset, data }) => writer.write(offset, data)));
    await writer.sync();
    synced(writes);
  }
}

async function readDisk(file: CrashFile): Promise<Buffer> {
  await using reader = await openVhdx(file, noParent);
  return Buffer.from(await reader.read(0, diskBytes));
}

function sectorsThatDiffer(one: Buffer, other: Buffer): number[] {
  const differing: number[] = [];
  const isSame = (at: number, length: number): boolean =>
    one.subarray(at, at + length).equals(other.subarray(at, at + length));
  for (let at = 0; at < diskBytes; at += sectorBytes) {
    // Most of the disk is equal.
    if (at % mib === 0 && isSame(at, mib)) at += mib - sectorBytes;
    else if (!isSame(at, sectorBytes)) differing.push(at);
  }
  return differing;
}

async function expectWhole(left: CrashFile, survived: Buffer, where: string): Promise<void> {
  const found = await readDisk(left);
  for (const at of sectorsThatDiffer(found, survived)) {
    const part = [found, before, after].map((disk) => disk.subarray(at, at + sectorBytes));
    const isNew = part[0]!.equals(part[2]!);
    const isOld = part[0]!.equals(part[1]!) && survived.subarray(at, at + sectorBytes).equals(part[1]!);
    expect(isNew || isOld, `${where}: sector at ${at}`).toBe(true);
  }
  const { header } = await readVhdxStructures(left);
  if (!found.equals(before)) expect(header.dataWriteGuid, where).not.toBe(dataWriteGuid);
  // Whoever goes on compares, and writes what differs.
  const writer = await openVhdxWriter(left, link);
  for (const at of sectorsThatDiffer(found, after))
    await writer.write(at, after.subarray(at, at + sectorBytes));
  await writer.sync();
  expect((await readDisk(left.afterPowerLoss(new SeededRandom(seed)))).equals(after), where).toBe(true);
}

describe('writing a VHDX survives', () => {
  it.each<[string, () => Buffer]>([
    ['dynamic', () => imageOf()],
    ['dynamic with blocks of other states', () => imageOf({ states: { 3: 2, 4: 3, 5: 1 } })],
    ['dynamic whose file has no whole MiB', () => Buffer.concat([imageOf(), Buffer.alloc(4096, 7)])],
    ['fixed', () => imageOf({ isFixed: true })],
    ['with a pending log', withPendingLog],
  ])('any end: %s', async (kind, make) => {
    const image = make();
    const untouched = CrashFile.of(image);
    expect((await readDisk(untouched)).equals(before)).toBe(true);
    const whole = untouched.afterDeath();
    await writeAll(whole, () => undefined);
    expect(whole.operations).toBeGreaterThan(10);
    // Either header alone leads there: no old one brings an old log back.
    for (const headerAt of vhdxLayout.headersAt) {
      const damaged = whole.afterDeath();
      await damaged.write(headerAt + 8, Buffer.alloc(8, 0xee));
      expect((await readDisk(damaged)).equals(after)).toBe(true);
    }
    let stopped = 0;
    for (let stopAfter = 0; stopAfter < whole.operations; stopAfter++) {
      const file = untouched.afterDeath();
      file.stopAfter = stopAfter;
      let survived = before;
      const run = writeAll(file, (writes) => (survived = apply(survived, writes)));
      await expect(run).rejects.toBeInstanceOf(PowerLost);
      stopped++;
      const where = `seed ${seed}, ${kind}, after ${stopAfter} operations`;
      await expectWhole(file.afterDeath(), survived, `${where}, death`);
      for (let outcome = 0; outcome < outcomes; outcome++) {
        const random = new SeededRandom(seed, stopAfter * outcomes + outcome);
        await expectWhole(file.afterPowerLoss(random), survived, `${where}, outcome ${outcome}`);
      }
    }
    expect(stopped).toBe(whole.operations);
  });

  it.each([false, true])(
    'any end of making a new one (fixed: %s): it is whole, or is none',
    async (isFixed) => {
      const original = await readVhdxStructures(CrashFile.of(imageOf({ isFixed })));
      const whole = new CrashFile({ sizeBytes: 0, sectors: new Map() });
      await makeEmptyVhdx(whole, original);
      expect((await readDisk(whole)).equals(Buffer.alloc(diskBytes))).toBe(true);
      expect(isSameDisk(await readVhdxStructures(whole), original)).toBe(true);
      for (let stopAfter = 0; stopAfter < whole.operations; stopAfter++) {
        // Only the last operations make it look like one.
        const tries = stopAfter < whole.operations - 2 ? outcomes : 60;
        for (let outcome = 0; outcome < tries; outcome++) {
          const file = new CrashFile({ sizeBytes: 0, sectors: new Map() });
          file.stopAfter = stopAfter;
          await expect(makeEmptyVhdx(file, original)).rejects.toBeInstanceOf(PowerLost);
          const left = file.afterPowerLoss(new SeededRandom(seed, stopAfter * 100 + outcome));
          const isVhdx = await looksLikeVhdx(left);
          const found = isVhdx ? await readVhdxStructures(left).catch(() => undefined) : undefined;
          if (!found) continue;
          expect(isSameDisk(found, original)).toBe(true);
          await using reader = await openVhdx(left, noParent);
          const kind = isFixed ? 'data' : 'zero';
          const disk = { offsetBytes: 0, lengthBytes: diskBytes };
          expect(await reader.allocation(disk)).toEqual([{ kind, ...disk }]);
        }
      }
    },
  );
});
