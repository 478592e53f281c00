// Extents cut into the pieces that become log entries, and the pieces that one read fetches.
import type { ByteRange } from '../lib/storage/ports.ts';

/** Most bytes in one log entry that we write: what one page write takes, and a comfortable buffer. */
export const maxEntryBytes = 4 * 1024 * 1024;
/** Unchanged bytes between two extents that are read and thrown away: cheaper than a read of their own. */
export const maxGapBytes = 64 * 1024;

/** The pieces of the extents, of at most 4 MiB each, in groups that one read of at most so many bytes fetches. */
export function* groupPieces(
  extents: Iterable<ByteRange>,
  { mostGapBytes, mostGroupBytes }: { mostGapBytes: number; mostGroupBytes: number },
): Generator<ByteRange[], void, undefined> {
  let group: ByteRange[] = [];
  let groupStart = 0;
  let groupEnd = 0;
  for (const { offsetBytes, lengthBytes } of extents) {
    for (let done = 0; done < lengthBytes; done += maxEntryBytes) {
      const start = offsetBytes + done;
      const length = Math.min(maxEntryBytes, lengthBytes - done);
      const isNear = start >= groupEnd && start - groupEnd <= mostGapBytes;
      if (group.length > 0 && !(isNear && start + length - groupStart <= mostGroupBytes)) {
        yield group;
        group = [];
      }
      if (group.length === 0) groupStart = start;
      group.push({ offsetBytes: start, lengthBytes: length });
      groupEnd = start + length;
    }
  }
  if (group.length > 0) yield group;
}
