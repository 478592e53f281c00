// Reads the coarse blocks of a disk in which something was ever written, and nothing else. Neighbouring blocks are read
// together; long holes inside and between them are not read, short ones are, because a request costs more than they do.
import type { ByteRange } from '../storage/ports.ts';
import { joinRanges } from '../storage/pageBounds.ts';
import { forEachBounded } from '../merge/bounded.ts';
import { blockRange, coarseBlockBytes } from './blocks.ts';

/** A replica, a snapshot, or a frozen source, as far as comparing needs it. */
export interface AllocatedReader {
  readonly diskSizeBytes: number;
  read(range: ByteRange): Promise<Uint8Array>;
  /** Where something may lie that is not zeros: ascending, disjoint. Everything else reads as zeros. */
  listRanges(window: ByteRange): Promise<ByteRange[]>;
}

/**
 * Longest hole that is read over. A page blob answers 500 requests or moves 60 MiB in a second: below 123 KiB another
 * request is the dearer one.
 */
export const maxHoleBytes = 120 * 1024;
/** One run of blocks: what the storage adapter fetches in one piece. */
const maxRunBytes = 8 * 1024 * 1024;
const runsAtOnce = 4;
/** The most that `readAllocatedBlocks` holds. */
export const readBufferBytes = runsAtOnce * maxRunBytes;

/** Neighbouring coarse blocks, and the parts of them that are read. */
interface BlockRun {
  firstBlock: number;
  endBlock: number;
  parts: ByteRange[];
}

/** Cuts the ranges into runs of at most 8 MiB that begin and end at the borders of blocks. */
function planRuns(ranges: readonly ByteRange[], diskSizeBytes: number): BlockRun[] {
  const runs: BlockRun[] = [];
  for (const range of ranges) {
    const rangeEnd = range.offsetBytes + range.lengthBytes;
    for (let start = range.offsetBytes; start < rangeEnd;) {
      const block = Math.floor(start / coarseBlockBytes);
      const run = runFor(runs, block);
      const runLimit = Math.min(run.firstBlock * coarseBlockBytes + maxRunBytes, diskSizeBytes);
      const end = Math.min(rangeEnd, runLimit);
      addPart(run, { offsetBytes: start, lengthBytes: end - start });
      run.endBlock = Math.ceil(end / coarseBlockBytes);
      start = end;
    }
  }
  return runs;
}

/** The last run, if the block is in it or follows it and there is room; else a new one. */
function runFor(runs: BlockRun[], block: number): BlockRun {
  const last = runs.at(-1);
  if (last !== undefined && block <= last.endBlock) {
    const hasRoom = (block + 1 - last.firstBlock) * coarseBlockBytes <= maxRunBytes;
    if (hasRoom) return last;
  }
  const run = { firstBlock: block, endBlock: block, parts: [] };
  runs.push(run);
  return run;
}

function addPart(run: BlockRun, part: ByteRange): void {
  const last = run.parts.at(-1);
  const gap = last === undefined ? Infinity : part.offsetBytes - last.offsetBytes - last.lengthBytes;
  if (last === undefined || gap > maxHoleBytes) run.parts.push(part);
  else last.lengthBytes += gap + part.lengthBytes;
}

export interface ReadTotals {
  bytesRead: number;
  /** Of the window, not read because nothing was ever written there. */
  bytesSkipped: number;
}

/**
 * Calls `visit` with every coarse block of the window that has something allocated, whole, in no order, a few at a time; the
 * rest of the window is zeros. The window begins and ends at borders of blocks. The bytes are valid until the promise of
 * `visit` settles. At most 32 MiB are held.
 */
export async function readAllocatedBlocks(
  reader: AllocatedReader,
  window: ByteRange,
  visit: (block: number, bytes: Uint8Array) => Promise<void>,
  signal?: AbortSignal,
): Promise<ReadTotals> {
  const ranges = joinRanges(await reader.listRanges(window), window);
  let bytesRead = 0;
  await forEachBounded(
    planRuns(ranges, reader.diskSizeBytes),
    { concurrency: runsAtOnce, signal },
    async (run) => {
      const bytes = await readRun(reader, run);
      bytesRead += run.parts.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
      const blocks = Array.from({ length: run.endBlock - run.firstBlock }, (_, index) => index);
      await Promise.all(
        blocks.map((index) => {
          const block = run.firstBlock + index;
          const { lengthBytes } = blockRange(reader.diskSizeBytes, coarseBlockBytes, block);
          const from = index * coarseBlockBytes;
          return visit(block, bytes.subarray(from, from + lengthBytes));
        }),
      );
    },
  );
  return { bytesRead, bytesSkipped: window.lengthBytes - bytesRead };
}

/** The bytes of the run's blocks, with zeros where nothing is read. */
async function readRun(reader: AllocatedReader, run: BlockRun): Promise<Uint8Array> {
  const start = run.firstBlock * coarseBlockBytes;
  const end = Math.min(run.endBlock * coarseBlockBytes, reader.diskSizeBytes);
  const [only] = run.parts;
  if (run.parts.length === 1 && only?.offsetBytes === start && only.lengthBytes === end - start)
    return reader.read(only);
  const bytes = new Uint8Array(end - start);
  for (const part of run.parts) bytes.set(await reader.read(part), part.offsetBytes - start);
  return bytes;
}
