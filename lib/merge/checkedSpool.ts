// A run of a log's bytes in a scratch file, between the check that has read them and the merge. Each chunk has a checksum
// that stays in memory: what comes back is what went in, or an error.
import { crc32 } from 'node:zlib';
import { makeReadBuffer } from '../disk/readBuffer.ts';
import type { ScratchFile } from './scratch.ts';

/** Has one checksum: short enough for small reads, long enough that a request to the file costs little beside it. */
const chunkBytes = 128 * 1024;
/** Read in one go. */
const chunksAtOnce = 8;

/** Keeps [startBytes, endBytes) of the log. */
export class CheckedSpool {
  readonly startBytes: number;
  readonly #file: ScratchFile;
  /** Where each chunk begins in the log, ascending, and its CRC32. */
  readonly #starts: number[] = [];
  readonly #checksums: number[] = [];
  /** That no read uses at the moment. */
  readonly #buffers: Uint8Array[] = [];
  #endBytes: number;

  constructor(file: ScratchFile, startBytes: number) {
    this.#file = file;
    this.startBytes = startBytes;
    this.#endBytes = startBytes;
  }

  get endBytes(): number {
    return this.#endBytes;
  }

  /** Adds what follows in the log, as far as there is room. One call at a time. Throws when the file does; nothing is added then. */
  async append(bytes: Uint8Array): Promise<void> {
    const part = bytes.subarray(0, this.startBytes + this.#file.sizeBytes - this.#endBytes);
    await this.#file.write(this.#endBytes - this.startBytes, part);
    for (let done = 0; done < part.length; done += chunkBytes) {
      this.#starts.push(this.#endBytes + done);
      this.#checksums.push(crc32(part.subarray(done, done + chunkBytes)));
    }
    this.#endBytes += part.length;
  }

  /** Fills `target` with bytes that are kept. Throws when the file does, and when it holds anything else; `target` is undefined then. */
  async readInto(offsetBytes: number, target: Uint8Array): Promise<void> {
    const endBytes = offsetBytes + target.length;
    const buffer = this.#buffers.pop() ?? makeReadBuffer(chunksAtOnce * chunkBytes);
    for (let first = this.#chunkAt(offsetBytes); this.#startOf(first) < endBytes; first += chunksAtOnce) {
      const startBytes = this.#startOf(first);
      const readEndBytes = this.#startOf(first + chunksAtOnce);
      // Chunks that are wanted whole are read where they belong.
      const isWhole = startBytes >= offsetBytes && readEndBytes <= endBytes;
      const bytes = isWhole
        ? target.subarray(startBytes - offsetBytes, readEndBytes - offsetBytes)
        : buffer.subarray(0, readEndBytes - startBytes);
      await this.#file.read(startBytes - this.startBytes, bytes);
      this.#check(first, bytes);
      if (isWhole) continue;
      const part = bytes.subarray(Math.max(offsetBytes - startBytes, 0), endBytes - startBytes);
      target.set(part, Math.max(startBytes - offsetBytes, 0));
    }
    this.#buffers.push(buffer);
  }

  /** Gives the room back. May be called twice. */
  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Throws unless `bytes` are those of the chunks from `first` on. */
  #check(first: number, bytes: Uint8Array): void {
    const startBytes = this.#startOf(first);
    for (let chunk = first; this.#startOf(chunk) < startBytes + bytes.length; chunk++) {
      const found = crc32(
        bytes.subarray(this.#startOf(chunk) - startBytes, this.#startOf(chunk + 1) - startBytes),
      );
      if (found !== this.#checksums[chunk])
        throw new Error(`scratch file: other bytes than were written at ${this.#startOf(chunk)}`);
    }
  }

  #startOf(chunk: number): number {
    return this.#starts[chunk] ?? this.#endBytes;
  }

  /** The chunk that holds the byte. */
  #chunkAt(offsetBytes: number): number {
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#startOf(middle) <= offsetBytes) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
