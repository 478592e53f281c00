// Extents cut into the pieces that become log entries, and the pieces that one read fetches.
import type { ByteRange } from '../lib/storage/ports.ts';

/** Most bytes in one log entry that we write: what one page write takes, and a comfortable buffer. */
export const maxEntryBytes = 4 * 1024 * 1024;
/** Unchanged bytes between two extents that are read and thrown away: cheaper than a read of their own. */
export const maxGapBytes = 64 * 1024;

/** Pieces that one read fetches: the range from the beginning of the first to the end of the last. */
export interface ExtentGroup extends ByteRange {
  pieces: ByteRange[];
}

/** The pieces of the extents, of at most 4 MiB each, in groups that one read of at most so many bytes fetches. */
export function* groupPieces(
  extents: Iterable<ByteRange>,
  { mostGapBytes, mostGroupBytes }: { mostGapBytes: number; mostGroupBytes: number },
): Generator<ExtentGroup, void, undefined> {
  let group: ExtentGroup | undefined;
  for (const { offsetBytes, lengthBytes } of extents) {
    for (let done = 0; done < lengthBytes; done += maxEntryBytes) {
      const start = offsetBytes + done;
      const length = Math.min(maxEntryBytes, lengthBytes - done);
      const piece = { offsetBytes: start, lengthBytes: length };
      if (group !== undefined) {
        const groupEnd = group.offsetBytes + group.lengthBytes;
        const joinedBytes = start + length - group.offsetBytes;
        if (start >= groupEnd && start - groupEnd <= mostGapBytes && joinedBytes <= mostGroupBytes) {
          group.pieces.push(piece);
          group.lengthBytes = joinedBytes;
          continue;
        }
        yield group;
      }
      group = { ...piece, pieces: [piece] };
    }
  }
  if (group !== undefined) yield group;
}
