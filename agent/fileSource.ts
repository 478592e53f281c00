// A regular file as a RandomAccessSource. The size is that of the moment of opening; a file that shrinks meanwhile
// makes a read fail instead of returning fewer bytes.
import { readSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { makeUnclearedReadBuffer } from '../lib/disk/readBuffer.ts';
import type { RandomAccessSource } from '../lib/disk/source.ts';
import { AgentError } from './agentError.ts';
import { readError } from './fileErrors.ts';

/** What a read of some bytes costs beside them: as much as copying so many out of the page cache. */
const readCostBytes = 16 * 1024;
/** Reads up to this length are made at once while they come from memory. */
const smallReadBytes = 256 * 1024;
/** A read that took longer waited: for the disk, or for others that use the processor. */
const slowReadMs = 1;
/** So many in a row at most, so that the process hears signals in between; and so many through the pool after a slow one. */
const readsInRow = 64;

/** An open file. `close` may be called twice. */
export interface FileSource extends RandomAccessSource, AsyncDisposable {
  readonly path: string;
  readInto(offsetBytes: number, target: Uint8Array): Promise<void>;
  readNow(offsetBytes: number, target: Uint8Array): boolean;
  close(): Promise<void>;
}

/**
 * Reads of one file. Handing a small read to the thread pool costs several times what it takes from the page cache, so
 * small ones are made on the calling thread until one had to wait for the disk; then they go through the pool, where
 * many wait at once.
 */
class FileReader {
  readonly #handle: FileHandle;
  readonly #path: string;
  #atOnceLeft = readsInRow;
  #pooledLeft = 0;
  #diskReads = process.resourceUsage().fsRead;

  constructor(handle: FileHandle, path: string) {
    this.#handle = handle;
    this.#path = path;
  }

  /** Fills `target`. Throws the system's error, AgentError when the file ends before. */
  async read(offsetBytes: number, target: Uint8Array): Promise<void> {
    let done = this.#atOnceLeft > 0 ? this.readNow(offsetBytes, target) : 0;
    if (done > 0) this.#atOnceLeft--;
    else if (target.length <= smallReadBytes) this.#countPooled();
    while (done < target.length) {
      const at = offsetBytes + done;
      const { bytesRead } = await this.#handle.read(target, done, target.length - done, at);
      if (bytesRead === 0) {
        const message = `${this.#path} ended at ${at} while it was read up to ${offsetBytes + target.length}.`;
        throw new AgentError('FileUnreadable', message, 'Nothing may truncate the file while it is read.');
      }
      done += bytesRead;
    }
  }

  /** Reads what can be read without waiting, as far as is known; returns how much that was. Rows are the caller's to end. */
  readNow(offsetBytes: number, target: Uint8Array): number {
    if (target.length > smallReadBytes || this.#pooledLeft > 0) return 0;
    const startedMs = performance.now();
    const readBytes = readSync(this.#handle.fd, target, 0, target.length, offsetBytes);
    if (performance.now() - startedMs > slowReadMs && this.#hasReadDisk()) this.#pooledLeft = readsInRow;
    return readBytes;
  }

  #countPooled(): void {
    if (this.#pooledLeft > 0) this.#pooledLeft--;
    else this.#atOnceLeft = readsInRow;
  }

  /** Whether the process has read from a disk since this was asked last; on Windows, whether it has read at all. */
  #hasReadDisk(): boolean {
    const before = this.#diskReads;
    this.#diskReads = process.resourceUsage().fsRead;
    return this.#diskReads > before;
  }
}

/** Opens a file for reading. Throws AgentError `FileNotFound` or `FileUnreadable`. */
export async function openFileSource(path: string): Promise<FileSource> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    throw readError(error, path);
  }
  const stats = await handle.stat();
  if (!stats.isFile()) {
    await handle.close();
    const message = `${path} is no regular file.`;
    throw new AgentError(
      'FileUnreadable',
      message,
      'Give the path of a file; copy a device or pipe to one first.',
    );
  }
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= handle.close());
  const assertWithin = (offsetBytes: number, lengthBytes: number): void => {
    if (offsetBytes >= 0 && lengthBytes >= 0 && offsetBytes + lengthBytes <= stats.size) return;
    throw new RangeError(
      `${path}: read [${offsetBytes}, ${offsetBytes + lengthBytes}) of ${stats.size} bytes`,
    );
  };
  const reader = new FileReader(handle, path);
  const readInto = async (offsetBytes: number, target: Uint8Array): Promise<void> => {
    assertWithin(offsetBytes, target.length);
    try {
      await reader.read(offsetBytes, target);
    } catch (error) {
      throw readError(error, path);
    }
  };
  return {
    path,
    sizeBytes: stats.size,
    readCostBytes,
    async read(offsetBytes, lengthBytes) {
      assertWithin(offsetBytes, lengthBytes);
      const bytes = makeUnclearedReadBuffer(lengthBytes);
      await readInto(offsetBytes, bytes);
      return bytes;
    },
    readInto,
    readNow(offsetBytes, target) {
      assertWithin(offsetBytes, target.length);
      try {
        return reader.readNow(offsetBytes, target) === target.length;
      } catch (error) {
        throw readError(error, path);
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
