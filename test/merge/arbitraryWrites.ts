// Random writes for the properties: on a small disk, so that they overlap, touch and repeat all the time.
import * as fc from 'fast-check';
import { hrlEpochSeconds } from '../../lib/hrl/format.ts';
import { buildHrl, type HrlWrite, type HrlWriterOptions } from '../../lib/hrl/writer.ts';

export const diskSectors = 256;
export const diskSizeBytes = diskSectors * 512;

const sectorPattern = fc.constantFrom<'zero' | 'same' | 'different'>('zero', 'same', 'different');

/** Sectors that are zero, or full of one byte, or different from each other, so that a misplaced one shows. */
function dataOf(sectors: number, seed: number, pattern: 'zero' | 'same' | 'different'): Uint8Array {
  const data = new Uint8Array(sectors * 512);
  if (pattern === 'zero') return data;
  for (let sector = 0; sector < sectors; sector++) {
    const value = pattern === 'same' ? seed : seed + sector;
    data.fill((value % 255) + 1, sector * 512, (sector + 1) * 512);
  }
  return data;
}

/** One write inside the disk, most of them short. */
export const arbitraryWrite: fc.Arbitrary<HrlWrite> = fc
  .record({
    sector: fc.integer({ min: 0, max: diskSectors - 1 }),
    sectors: fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 1, max: 8 }) },
      fc.integer({ min: 1, max: diskSectors }),
    ),
    seed: fc.integer({ min: 0, max: 1_000_000 }),
    pattern: sectorPattern,
  })
  .map(({ sector, sectors, seed, pattern }) => ({
    diskOffset: sector * 512,
    data: dataOf(Math.min(sectors, diskSectors - sector), seed, pattern),
  }));

export const arbitraryWrites = fc.array(arbitraryWrite, { maxLength: 40 });

/** Writer options with small metadata blocks, so that a short list of writes makes several. */
export const arbitraryOptions: fc.Arbitrary<HrlWriterOptions> = fc.record({
  uniqueId: fc.uuid(),
  previousUniqueId: fc.uuid(),
  vhd2DataWriteGuid: fc.uuid(),
  createdAt: fc
    .integer({ min: 1, max: 2 ** 31 })
    .map((seconds) => new Date((hrlEpochSeconds + seconds) * 1000)),
  metadataSizeBytes: fc.constantFrom(512, 1024, 4096),
  withDataChecksums: fc.boolean(),
  emptyFirstBlock: fc.boolean(),
});

/** What the merge must equal: each write put on the disk, one after another. */
export function replay(disk: Uint8Array, writes: readonly HrlWrite[]): Uint8Array {
  const result = disk.slice();
  for (const { diskOffset, data } of writes) result.set(data, diskOffset);
  return result;
}

export const logOf = (writes: readonly HrlWrite[], options: Partial<HrlWriterOptions> = {}): Uint8Array =>
  buildHrl(writes, {
    uniqueId: 'aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb',
    createdAt: new Date('2026-05-01T10:00:00Z'),
    ...options,
  });
