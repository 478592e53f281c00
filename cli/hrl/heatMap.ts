// Where on the disk a log writes, in one line of text: a cell is a part of the disk, a darker cell is fuller.
import type { Segments } from '../../lib/merge/segments.ts';

export const heatMapCells = 64;

const shades = ' .:-=+*#%@';

/** Bytes of the disk [0, spanBytes) that the segments cover, in 64 cells of equal size (the last may be shorter). */
export interface HeatMap {
  cellBytes: number;
  coveredBytes: number[];
}

/** Needs segments that end within `spanBytes`. */
export function heatMapOf({ count, diskOffsets, lengths }: Segments, spanBytes: number): HeatMap {
  // In whole sectors, so that people can compute with the borders.
  const cellBytes = Math.max(512, Math.ceil(spanBytes / heatMapCells / 512) * 512);
  const coveredBytes = new Array<number>(heatMapCells).fill(0);
  for (let index = 0; index < count; index++) {
    const start = diskOffsets[index] ?? 0;
    const end = start + (lengths[index] ?? 0);
    for (let cell = Math.floor(start / cellBytes); cell * cellBytes < end; cell++) {
      const from = Math.max(start, cell * cellBytes);
      const to = Math.min(end, (cell + 1) * cellBytes);
      coveredBytes[cell] = (coveredBytes[cell] ?? 0) + to - from;
    }
  }
  return { cellBytes, coveredBytes };
}

/** One character a cell: a space for nothing, `.` from the first byte on, `@` when it is full. */
export function heatMapText({ cellBytes, coveredBytes }: HeatMap): string {
  const steps = shades.length - 2;
  return coveredBytes
    .map((bytes) => shades[bytes === 0 ? 0 : 1 + Math.floor((bytes / cellBytes) * steps)] ?? '@')
    .join('');
}
