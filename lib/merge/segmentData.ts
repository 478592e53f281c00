// The newest bytes of a plan in disk order, as one pass over the disk. Memory is one window of 16 MiB and the reads that
// fill it, however large the log is.
import type { RandomAccessSource } from '../disk/source.ts';
import type { Segments } from './segments.ts';
import { loadWindow } from './windowData.ts';
import { planWindows } from './windows.ts';

const windowBytes = 16 * 1024 * 1024;

/** Bytes of the disk. */
export interface DiskData {
  diskOffset: number;
  /** At most 4 MiB, whole sectors; valid until the next is taken. */
  data: Uint8Array;
}

/**
 * Yields the data of the segments, ascending and disjoint on the disk. Where the pieces are cut depends on what the
 * segments cover alone, not on how they divide it or where in the log they lie.
 */
export async function* readSegments(
  source: RandomAccessSource,
  segments: Segments,
  signal?: AbortSignal,
): AsyncGenerator<DiskData, void, undefined> {
  let arena: Uint8Array | undefined;
  for (const { writes, dataBytes } of planWindows(segments, windowBytes, 'disk')) {
    // The first window is the largest.
    const takeArena = (): Uint8Array => (arena ??= new Uint8Array(dataBytes));
    const { data } = await loadWindow(source, writes, takeArena, signal);
    for (const [{ diskOffset }, bytes] of data) yield { diskOffset, data: bytes };
  }
}

/** How many pieces `readSegments` yields, and of how many bytes together. */
export function countSegmentData(segments: Segments): { entryCount: number; dataBytes: number } {
  const totals = { entryCount: 0, dataBytes: 0 };
  for (const window of planWindows(segments, windowBytes, 'disk')) {
    totals.entryCount += window.writes.length;
    totals.dataBytes += window.dataBytes;
  }
  return totals;
}
