// The geometry of comparison: a disk is cut into coarse blocks, each coarse block into fine ones, and runs of coarse
// blocks into segments, which are the unit of work and of storage. Only the end of the disk makes anything shorter.
import { LifeboatError } from '../errors.ts';
import type { ByteRange } from '../storage/ports.ts';

export const coarseBlockBytes = 256 * 1024;
/** What file systems write at least, and so the finest difference that is worth an entry of its own. */
export const fineBlockBytes = 4096;
export const finePerCoarse = coarseBlockBytes / fineBlockBytes;
export const segmentBytes = 1024 ** 3;
export const coarsePerSegment = segmentBytes / coarseBlockBytes;

/** How many blocks of this size cover the disk. */
export function blockCount(diskSizeBytes: number, blockBytes: number): number {
  return Math.ceil(diskSizeBytes / blockBytes);
}

export function segmentCount(diskSizeBytes: number): number {
  return blockCount(diskSizeBytes, segmentBytes);
}

/** Where a block lies: its real bytes, which are fewer than `blockBytes` at the end of the disk. */
export function blockRange(diskSizeBytes: number, blockBytes: number, block: number): ByteRange {
  const offsetBytes = block * blockBytes;
  return { offsetBytes, lengthBytes: Math.min(blockBytes, diskSizeBytes - offsetBytes) };
}

/** Consecutive coarse blocks. */
export interface BlockSpan {
  firstBlock: number;
  count: number;
}

/** The bytes of the disk that the blocks cover. */
export function spanRange(diskSizeBytes: number, { firstBlock, count }: BlockSpan): ByteRange {
  const last = blockRange(diskSizeBytes, coarseBlockBytes, firstBlock + count - 1);
  const offsetBytes = firstBlock * coarseBlockBytes;
  return { offsetBytes, lengthBytes: last.offsetBytes + last.lengthBytes - offsetBytes };
}

/** The coarse blocks of a segment. Throws `InvalidRequest` for a segment that the disk does not have. */
export function segmentBlocks(diskSizeBytes: number, segment: number): BlockSpan {
  const segments = segmentCount(diskSizeBytes);
  if (!Number.isSafeInteger(segment) || segment < 0 || segment >= segments) {
    const message = `Segment ${segment} does not exist: the disk has segments 0 to ${segments - 1}.`;
    throw new LifeboatError('InvalidRequest', message, { target: 'segment' });
  }
  const firstBlock = segment * coarsePerSegment;
  return {
    firstBlock,
    count: Math.min(coarsePerSegment, blockCount(diskSizeBytes, coarseBlockBytes) - firstBlock),
  };
}

/** How many fine blocks a coarse block has: 64, fewer at the end of the disk. */
export function fineCount(diskSizeBytes: number, coarseBlock: number): number {
  return blockCount(blockRange(diskSizeBytes, coarseBlockBytes, coarseBlock).lengthBytes, fineBlockBytes);
}
