// Digests of a replica, or of one of its snapshots, as it lies in storage. A replica without a snapshot is compared under
// the sequence number that its fence was raised to before: whoever writes it raises that number first, so a number that is
// still the same after reading proves that what was read is of one state.
import { LifeboatError } from '../errors.ts';
import { mergeMemory, type ByteBudget } from '../merge/byteBudget.ts';
import { joinRanges } from '../storage/pageBounds.ts';
import type { ByteRange, PageBlobPort } from '../storage/ports.ts';
import { readAllocatedBlocks, readBufferBytes, type AllocatedReader } from './allocatedBlocks.ts';
import { digestsWithin, zeroFineDigests } from './blockDigests.ts';
import {
  blockRange,
  coarseBlockBytes,
  coarsePerSegment,
  fineBlockBytes,
  segmentBlocks,
  spanRange,
} from './blocks.ts';
import { checkFineBlocks, encodeFine } from './digestFormat.ts';
import type { DigestScope } from './names.ts';
import { digestSpan, type SegmentDigests } from './spanDigests.ts';

/** What is read: a snapshot, or the replica itself while its sequence number is this one. */
export interface ReplicaView {
  blobName: string;
  /** Size of the disk, without the padding and the footer of the blob. */
  diskSizeBytes: number;
  snapshotId?: string | undefined;
  sequenceNumber?: number | undefined;
}

export interface DigestOptions {
  /** What the buffers are taken from, 32 MiB; the budget of the process when omitted. */
  memory?: ByteBudget | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Digests one segment. Reads only what was ever written, in pieces of up to 8 MiB, four at once. Changes nothing and
 * may be called again: the same view gives the same digests. Throws `InvalidRequest` for a segment that the disk does not
 * have, `ReplicaMissing`, `ReplicaSizeMismatch`, and `ReplicaChanged` when the sequence number is not the expected one.
 */
export async function digestSegment(
  replicas: PageBlobPort,
  view: ReplicaView,
  segment: number,
  options: DigestOptions = {},
): Promise<SegmentDigests> {
  const blocks = segmentBlocks(view.diskSizeBytes, segment);
  return reading(replicas, view, options, (reader) => digestSpan(reader, blocks, { signal: options.signal }));
}

/**
 * The answer with the fine digests of up to 256 coarse blocks, ascending (`encodeFine`). Throws `DigestRequestTooLarge`,
 * `InvalidRequest`, and as `digestSegment`. Changes nothing and may be called again.
 */
export async function fineDigests(
  replicas: PageBlobPort,
  scope: DigestScope,
  view: ReplicaView,
  coarseBlocks: readonly number[],
  options: DigestOptions = {},
): Promise<Uint8Array> {
  const { diskSizeBytes } = view;
  checkFineBlocks(diskSizeBytes, coarseBlocks);
  const parts = new Map<number, Uint8Array>();
  await reading(replicas, view, options, async (reader) => {
    for (const group of groupBySegment(coarseBlocks)) {
      const digest = async (block: number, bytes: Uint8Array): Promise<void> => {
        parts.set(block, digestsWithin(bytes, fineBlockBytes));
      };
      const { window, only } = onlyBlocks(reader, group);
      await readAllocatedBlocks(only, window, digest, options.signal);
    }
  });
  const digests = coarseBlocks.map(
    (block) =>
      parts.get(block) ?? zeroFineDigests(blockRange(diskSizeBytes, coarseBlockBytes, block).lengthBytes),
  );
  return encodeFine({ scope, diskSizeBytes, coarseBlocks }, Buffer.concat(digests));
}

/** So that one listing covers at most a segment. */
function groupBySegment(coarseBlocks: readonly number[]): number[][] {
  const groups = new Map<number, number[]>();
  for (const block of coarseBlocks) {
    const segment = Math.floor(block / coarsePerSegment);
    groups.set(segment, [...(groups.get(segment) ?? []), block]);
  }
  return [...groups.values()];
}

/** The window around the blocks, and a reader that knows nothing but them. */
function onlyBlocks(
  reader: AllocatedReader,
  blocks: readonly number[],
): { window: ByteRange; only: AllocatedReader } {
  const firstBlock = blocks[0] ?? 0;
  const window = spanRange(reader.diskSizeBytes, {
    firstBlock,
    count: (blocks.at(-1) ?? firstBlock) + 1 - firstBlock,
  });
  const ranges = blocks.map((block) => blockRange(reader.diskSizeBytes, coarseBlockBytes, block));
  return {
    window,
    only: {
      diskSizeBytes: reader.diskSizeBytes,
      read: (range) => reader.read(range),
      async listRanges() {
        const listed = await reader.listRanges(window);
        return intersect(joinRanges(listed, window), ranges);
      },
    },
  };
}

/** What lies in both of two ascending lists of disjoint ranges. */
function intersect(a: readonly ByteRange[], b: readonly ByteRange[]): ByteRange[] {
  const common: ByteRange[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const [x, y] = [a[i], b[j]];
    if (x === undefined || y === undefined) break;
    const xEnd = x.offsetBytes + x.lengthBytes;
    const yEnd = y.offsetBytes + y.lengthBytes;
    const offsetBytes = Math.max(x.offsetBytes, y.offsetBytes);
    const lengthBytes = Math.min(xEnd, yEnd) - offsetBytes;
    if (lengthBytes > 0) common.push({ offsetBytes, lengthBytes });
    if (xEnd <= yEnd) i++;
    else j++;
  }
  return common;
}

/** Runs `work` under the memory budget, between two looks at the replica. */
async function reading<T>(
  replicas: PageBlobPort,
  view: ReplicaView,
  { memory = mergeMemory, signal }: DigestOptions,
  work: (reader: AllocatedReader) => Promise<T>,
): Promise<T> {
  const { blobName, diskSizeBytes, snapshotId } = view;
  const release = await memory.take(Math.min(readBufferBytes, diskSizeBytes), signal);
  try {
    await checkReplica(replicas, view);
    const result = await work({
      diskSizeBytes,
      read: (range) => replicas.read(blobName, range, snapshotId),
      listRanges: (window) => replicas.listRanges(blobName, window, snapshotId),
    });
    await checkReplica(replicas, view);
    return result;
  } finally {
    release();
  }
}

async function checkReplica(replicas: PageBlobPort, view: ReplicaView): Promise<void> {
  const { blobName, diskSizeBytes, snapshotId, sequenceNumber } = view;
  const found = await replicas.find(blobName);
  if (!found) {
    throw new LifeboatError('ReplicaMissing', `Replica ${blobName} does not exist.`, { target: blobName });
  }
  if (found.sizeBytes < diskSizeBytes) {
    const message = `Replica ${blobName} has ${found.sizeBytes} bytes; its disk has ${diskSizeBytes}.`;
    throw new LifeboatError('ReplicaSizeMismatch', message, { target: blobName });
  }
  if (snapshotId !== undefined || sequenceNumber === undefined) return;
  if (found.sequenceNumber === sequenceNumber) return;
  const numbers = `sequence number ${found.sequenceNumber} instead of ${sequenceNumber}`;
  throw new LifeboatError(
    'ReplicaChanged',
    `Replica ${blobName} has ${numbers}: it was written while it was compared.`,
    { target: blobName },
  );
}
