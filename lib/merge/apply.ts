// Applies a plan to a page blob (or to anything with pages). While one window is being written the next is read.
// Memory: two windows of 32 MiB, 16 MiB of reads in flight, and what the target holds for its writes in flight; the size
// of the log does not matter. Stopping anywhere leaves a disk that applying the same log again completes.
import type { RandomAccessSource } from '../disk/source.ts';
import { assertInvariant } from '../errors.ts';
import type { ByteRange } from '../storage/ports.ts';
import { forEachBounded } from './bounded.ts';
import { chooseOrder } from './estimate.ts';
import { totalLength, type Segments } from './segments.ts';
import { loadWindow } from './windowData.ts';
import { defaultWindowBytes, planWindows, type MergeWindow, type WindowOrder } from './windows.ts';
import { splitZeroRuns } from './zeroRuns.ts';

/** Where merged data goes. The caller binds the blob, its lease and the fence. Calls run concurrently, never overlapping. */
export interface PageTarget {
  /** 512-aligned, at most 4 MiB. The data is a view that is reused once the promise settled. */
  writePages(offsetBytes: number, data: Uint8Array): Promise<void>;
  /** Makes the range read as zeros; 512-aligned, any length up to a window. */
  clearPages(range: ByteRange): Promise<void>;
}

export interface MergeInput {
  /** The log file that the plan was made from. */
  source: RandomAccessSource;
  segments: Segments;
  target: PageTarget;
  /** Writes in flight, default 4: more gains nothing on one page blob. */
  concurrency?: number;
  /** Live data of one window, default 32 MiB. Memory is twice this and 16 MiB. */
  windowBytes?: number;
  /** In which order windows take the data; the one that is cheaper on a page blob when omitted. */
  order?: WindowOrder;
  signal?: AbortSignal;
}

/** What a merge did. */
export interface MergeResult {
  writeRequests: number;
  clearRequests: number;
  /** Sent in page writes. */
  writtenBytes: number;
  /** Cleared instead of written. */
  clearedBytes: number;
  /** Fetched from the log. */
  readBytes: number;
}

/** A page write, or a range to clear when there is no data. */
interface PageOperation {
  offsetBytes: number;
  lengthBytes: number;
  data: Uint8Array | undefined;
}

/**
 * Applies the plan. Returns when everything is written. At the first failed read or write, and at an abort, no more
 * are started, those in flight are awaited, and the error (or the signal's reason) is thrown. May be called again:
 * twice equals once.
 */
export async function applyMerge(input: MergeInput): Promise<MergeResult> {
  const { source, segments, signal } = input;
  const result: MergeResult = {
    writeRequests: 0,
    clearRequests: 0,
    writtenBytes: 0,
    clearedBytes: 0,
    readBytes: 0,
  };
  const windowBytes = input.windowBytes ?? defaultWindowBytes;
  const liveBytes = totalLength(segments);
  const windows = planWindows(segments, windowBytes, input.order ?? chooseOrder(segments, windowBytes));
  // The window that is written and the one that is read ahead take turns; a second is needed only if two exist.
  const arenas: Uint8Array[] = [];
  const loadNext = (turn: number): Promise<LoadedWindow> | undefined => {
    const next = windows.next();
    if (next.done === true) return undefined;
    const arena = (arenas[turn % 2] ??= new Uint8Array(Math.min(windowBytes, liveBytes)));
    return loadWindow(source, next.value, arena, signal).then((readBytes) => {
      result.readBytes += readBytes;
      return { window: next.value, arena };
    });
  };
  let ahead = loadNext(0);
  for (let turn = 1; ahead !== undefined; turn++) {
    const loaded: LoadedWindow = await ahead;
    ahead = loadNext(turn);
    // It may fail while this window is still being written; it is thrown when its turn comes, not as unhandled.
    ahead?.catch(() => undefined);
    try {
      await writeWindow(loaded, input, result);
    } catch (error) {
      await ahead?.catch(() => undefined);
      throw error;
    }
  }
  assertInvariant(
    result.writtenBytes + result.clearedBytes === liveBytes,
    `a merge covers its plan: ${result.writtenBytes} written and ${result.clearedBytes} cleared of ${liveBytes} bytes`,
  );
  return result;
}

interface LoadedWindow {
  window: MergeWindow;
  arena: Uint8Array;
}

async function writeWindow(loaded: LoadedWindow, input: MergeInput, result: MergeResult): Promise<void> {
  const { target, concurrency = 4, signal } = input;
  await forEachBounded(
    pageOperations(loaded),
    { concurrency, signal },
    async ({ offsetBytes, lengthBytes, data }) => {
      if (data === undefined) {
        await target.clearPages({ offsetBytes, lengthBytes });
        result.clearRequests++;
        result.clearedBytes += lengthBytes;
      } else {
        await target.writePages(offsetBytes, data);
        result.writeRequests++;
        result.writtenBytes += lengthBytes;
      }
    },
  );
}

/** The operations of a window in ascending disk order; zero runs that touch across writes become one clear. */
function* pageOperations({ window, arena }: LoadedWindow): Generator<PageOperation, void, undefined> {
  let clear: PageOperation | undefined;
  let arenaOffset = 0;
  for (const write of window.writes) {
    const writeData = arena.subarray(arenaOffset, arenaOffset + write.length);
    arenaOffset += write.length;
    for (const { offset, length, isZero } of splitZeroRuns(writeData)) {
      const offsetBytes = write.diskOffset + offset;
      if (isZero && clear !== undefined && clear.offsetBytes + clear.lengthBytes === offsetBytes) {
        clear.lengthBytes += length;
        continue;
      }
      if (clear !== undefined) yield clear;
      clear = isZero ? { offsetBytes, lengthBytes: length, data: undefined } : undefined;
      if (!isZero)
        yield { offsetBytes, lengthBytes: length, data: writeData.subarray(offset, offset + length) };
    }
  }
  if (clear !== undefined) yield clear;
}
