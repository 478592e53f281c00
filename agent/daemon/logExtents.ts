// What the log of a disk must have: what the tracker says was written, and of a disk that has grown whatever lies behind the
// end that the replica had.
import { LifeboatError } from '../../lib/errors.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import { clipExtents } from '../disk/clippedDisk.ts';
import type { DiskReader } from '../disk/reader.ts';
import { joinExtents } from '../extents.ts';
import type { DiskAssignment } from '../serviceClient.ts';
import { joinGaps } from '../track/joinGaps.ts';
import type { FrozenCycle } from '../track/tracker.ts';
import { frozenDiskOf, type ItemContext } from './itemContext.ts';

const pieceBytes = 64 * 1024;
const readBytes = 4 * 1024 * 1024;
const zeros = Buffer.alloc(pieceBytes);

/** What is not zeros from there to the end of the disk, in steps of 64 KiB. */
async function nonZeroFrom(reader: DiskReader, startBytes: number): Promise<ByteRange[]> {
  const found: ByteRange[] = [];
  for (let start = startBytes; start < reader.sizeBytes; start += readBytes) {
    const window = { offsetBytes: start, lengthBytes: Math.min(readBytes, reader.sizeBytes - start) };
    if ((await reader.allocation(window)).every(({ kind }) => kind === 'zero')) continue;
    const bytes = await reader.read(window.offsetBytes, window.lengthBytes);
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = bytes.subarray(at, at + pieceBytes);
      if (Buffer.compare(piece, zeros.subarray(0, piece.length)) !== 0)
        found.push({ offsetBytes: start + at, lengthBytes: piece.length });
    }
  }
  return joinExtents(found);
}

/**
 * The extents of the disk's log, gaps joined; the same whenever it is asked of the same cycle. Throws `TrackingLost` for a
 * protected disk that the tracker has no record of.
 */
export async function logExtents(
  context: ItemContext,
  cycle: FrozenCycle,
  assigned: DiskAssignment,
): Promise<ByteRange[]> {
  const { disk, sizeBytes, joinedAtCycle } = assigned;
  const { reader, extents, isUntracked } = frozenDiskOf(cycle, assigned);
  if (joinedAtCycle === null) {
    // Copied from this very view: nothing was written since.
    if (context.copiedFrom?.get(disk) === cycle.reference) return [];
    // Copied, and its log was lost: all of it may have changed, to zeros too.
    if (isUntracked === true) return [{ offsetBytes: 0, lengthBytes: sizeBytes }];
  } else if (isUntracked === true && context.logFolders) {
    // Its logs are made elsewhere, and none is of this state.
    return [{ offsetBytes: 0, lengthBytes: sizeBytes }];
  } else if (isUntracked === true) {
    const message = `Nobody tracked the changes of disk ${disk} since the last cycle.`;
    throw new LifeboatError('TrackingLost', message, { target: disk });
  }
  const sentBytes = context.state.current.sizes[disk] ?? sizeBytes;
  if (sentBytes >= sizeBytes) return joinGaps(extents);
  const grown = await nonZeroFrom(reader, sentBytes);
  return joinGaps(joinExtents([...clipExtents(extents, sentBytes), ...grown]));
}
