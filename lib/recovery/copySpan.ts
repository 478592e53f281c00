// One span of a recovered disk: every block that the snapshot has bytes in is copied, inside the service where it offers
// that, and then both sides are read and compared. A block that is right already, from an attempt that died, is not
// copied again. The bytes come from a snapshot, which never changes, so writing a block twice is as good as once.
import { LifeboatError, isLifeboatError } from '../errors.ts';
import type { FaultPoint } from '../faults/points.ts';
import { forEachBounded } from '../merge/bounded.ts';
import { splitZeroRuns } from '../merge/zeroRuns.ts';
import type { ByteRange, Fence, PageBlobPort } from '../storage/ports.ts';
import { blockBytes, blockDigest, blocksOf, zeroBlockDigest } from './diskDigest.ts';

/** Blocks of one disk in flight at once: more gains nothing on one page blob. */
const blocksAtOnce = 4;

/** Bytes that the buffers of one disk can hold at once: both sides of every block in flight. */
export const copyMemoryBytes = 2 * blocksAtOnce * blockBytes;

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
  const blocks = blocksOf(span);
  const wantedOf = sortIntoBlocks(wanted, span);
  const presentOf = sortIntoBlocks(present, span);
  const digests = blocks.map(({ lengthBytes }) => zeroBlockDigest(lengthBytes));
  const bound = { concurrency: blocksAtOnce, signal: copy.signal };
  await forEachBounded(blocks.entries(), bound, async ([index, block]) => {
    const ranges = { wanted: wantedOf[index] ?? [], present: presentOf[index] ?? [] };
    if (ranges.wanted.length + ranges.present.length > 0)
      digests[index] = await copyBlock(copy, block, ranges);
  });
  return { digests, allocatedBytes: wanted.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0) };
}

/** The parts of the ranges that lie in each block of the span. */
function sortIntoBlocks(ranges: readonly ByteRange[], span: ByteRange): ByteRange[][] {
  const sorted: ByteRange[][] = [];
  for (const { offsetBytes, lengthBytes } of ranges) {
    const end = offsetBytes + lengthBytes;
    for (let at = offsetBytes; at < end;) {
      const index = Math.floor((at - span.offsetBytes) / blockBytes);
      const partEnd = Math.min(end, span.offsetBytes + (index + 1) * blockBytes);
      (sorted[index] ??= []).push({ offsetBytes: at, lengthBytes: partEnd - at });
      at = partEnd;
    }
  }
  return sorted;
}

interface BlockRanges {
  /** What the snapshot has in the block, and what the target had before. */
  wanted: readonly ByteRange[];
  present: readonly ByteRange[];
}

async function copyBlock(
  copy: SpanCopy,
  block: ByteRange,
  { wanted, present }: BlockRanges,
): Promise<Uint8Array> {
  const { source, target } = copy;
  const bytes = await whileThere(
    source,
    readBlock(block, wanted, (range) => source.port.read(source.name, range, source.snapshotId)),
  );
  const digest = blockDigest(bytes);
  const isRight = async (ranges: readonly ByteRange[]): Promise<boolean> => {
    const found = await readBlock(block, ranges, (range) => target.port.read(target.name, range));
    return Buffer.compare(found, bytes) === 0;
  };
  if (present.length > 0) {
    if (await isRight(present)) return digest;
    await target.port.clearPages(target.name, block, target.fence);
  }
  await writeBlock(copy, block, wanted, bytes);
  copy.fault('recovery.afterBlock');
  if (await isRight(wanted)) return digest;
  const place = `[${block.offsetBytes}, ${block.offsetBytes + block.lengthBytes})`;
  throw new LifeboatError(
    'RecoveryDiskMismatch',
    `${target.name} ${place} does not hold the bytes of snapshot ${source.snapshotId} of ${source.name}.`,
    { target: target.name },
  );
}

/** The block's bytes: one read from the first to the last allocated one, zeros around it. */
async function readBlock(
  block: ByteRange,
  ranges: readonly ByteRange[],
  read: (range: ByteRange) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const [first] = ranges;
  const last = ranges.at(-1);
  if (first === undefined || last === undefined) return new Uint8Array(block.lengthBytes);
  const { offsetBytes } = first;
  const bytes = await read({ offsetBytes, lengthBytes: last.offsetBytes + last.lengthBytes - offsetBytes });
  if (bytes.length === block.lengthBytes) return bytes;
  const whole = new Uint8Array(block.lengthBytes);
  whole.set(bytes, offsetBytes - block.offsetBytes);
  return whole;
}

/** Fills the allocated ranges. Zeros that the source wrote stay unallocated here when their run is long. */
async function writeBlock(
  { source, target }: SpanCopy,
  block: ByteRange,
  wanted: readonly ByteRange[],
  bytes: Uint8Array,
): Promise<void> {
  for (const range of wanted) {
    const start = range.offsetBytes - block.offsetBytes;
    for (const run of splitZeroRuns(bytes.subarray(start, start + range.lengthBytes))) {
      if (run.isZero) continue;
      const offsetBytes = range.offsetBytes + run.offset;
      const part = { offsetBytes, lengthBytes: run.length };
      const { container, name, snapshotId } = source;
      const from = { container, name, snapshotId, offsetBytes };
      if ((await target.port.copyPages?.(target.name, part, from, target.fence)) === true) continue;
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
