// Applies a plan to a page blob (or to anything with pages). While one window is being written the next is read, and its
// writes begin as soon as there is room beside the last ones of the window before: windows are disjoint on the disk.
// Memory: two windows of 24 MiB, 16 MiB of reads in flight, and 16 MiB for copies that turned out to have to be carried,
// taken from the process's budget; the size of the log does not matter. What its check has kept in memory is written from
// there, without a copy; should that memory be called back meanwhile, it stays in use for two windows at most.
// Stopping anywhere leaves a disk that applying the same log again completes.
import type { RandomAccessSource } from '../disk/source.ts';
import { assertInvariant } from '../errors.ts';
import { pageWriteLimitBytes, type ByteRange } from '../storage/ports.ts';
import { Arenas } from './arenas.ts';
import { forEachBounded } from './bounded.ts';
import { ByteBudget, mergeMemory } from './byteBudget.ts';
import { chooseOrder } from './estimate.ts';
import { isCopyable, pageOperations, type LoadedWindow, type PageOperation } from './operations.ts';
import { totalLength, type Segments } from './segments.ts';
import { loadWindow, maxInFlightReadBytes } from './windowData.ts';
import { WindowWrites } from './windowWrites.ts';
import { defaultWindowBytes, planWindows, type MergeWindow, type WindowOrder } from './windows.ts';

/** Where merged data goes. The caller binds the blob, its lease and the fence. Calls run concurrently, never overlapping. */
export interface PageTarget {
  /** 512-aligned, at most 4 MiB. The data is a view that is reused once the promise settled. */
  writePages(offsetBytes: number, data: Uint8Array): Promise<void>;
  /** Makes the range read as zeros; 512-aligned, any length up to a window. */
  clearPages(range: ByteRange): Promise<void>;
  /**
   * Fills the range, 512-aligned and at most 4 MiB, with the log's bytes from `logOffsetBytes` without this process reading
   * them. False: it cannot, and nothing changed. Absent where the target has no way to reach the log.
   */
  copyPages?: ((range: ByteRange, logOffsetBytes: number) => Promise<boolean>) | undefined;
}

export interface MergeInput {
  /** The log file that the plan was made from. */
  source: RandomAccessSource;
  segments: Segments;
  target: PageTarget;
  /** Where the log is known to be zeros: ascending, disjoint. Copies see no bytes; these are cleared instead. */
  zeroRuns?: readonly ByteRange[];
  /** Writes in flight, default 8: more gains nothing on one page blob. */
  concurrency?: number;
  /** Live data of one window, default 24 MiB. */
  windowBytes?: number;
  /** In which order windows take the data; the one that is cheaper on a page blob when omitted. */
  order?: WindowOrder;
  /** What the buffers are taken from; the budget of the process when omitted. */
  memory?: ByteBudget;
  signal?: AbortSignal;
}

/** What a merge did. */
export interface MergeResult {
  writeRequests: number;
  copyRequests: number;
  clearRequests: number;
  /** Sent in page writes. */
  writtenBytes: number;
  /** Moved inside the service. */
  copiedBytes: number;
  /** Cleared instead of written. */
  clearedBytes: number;
  /** Fetched from the log; what stood in memory was not. */
  readBytes: number;
}

const defaultConcurrency = 8;
/** Of copies that have to be carried, at any moment. */
const maxCarriedBytes = 4 * pageWriteLimitBytes;

/**
 * Applies the plan. Returns when everything is written. At the first failed read or write, and at an abort, no more
 * are started, those in flight are awaited, and the error (or the signal's reason) is thrown. May be called again:
 * twice equals once. Waits until the budget has room for its buffers.
 */
export async function applyMerge(input: MergeInput): Promise<MergeResult> {
  const release = await (input.memory ?? mergeMemory).take(bufferBytes(input), input.signal);
  try {
    return await new Merge(input).run();
  } finally {
    release();
  }
}

/** The most that the buffers of the merge can hold at once. */
function bufferBytes({ source, segments, target, ...input }: MergeInput): number {
  const { windowBytes = defaultWindowBytes } = input;
  const liveBytes = totalLength(segments);
  const arenaBytes = liveBytes > windowBytes ? 2 * windowBytes : liveBytes;
  const carriedBytes = target.copyPages === undefined ? 0 : maxCarriedBytes;
  return (
    arenaBytes + Math.min(maxInFlightReadBytes, source.sizeBytes) + Math.min(carriedBytes, source.sizeBytes)
  );
}

interface HandedOut {
  operation: PageOperation;
  writes: WindowWrites;
}

/** One run of a plan. */
class Merge {
  readonly #input: MergeInput;
  readonly #liveBytes: number;
  readonly #windows: Generator<MergeWindow, void, undefined>;
  // The window that is written and the one that is read ahead take turns; a second is needed only if two exist.
  readonly #arenas: Arenas;
  readonly #result: MergeResult = {
    writeRequests: 0,
    copyRequests: 0,
    clearRequests: 0,
    writtenBytes: 0,
    copiedBytes: 0,
    clearedBytes: 0,
    readBytes: 0,
  };
  readonly #carried = new ByteBudget(maxCarriedBytes);
  #mayCopy: boolean;
  #hasFailed = false;

  constructor(input: MergeInput) {
    this.#input = input;
    const { segments, windowBytes = defaultWindowBytes } = input;
    this.#liveBytes = totalLength(segments);
    this.#arenas = new Arenas(Math.min(windowBytes, this.#liveBytes));
    const order = input.order ?? chooseOrder(segments, windowBytes);
    this.#windows = planWindows(segments, windowBytes, order);
    this.#mayCopy = input.target.copyPages !== undefined;
  }

  async run(): Promise<MergeResult> {
    const { concurrency = defaultConcurrency, signal } = this.#input;
    await forEachBounded(this.#operations(), { concurrency, signal }, async ({ operation, writes }) => {
      try {
        if (this.#hasFailed) return;
        signal?.throwIfAborted();
        await this.#perform(operation);
      } catch (error) {
        this.#hasFailed = true;
        throw error;
      } finally {
        writes.end();
      }
    });
    const { writtenBytes, copiedBytes, clearedBytes } = this.#result;
    assertInvariant(
      writtenBytes + copiedBytes + clearedBytes === this.#liveBytes,
      `a merge covers its plan: ${writtenBytes} written, ${copiedBytes} copied and ${clearedBytes} cleared of ${this.#liveBytes} bytes`,
    );
    this.#arenas.giveBack();
    return this.#result;
  }

  /** Every operation, window after window; whoever takes one ends it. */
  async *#operations(): AsyncGenerator<HandedOut, void, undefined> {
    const { zeroRuns = [] } = this.#input;
    let ahead = this.#loadNext(0);
    let before: WindowWrites | undefined;
    try {
      for (let turn = 1; ; turn++) {
        const loaded = await ahead;
        if (loaded === undefined) return;
        // Its arena is free when the window before this one has been written.
        ahead = (before?.ended ?? Promise.resolve()).then(() => this.#loadNext(turn));
        // It may fail while other windows are still being written; it is thrown when its turn comes, not as unhandled.
        ahead.catch(() => undefined);
        const writes = new WindowWrites();
        for (const operation of pageOperations(loaded, zeroRuns)) {
          writes.begin();
          yield { operation, writes };
        }
        writes.end();
        before = writes;
      }
    } catch (error) {
      this.#hasFailed = true;
      throw error;
    } finally {
      // Nothing is read any more when the merge has ended.
      await ahead.catch(() => undefined);
    }
  }

  /** Reads the next window, if there is one: all of it but what will be copied. */
  async #loadNext(turn: number): Promise<LoadedWindow | undefined> {
    if (this.#hasFailed) return undefined;
    const next = this.#windows.next();
    if (next.done === true) return undefined;
    const window = next.value;
    const carried = this.#mayCopy ? window.writes.filter((write) => !isCopyable(write)) : window.writes;
    const { source, signal } = this.#input;
    const takeArena = (): Uint8Array => this.#arenas.get(turn % 2);
    const { data, readBytes } = await loadWindow(source, carried, takeArena, signal);
    this.#result.readBytes += readBytes;
    return { window, data };
  }

  async #perform(operation: PageOperation): Promise<void> {
    const { offsetBytes, lengthBytes, data, logOffsetBytes } = operation;
    const result = this.#result;
    if (data !== undefined) {
      await this.#input.target.writePages(offsetBytes, data);
      result.writeRequests++;
      result.writtenBytes += lengthBytes;
    } else if (logOffsetBytes !== undefined) {
      await this.#copy({ offsetBytes, lengthBytes }, logOffsetBytes);
    } else {
      await this.#input.target.clearPages({ offsetBytes, lengthBytes });
      result.clearRequests++;
      result.clearedBytes += lengthBytes;
    }
  }

  /** Carries the bytes after all when the service does not copy, and plans no more copies then. */
  async #copy(range: ByteRange, logOffsetBytes: number): Promise<void> {
    const { source, target } = this.#input;
    if (this.#mayCopy && (await target.copyPages?.(range, logOffsetBytes)) === true) {
      this.#result.copyRequests++;
      this.#result.copiedBytes += range.lengthBytes;
      return;
    }
    this.#mayCopy = false;
    const release = await this.#carried.take(range.lengthBytes);
    try {
      const data = await source.read(logOffsetBytes, range.lengthBytes);
      this.#result.readBytes += data.length;
      await this.#perform({ ...range, data });
    } finally {
      release();
    }
  }
}
