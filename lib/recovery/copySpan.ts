// One span of a recovered disk: every chunk that the snapshot has bytes in is copied, inside the service where it offers
// that, and then both sides are read and compared. A chunk that is right already, from an attempt that died, is not
// copied again. The bytes come from a snapshot, which never changes, so writing a chunk twice is as good as once.
import { LifeboatError, isLifeboatError } from '../errors.ts';
import type { FaultPoint } from '../faults/points.ts';
import { forEachBounded } from '../merge/bounded.ts';
import { splitZeroRuns } from '../merge/zeroRuns.ts';
import { pageWriteLimitBytes, type ByteRange, type Fence, type PageBlobPort } from '../storage/ports.ts';
import { blockBytes, blockDigest, blocksOf, piecesOf, zeroBlockDigest } from './diskDigest.ts';

/** Blocks that are read together: requests of 8 MiB are the fastest, and the emulator reads smaller ones twice. */
const chunkBytes = 2 * blockBytes;
/** Chunks of one disk in flight at once: more gains nothing on one page blob. */
const chunksAtOnce = 4;

/** Bytes that the buffers of one disk can hold at once: both sides of every chunk in flight. */
export const copyMemoryBytes = 2 * chunksAtOnce * chunkBytes;

export interface SpanCopy {
  source: { port: PageBlobPort; container: string; name: string; snapshotId: string };
  target: { port: PageBlobPort; name: string; fence: Fence };
  fault: FaultPoint;
  signal?: AbortSignal | undefined;
}

export interface CopiedSpan {
  /** Level 1 digests of the blocks, in order. */
  digests: Uint8Array[];
  allocatedBytes: number;
}

/**
 * Makes the span of the target equal to the snapshot's. Returns when every block was compared. Throws
 * `RecoveryDiskMismatch` when the target does not hold what was written, `RecoveryPointMissing` when the snapshot is gone.
 */
export async function copySpan(copy: SpanCopy, span: ByteRange): Promise<CopiedSpan> {
  const { source, target } = copy;
  const [wanted, present] = await Promise.all([
    whileThere(source, source.port.listRanges(source.name, span, source.snapshotId)),
    target.port.listRanges(target.name, span),
  ]);
  const wantedOf = sortIntoChunks(wanted, span);
  const presentOf = sortIntoChunks(present, span);
  const digests = blocksOf(span).map(({ lengthBytes }) => zeroBlockDigest(lengthBytes));
  const bound = { concurrency: chunksAtOnce, signal: copy.signal };
  await forEachBounded(piecesOf(span, chunkBytes).entries(), bound, async ([index, chunk]) => {
    const ranges = { wanted: wantedOf[index] ?? [], present: presentOf[index] ?? [] };
    if (ranges.wanted.length + ranges.present.length === 0) return;
    const ofChunk = await copyChunk(copy, chunk, ranges);
    for (const [at, digest] of ofChunk.entries()) digests[(index * chunkBytes) / blockBytes + at] = digest;
  });
  return { digests, allocatedBytes: wanted.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0) };
}

/** The parts of the ranges that lie in each chunk of the span. */
function sortIntoChunks(ranges: readonly ByteRange[], span: ByteRange): ByteRange[][] {
  const sorted: ByteRange[][] = [];
  for (const { offsetBytes, lengthBytes } of ranges) {
    const end = offsetBytes + lengthBytes;
    for (let at = offsetBytes; at < end;) {
      const index = Math.floor((at - span.offsetBytes) / chunkBytes);
      const partEnd = Math.min(end, span.offsetBytes + (index + 1) * chunkBytes);
      (sorted[index] ??= []).push({ offsetBytes: at, lengthBytes: partEnd - at });
      at = partEnd;
    }
  }
  return sorted;
}

interface ChunkRanges {
  /** What the snapshot has in the chunk, and what the target had before. */
  wanted: readonly ByteRange[];
  present: readonly ByteRange[];
}

/** Returns the digests of the chunk's blocks. */
async function copyChunk(
  copy: SpanCopy,
  chunk: ByteRange,
  { wanted, present }: ChunkRanges,
): Promise<Uint8Array[]> {
  const { source, target } = copy;
  const bytes = await whileThere(
    source,
    readChunk(chunk, wanted, (range) => source.port.read(source.name, range, source.snapshotId)),
  );
  const digests = piecesOf({ offsetBytes: 0, lengthBytes: bytes.length }, blockBytes).map(
    ({ offsetBytes, lengthBytes }) => blockDigest(bytes.subarray(offsetBytes, offsetBytes + lengthBytes)),
  );
  const isRight = async (ranges: readonly ByteRange[]): Promise<boolean> => {
    const found = await readChunk(chunk, ranges, (range) => target.port.read(target.name, range));
    return Buffer.compare(found, bytes) === 0;
  };
  if (present.length > 0) {
    if (await isRight(present)) return digests;
    await target.port.clearPages(target.name, chunk, target.fence);
  }
  await writeChunk(copy, chunk, wanted, bytes);
  copy.fault('recovery.afterBlock');
  if (await isRight(wanted)) return digests;
  const place = `[${chunk.offsetBytes}, ${chunk.offsetBytes + chunk.lengthBytes})`;
  throw new LifeboatError(
    'RecoveryDiskMismatch',
    `${target.name} ${place} does not hold the bytes of snapshot ${source.snapshotId} of ${source.name}.`,
    { target: target.name },
  );
}

/** The chunk's bytes: one read from the first to the last allocated one, zeros around it. */
async function readChunk(
  chunk: ByteRange,
  ranges: readonly ByteRange[],
  read: (range: ByteRange) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const [first] = ranges;
  const last = ranges.at(-1);
  if (first === undefined || last === undefined) return new Uint8Array(chunk.lengthBytes);
  const { offsetBytes } = first;
  const bytes = await read({ offsetBytes, lengthBytes: last.offsetBytes + last.lengthBytes - offsetBytes });
  if (bytes.length === chunk.lengthBytes) return bytes;
  const whole = new Uint8Array(chunk.lengthBytes);
  whole.set(bytes, offsetBytes - chunk.offsetBytes);
  return whole;
}

/** Fills the allocated ranges. Zeros that the source wrote stay unallocated here when their run is long. */
async function writeChunk(
  { source, target }: SpanCopy,
  chunk: ByteRange,
  wanted: readonly ByteRange[],
  bytes: Uint8Array,
): Promise<void> {
  const { container, name, snapshotId } = source;
  for (const part of wanted.flatMap((range) => piecesOf(range, pageWriteLimitBytes))) {
    const start = part.offsetBytes - chunk.offsetBytes;
    for (const run of splitZeroRuns(bytes.subarray(start, start + part.lengthBytes))) {
      if (run.isZero) continue;
      const offsetBytes = part.offsetBytes + run.offset;
      const piece = { offsetBytes, lengthBytes: run.length };
      const from = { container, name, snapshotId, offsetBytes };
      if ((await target.port.copyPages?.(target.name, piece, from, target.fence)) === true) continue;
      const data = bytes.subarray(start + run.offset, start + run.offset + run.length);
      await target.port.writePages(target.name, offsetBytes, data, target.fence);
    }
  }
}

async function whileThere<T>({ name, snapshotId }: SpanCopy['source'], reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (!isLifeboatError(error, 'BlobNotFound')) throw error;
    const message = `Snapshot ${snapshotId} of replica ${name} does not exist any more.`;
    throw new LifeboatError('RecoveryPointMissing', message, { target: name, cause: error });
  }
}
