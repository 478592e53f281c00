// Cuts a plan into windows: each takes the next `windowBytes` of live data, in the order of the log or of the disk, is
// held in bounded memory, and is written in ascending disk order in as few page writes as its pieces allow. Windows
// are disjoint on the disk and may be applied in any order.
import { pageWriteLimitBytes } from '../storage/ports.ts';
import { ascendingOrder } from './order.ts';
import { segmentAt, type Segments } from './segments.ts';

/** Bytes of the log that end up at one place; `length` at most 4 MiB. */
export interface MergePiece {
  dataOffset: number;
  length: number;
}

/** One page write: its pieces, end to end, are [diskOffset, diskOffset + length); at most 4 MiB. */
export interface MergeWrite {
  diskOffset: number;
  length: number;
  pieces: MergePiece[];
}

/** Whether the bytes of the write lie in the log as they will lie on the disk, end to end. */
export function isContiguous({ pieces }: MergeWrite): boolean {
  let end = pieces[0]?.dataOffset;
  for (const { dataOffset, length } of pieces) {
    if (dataOffset !== end) return false;
    end = dataOffset + length;
  }
  return true;
}

export interface MergeWindow {
  /** Ascending by disk offset, disjoint. */
  writes: MergeWrite[];
  /** Sum of their lengths, at most `windowBytes`. */
  dataBytes: number;
}

/** Two of these, one written and one read ahead, are most of what a merge holds in memory. */
export const defaultWindowBytes = 24 * 1024 * 1024;

/**
 * Which live data comes first: `log` is read in long sequential ranges, `disk` needs the fewest page writes but picks
 * its data from all over the log. The windows of both hold the same bytes.
 */
export type WindowOrder = 'log' | 'disk';

interface PlacedPiece extends MergePiece {
  diskOffset: number;
}

/** Yields the windows of a plan. `windowBytes` is a positive multiple of 512 (RangeError). */
export function* planWindows(
  segments: Segments,
  windowBytes = defaultWindowBytes,
  order: WindowOrder = 'log',
): Generator<MergeWindow, void, undefined> {
  if (!(windowBytes > 0 && windowBytes % 512 === 0)) {
    throw new RangeError(`windowBytes must be a positive multiple of 512; got ${windowBytes}`);
  }
  let pieces: PlacedPiece[] = [];
  let dataBytes = 0;
  const keys = order === 'log' ? segments.dataOffsets : segments.diskOffsets;
  for (const index of ascendingOrder(keys)) {
    const segment = segmentAt(segments, index);
    for (let done = 0; done < segment.length;) {
      const length = Math.min(segment.length - done, windowBytes - dataBytes, pageWriteLimitBytes);
      pieces.push({ diskOffset: segment.diskOffset + done, dataOffset: segment.dataOffset + done, length });
      done += length;
      dataBytes += length;
      if (dataBytes === windowBytes) {
        yield { writes: joinPieces(pieces), dataBytes };
        pieces = [];
        dataBytes = 0;
      }
    }
  }
  if (pieces.length > 0) yield { writes: joinPieces(pieces), dataBytes };
}

/** Sorts pieces by disk offset and fills page writes with those that touch each other. */
function joinPieces(pieces: PlacedPiece[]): MergeWrite[] {
  pieces.sort((a, b) => a.diskOffset - b.diskOffset);
  const writes: MergeWrite[] = [];
  let current: MergeWrite | undefined;
  for (const { diskOffset, dataOffset, length } of pieces) {
    let done = 0;
    if (current !== undefined && current.diskOffset + current.length === diskOffset) {
      done = Math.min(length, pageWriteLimitBytes - current.length);
      if (done > 0) current.pieces.push({ dataOffset, length: done });
      current.length += done;
    }
    if (done < length) {
      const rest = { dataOffset: dataOffset + done, length: length - done };
      current = { diskOffset: diskOffset + done, length: rest.length, pieces: [rest] };
      writes.push(current);
    }
  }
  return writes;
}
