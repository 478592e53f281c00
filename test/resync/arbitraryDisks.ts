// Random pairs of disks: mostly the same, with differences where mistakes hide: at the borders of blocks and segments
// and at the end of the disk.
import * as fc from 'fast-check';
import { coarseBlockBytes, segmentBytes } from '../../lib/resync/blocks.ts';
import type { DiskWrite } from './comparedDisk.ts';

export interface DiskPair {
  diskSizeBytes: number;
  both: DiskWrite[];
  source: DiskWrite[];
  replica: DiskWrite[];
}

/** Small ones that end within a fine block, a coarse block, or exactly; and one of three segments. */
export const smallSizes = [
  512,
  3 * 512,
  4096,
  coarseBlockBytes + 512,
  5 * coarseBlockBytes,
  9 * 1024 * 1024 + 7 * 512,
];
export const largeSize = 2 * segmentBytes + 3 * coarseBlockBytes + 5 * 512;

function arbitraryWrite(diskSizeBytes: number): fc.Arbitrary<DiskWrite> {
  const sectors = diskSizeBytes / 512;
  const borders = [0, coarseBlockBytes, 4096 * 7, segmentBytes, 2 * segmentBytes, diskSizeBytes]
    .filter((border) => border <= diskSizeBytes)
    .map((border) => border / 512);
  return fc
    .record({
      border: fc.constantFrom(...borders),
      distance: fc.integer({ min: -40, max: 40 }),
      sectors: fc.oneof(
        { weight: 5, arbitrary: fc.integer({ min: 1, max: 30 }) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 4096 }) },
      ),
      seed: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 9 }) }, fc.constantFrom(0, -1)),
    })
    .map(({ border, distance, sectors: wanted, seed }) => {
      const sector = Math.min(Math.max(border + distance, 0), sectors - 1);
      return { sector, sectors: Math.min(wanted, sectors - sector), seed };
    });
}

export function arbitraryPair(sizes: readonly number[]): fc.Arbitrary<DiskPair> {
  return fc.constantFrom(...sizes).chain((diskSizeBytes) => {
    const writes = fc.array(arbitraryWrite(diskSizeBytes), { maxLength: 8 });
    return fc.record({
      diskSizeBytes: fc.constant(diskSizeBytes),
      both: writes,
      source: writes,
      replica: writes,
    });
  });
}
