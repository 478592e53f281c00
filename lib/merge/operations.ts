// What a window is turned into: page writes from memory, copies inside the service, and clears, in ascending disk order.
// A write may be copied only if its bytes lie in the log as they will lie on the disk, end to end: then a copy takes
// the place of exactly one page write, and copying never costs more requests than carrying.
import type { ByteRange } from '../storage/ports.ts';
import { runsWithin } from './knownZeros.ts';
import { isContiguous, type MergeWindow, type MergeWrite } from './windows.ts';
import { minZeroRunBytes, splitZeroRuns } from './zeroRuns.ts';

/** A page write of `data`; or a copy of the log from `logOffsetBytes`; or, with neither, a range to clear. */
export interface PageOperation {
  offsetBytes: number;
  lengthBytes: number;
  data?: Uint8Array;
  logOffsetBytes?: number;
}

/**
 * Shortest write that is copied. Shorter ones stand in the log beside others that have to be read anyway, and reading
 * skips no gap below 128 KiB.
 */
const minCopyBytes = 256 * 1024;

/** A window and the bytes of its writes. */
export interface LoadedWindow {
  window: MergeWindow;
  /** Of each write that is not copied. */
  data: ReadonlyMap<MergeWrite, Uint8Array>;
}

/** Whether the service can do the write by itself. */
export function isCopyable(write: MergeWrite): boolean {
  return write.length >= minCopyBytes && isContiguous(write);
}

/** The operations of a window; zero runs that touch across writes become one clear. */
export function* pageOperations(
  { window, data }: LoadedWindow,
  zeroRuns: readonly ByteRange[],
): Generator<PageOperation, void, undefined> {
  let clear: PageOperation | undefined;
  for (const write of window.writes) {
    const bytes = data.get(write);
    const operations = bytes === undefined ? copyOperations(write, zeroRuns) : writeOperations(write, bytes);
    for (const operation of operations) {
      const isClear = operation.data === undefined && operation.logOffsetBytes === undefined;
      if (isClear && clear !== undefined && clear.offsetBytes + clear.lengthBytes === operation.offsetBytes) {
        clear.lengthBytes += operation.lengthBytes;
        continue;
      }
      if (clear !== undefined) yield clear;
      clear = isClear ? operation : undefined;
      if (!isClear) yield operation;
    }
  }
  if (clear !== undefined) yield clear;
}

function* writeOperations(write: MergeWrite, data: Uint8Array): Generator<PageOperation> {
  for (const { offset, length, isZero } of splitZeroRuns(data)) {
    const range = { offsetBytes: write.diskOffset + offset, lengthBytes: length };
    yield isZero ? range : { ...range, data: data.subarray(offset, offset + length) };
  }
}

function* copyOperations(write: MergeWrite, zeroRuns: readonly ByteRange[]): Generator<PageOperation> {
  const start = write.pieces[0]?.dataOffset ?? 0;
  const end = start + write.length;
  const copy = (from: number, to: number): PageOperation => ({
    offsetBytes: write.diskOffset + from - start,
    lengthBytes: to - from,
    logOffsetBytes: from,
  });
  let done = start;
  for (const { offsetBytes, lengthBytes } of runsWithin(zeroRuns, start, end)) {
    // What is left of a run at the edge of a write may be too short to be worth a request of its own.
    if (lengthBytes < minZeroRunBytes && lengthBytes < write.length) continue;
    if (offsetBytes > done) yield copy(done, offsetBytes);
    yield { offsetBytes: write.diskOffset + offsetBytes - start, lengthBytes };
    done = offsetBytes + lengthBytes;
  }
  if (end > done) yield copy(done, end);
}
