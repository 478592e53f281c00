// A plan read in the order of the log: every byte of it once, in reads that are bounded and skip what is superseded.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planLogReads } from '../../../lib/merge/logReads.ts';
import { segmentAt, SegmentCollector } from '../../../lib/merge/segments.ts';

const sector = 512;

interface Piece {
  sectors: number;
  deadSectors: number;
}

/** Segments of those lengths; in the log they lie in reverse, with superseded data between them. */
function segmentsOf(pieces: readonly Piece[]) {
  const collector = new SegmentCollector(1);
  let dataOffset = pieces.reduce(
    (sum, { sectors, deadSectors }) => sum + (sectors + deadSectors) * sector,
    4096,
  );
  pieces.forEach(({ sectors, deadSectors }, index) => {
    dataOffset -= (sectors + deadSectors) * sector;
    collector.add(index * 2 ** 24, sectors * sector, dataOffset);
  });
  return collector.take();
}

describe('planLogReads', () => {
  it('covers every segment exactly, ascending in the log, in bounded reads that end where data ends', () => {
    const piece = fc.record({ sectors: fc.integer({ min: 1, max: 1000 }), deadSectors: fc.nat(600) });
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 20 }),
        fc.constantFrom(sector, 8 * sector, 100 * sector, 2 ** 20),
        (pieces, maxReadBytes) => {
          const segments = segmentsOf(pieces);
          const found = new Map<number, number>();
          let logEnd = 0;
          for (const { start, end, segments: parts } of planLogReads(segments, maxReadBytes)) {
            expect(start).toBeGreaterThanOrEqual(logEnd);
            expect(end - start).toBeLessThanOrEqual(maxReadBytes);
            expect([parts[0]!.dataOffset, parts.at(-1)!.dataOffset + parts.at(-1)!.length]).toEqual([
              start,
              end,
            ]);
            for (const { diskOffset, dataOffset, length } of parts) {
              expect(dataOffset).toBeGreaterThanOrEqual(logEnd);
              for (let at = 0; at < length; at += sector) found.set(diskOffset + at, dataOffset + at);
              logEnd = dataOffset + length;
            }
          }
          const expected = new Map<number, number>();
          for (let index = 0; index < segments.count; index++) {
            const { diskOffset, dataOffset, length } = segmentAt(segments, index);
            for (let at = 0; at < length; at += sector) expected.set(diskOffset + at, dataOffset + at);
          }
          expect(found.size).toBe(expected.size);
          expect([...expected].filter(([disk, data]) => found.get(disk) !== data)).toEqual([]);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('reads through short superseded data and around long', () => {
    const near = segmentsOf([
      { sectors: 8, deadSectors: 0 },
      { sectors: 8, deadSectors: 256 },
    ]);
    expect([...planLogReads(near, 2 ** 20)]).toHaveLength(1);
    const far = segmentsOf([
      { sectors: 8, deadSectors: 0 },
      { sectors: 8, deadSectors: 257 },
    ]);
    expect([...planLogReads(far, 2 ** 20)]).toHaveLength(2);
  });

  it('there is no segment past the last', () => {
    expect(() => segmentAt(segmentsOf([{ sectors: 1, deadSectors: 0 }]), 1)).toThrow(RangeError);
  });
});
