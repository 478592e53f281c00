// The exact difference of one segment: which 4 KiB blocks of the source are not the replica's. Coarse digests say where to
// look; the fine ones are asked for only there. The fine digests of the source are taken while its block is at hand, so
// that comparing reads the source once.
import { createHash } from 'node:crypto';
import { digestBytes, digestsWithin, zeroFineDigests } from '../../lib/resync/blockDigests.ts';
import {
  blockRange,
  coarseBlockBytes,
  fineBlockBytes,
  fineCount,
  finePerCoarse,
  segmentBlocks,
} from '../../lib/resync/blocks.ts';
import { differingSpans } from '../../lib/resync/compareManifests.ts';
import { maxFineBlocks, parseFine } from '../../lib/resync/digestFormat.ts';
import type { DigestScope } from '../../lib/resync/names.ts';
import { digestSpan } from '../../lib/resync/spanDigests.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import { AgentError } from '../agentError.ts';
import { allocatedReader, type SourceView } from './sourceView.ts';

/** Where the digests of the replica come from; both answers are checked before they are believed. */
export interface DigestsClient {
  /** The manifest of a segment as it is stored, or `pending` while the service has not computed it. */
  coarseSegment(segment: number): Promise<Uint8Array | 'pending'>;
  /** The fine digests of at most 256 coarse blocks, ascending, as `fineDigests` of lib/resync answers. */
  fine(coarseBlocks: readonly number[]): Promise<Uint8Array>;
}

/** What differs in one segment. */
export interface SegmentDifference {
  segment: number;
  /** Whole 4 KiB blocks (the last of a disk may be shorter): ascending, disjoint, joined, none outside the segment. */
  extents: ByteRange[];
  /** SHA-256, lower-case hex, over the fine digests of the extents: who reads them again can tell that they are the same. */
  contentSha256: string;
  bytesRead: number;
  bytesSkipped: number;
}

/** The two sides of one segment. */
export interface SegmentComparison {
  scope: DigestScope;
  source: SourceView;
  segment: number;
  client: DigestsClient;
  /** Coarse digests of the replica. */
  replica: Uint8Array;
  signal?: AbortSignal | undefined;
}

/** The difference, and the coarse digests of the source. Changes nothing; may be called again. */
export async function compareSegment(
  comparison: SegmentComparison,
): Promise<{ difference: SegmentDifference; digests: Uint8Array }> {
  const { source, segment, replica, signal } = comparison;
  const blocks = segmentBlocks(source.sizeBytes, segment);
  const fineOf = new Map<number, Uint8Array>();
  const { digests, ...totals } = await digestSpan(allocatedReader(source), blocks, {
    signal,
    inspect: (block, bytes, digest) => {
      const from = (block - blocks.firstBlock) * digestBytes;
      if (Buffer.compare(digest, replica.subarray(from, from + digestBytes)) !== 0)
        fineOf.set(block, digestsWithin(bytes, fineBlockBytes));
    },
  });
  const differing = differingSpans(digests, replica).flatMap(({ firstBlock, count }) =>
    Array.from({ length: count }, (_, index) => blocks.firstBlock + firstBlock + index),
  );
  const content = createHash('sha256');
  const extents: ByteRange[] = [];
  for (let first = 0; first < differing.length; first += maxFineBlocks) {
    signal?.throwIfAborted();
    const batch = differing.slice(first, first + maxFineBlocks);
    const fine = await fineOfReplica(comparison, batch);
    batch.forEach((block, index) => {
      const own = fineOf.get(block) ?? zeroFineOf(source.sizeBytes, block);
      const other = fine[index] ?? own;
      const found = differingSpans(own, other);
      if (found.length === 0) throw contradiction(comparison, block);
      for (const span of found) {
        content.update(
          own.subarray(span.firstBlock * digestBytes, (span.firstBlock + span.count) * digestBytes),
        );
        addExtent(extents, fineRange(source.sizeBytes, block * finePerCoarse + span.firstBlock, span.count));
      }
    });
  }
  return { difference: { segment, extents, contentSha256: content.digest('hex'), ...totals }, digests };
}

function zeroFineOf(diskSizeBytes: number, block: number): Uint8Array {
  return zeroFineDigests(blockRange(diskSizeBytes, coarseBlockBytes, block).lengthBytes);
}

/** The replica's fine digests, one array for each block of the batch. */
async function fineOfReplica(
  { scope, source, client }: SegmentComparison,
  coarseBlocks: readonly number[],
): Promise<Uint8Array[]> {
  const diskSizeBytes = source.sizeBytes;
  const answer = await client.fine(coarseBlocks);
  const digests = parseFine(answer, { scope, diskSizeBytes, coarseBlocks });
  let from = 0;
  return coarseBlocks.map((block) => {
    const end = from + fineCount(diskSizeBytes, block) * digestBytes;
    const own = digests.subarray(from, end);
    from = end;
    return own;
  });
}

function fineRange(diskSizeBytes: number, firstFine: number, count: number): ByteRange {
  const last = blockRange(diskSizeBytes, fineBlockBytes, firstFine + count - 1);
  const offsetBytes = firstFine * fineBlockBytes;
  return { offsetBytes, lengthBytes: last.offsetBytes + last.lengthBytes - offsetBytes };
}

function addExtent(extents: ByteRange[], range: ByteRange): void {
  const last = extents.at(-1);
  if (last !== undefined && last.offsetBytes + last.lengthBytes === range.offsetBytes)
    last.lengthBytes += range.lengthBytes;
  else extents.push(range);
}

/** Coarse digests differ and fine ones do not: they were not taken of the same bytes. */
function contradiction({ scope }: SegmentComparison, block: number): AgentError {
  const message = `The coarse and the fine digests of ${scope.item}/${scope.disk} contradict each other at block ${block}: the replica changed while it was compared.`;
  return new AgentError('DigestsContradict', message, 'Begin a new resynchronization of the disk.');
}
