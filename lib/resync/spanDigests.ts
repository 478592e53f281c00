// The coarse digests of a stretch of a disk, the same for a replica and for a frozen source.
import { readAllocatedBlocks, type AllocatedReader, type ReadTotals } from './allocatedBlocks.ts';
import { coarseDigest, digestBytes, zeroDigest } from './blockDigests.ts';
import { blockRange, coarseBlockBytes, spanRange, type BlockSpan } from './blocks.ts';

/** The coarse digests of one segment, in order, and what reading them took. */
export interface SegmentDigests extends ReadTotals {
  digests: Uint8Array;
}

export interface SpanOptions {
  /** Sees every block that was read, whole, with its digest; in no order. The bytes are valid during the call. */
  inspect?: (block: number, bytes: Uint8Array, digest: Uint8Array) => void;
  signal?: AbortSignal | undefined;
}

/** The coarse digests of consecutive blocks. Blocks in which nothing is allocated are zeros and are not read. */
export async function digestSpan(
  reader: AllocatedReader,
  span: BlockSpan,
  { inspect, signal }: SpanOptions = {},
): Promise<SegmentDigests> {
  const { diskSizeBytes } = reader;
  const digests = new Uint8Array(span.count * digestBytes);
  for (let index = 0; index < span.count; index++) {
    const { lengthBytes } = blockRange(diskSizeBytes, coarseBlockBytes, span.firstBlock + index);
    digests.set(zeroDigest(lengthBytes), index * digestBytes);
  }
  const totals = await readAllocatedBlocks(
    reader,
    spanRange(diskSizeBytes, span),
    async (block, bytes) => {
      const digest = await coarseDigest(bytes);
      digests.set(digest, (block - span.firstBlock) * digestBytes);
      inspect?.(block, bytes, digest);
    },
    signal,
  );
  return { digests, ...totals };
}
