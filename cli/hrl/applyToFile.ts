// Writes a planned log into a file, in place. The log is read from front to back into two buffers that take turns, and
// each piece is written straight from there; the system brings the writes into the order of the disk. Writes are made at
// once, not through the thread pool: most are small and end in the page cache, where handing them over costs several
// times what they take. The process still hears signals while it waits for a read. What was written is made durable while
// more is written, so that the end waits for the rest only; a crash leaves what applying the log again completes.
import type { FileHandle } from 'node:fs/promises';
import { EarlySync } from '../../agent/earlySync.ts';
import { writeFully, writeFullySync } from '../../agent/fileWrite.ts';
import { makeReadBuffer } from '../../lib/disk/readBuffer.ts';
import { readReusing, type RandomAccessSource } from '../../lib/disk/source.ts';
import { planLogReads, type LogRead } from '../../lib/merge/logReads.ts';
import type { Segments } from '../../lib/merge/segments.ts';
import { splitZeroRuns } from '../../lib/merge/zeroRuns.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';

/** Two of these fit into the cache of one core, where the bytes still are when they are written. */
const readBytes = 4 * 1024 * 1024;
/** Written between two beginnings of making it durable. */
const syncBytes = 16 * 1024 * 1024;
const clearChunkBytes = 1024 * 1024;
const zeros = new Uint8Array(clearChunkBytes);

export interface FileApplication {
  /** The log that the plan was made from. */
  source: RandomAccessSource;
  segments: Segments;
  /** Open for reading and writing; the file must reach as far as the plan does. */
  handle: FileHandle;
  signal?: AbortSignal;
  /** Leaves it to the system when the data reaches the disk. */
  isUnsynced?: boolean;
  /** Called with the bytes of data so far. */
  onProgress?: (doneBytes: number) => void;
}

export interface FileApplied {
  writtenBytes: number;
  /** Zeros: where the file reads as zeros already it stays as it is, so that holes stay holes. */
  clearedBytes: number;
}

/**
 * Applies the plan; everything is durable when it returns, unless wanted otherwise. Throws the errors of the source and of
 * the system, or the signal's reason; part of the plan is written then. Twice equals once.
 */
export async function applyToFile(application: FileApplication): Promise<FileApplied> {
  const { source, segments, handle, signal, onProgress } = application;
  const isSynced = application.isUnsynced !== true;
  const sync = new EarlySync(handle, isSynced ? syncBytes : Number.POSITIVE_INFINITY);
  const done: FileApplied = { writtenBytes: 0, clearedBytes: 0 };
  try {
    for await (const loaded of loadReads(source, segments)) {
      signal?.throwIfAborted();
      await writeRead(handle, loaded, done);
      sync.note(loaded.end - loaded.start);
      onProgress?.(done.writtenBytes + done.clearedBytes);
    }
  } catch (error) {
    // Nothing works on the file behind the back of a caller that closes it now; the first error is the one that counts.
    await sync.settle();
    throw error;
  }
  if (isSynced) await sync.finish();
  return done;
}

interface LoadedRead extends LogRead {
  /** The log from `start` on; valid until the next but one is taken. */
  bytes: Uint8Array;
}

/** While one read is worked on, the next is in flight. */
async function* loadReads(
  source: RandomAccessSource,
  segments: Segments,
): AsyncGenerator<LoadedRead, void, undefined> {
  const reads = planLogReads(segments, readBytes);
  const buffers = [makeReadBuffer(readBytes), makeReadBuffer(readBytes)] as const;
  let turn = 0;
  const loadNext = async (): Promise<LoadedRead | undefined> => {
    const next = reads.next();
    if (next.done === true) return undefined;
    const { start, end } = next.value;
    const buffer = buffers[turn++ % 2 === 0 ? 0 : 1];
    return { ...next.value, bytes: await readReusing(source, start, end - start, buffer) };
  };
  let ahead = loadNext();
  try {
    for (let loaded = await ahead; loaded !== undefined; loaded = await ahead) {
      ahead = loadNext();
      // It may fail while the caller is still at work; it is thrown when its turn comes, not as unhandled.
      ahead.catch(() => undefined);
      yield loaded;
    }
  } finally {
    // The caller may have left early and close the source now.
    await ahead.catch(() => undefined);
  }
}

async function writeRead(
  handle: FileHandle,
  { start, segments, bytes }: LoadedRead,
  done: FileApplied,
): Promise<void> {
  for (const { diskOffset, dataOffset, length } of segments) {
    const data = bytes.subarray(dataOffset - start, dataOffset - start + length);
    for (const run of splitZeroRuns(data)) {
      const offsetBytes = diskOffset + run.offset;
      if (run.isZero) {
        await clearRange(handle, { offsetBytes, lengthBytes: run.length });
        done.clearedBytes += run.length;
      } else {
        writeFullySync(handle.fd, offsetBytes, data.subarray(run.offset, run.offset + run.length));
        done.writtenBytes += run.length;
      }
    }
  }
}

async function clearRange(handle: FileHandle, { offsetBytes, lengthBytes }: ByteRange): Promise<void> {
  const found = Buffer.allocUnsafe(Math.min(clearChunkBytes, lengthBytes));
  for (let done = 0; done < lengthBytes; done += clearChunkBytes) {
    const length = Math.min(clearChunkBytes, lengthBytes - done);
    const { bytesRead } = await handle.read(found, 0, length, offsetBytes + done);
    const isZero =
      bytesRead === length && Buffer.compare(found.subarray(0, length), zeros.subarray(0, length)) === 0;
    if (!isZero) await writeFully(handle, offsetBytes + done, zeros.subarray(0, length));
  }
}
