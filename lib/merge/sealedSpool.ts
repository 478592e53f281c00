// A run of a log's bytes in a scratch file, between the check that has read them and the merge. They are sealed with a key
// that exists in this object alone: outside of it the file says nothing, and what comes back is what went in, or an error.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { ScratchFile } from './scratch.ts';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
/** Sealed as one: short enough for small reads, long enough that sealing costs little more than its bytes. */
const chunkBytes = 128 * 1024;

/** Keeps [startBytes, endBytes) of the log. */
export class SealedSpool {
  readonly startBytes: number;
  readonly #file: ScratchFile;
  readonly #key = randomBytes(32);
  /** Where each chunk begins in the log, ascending, and what proves it. */
  readonly #starts: number[] = [];
  readonly #tags: Buffer[] = [];
  #endBytes: number;
  readonly #nonce = Buffer.alloc(nonceBytes);
  /** Buffers of reads that have ended. */
  readonly #buffers: Uint8Array[] = [];
  #sealed = new Uint8Array(0);

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
    if (this.#sealed.length < part.length) this.#sealed = new Uint8Array(part.length);
    const tags: Buffer[] = [];
    for (let done = 0; done < part.length; done += chunkBytes) {
      const cipher = createCipheriv(algorithm, this.#key, this.#nonceOf(this.#tags.length + tags.length));
      this.#sealed.set(cipher.update(part.subarray(done, done + chunkBytes)), done);
      cipher.final();
      tags.push(cipher.getAuthTag());
    }
    await this.#file.write(this.#endBytes - this.startBytes, this.#sealed.subarray(0, part.length));
    tags.forEach((tag, index) => {
      this.#starts.push(this.#endBytes + index * chunkBytes);
      this.#tags.push(tag);
    });
    this.#endBytes += part.length;
  }

  /** Fills `target` with bytes that are kept. Throws when the file does, and when it holds anything else. */
  async readInto(offsetBytes: number, target: Uint8Array): Promise<void> {
    if (target.length === 0) return;
    const endBytes = offsetBytes + target.length;
    const first = this.#chunkAt(offsetBytes);
    const last = this.#chunkAt(endBytes - 1);
    const fromBytes = this.#startOf(first);
    const lengthBytes = this.#startOf(last + 1) - fromBytes;
    const spare = this.#buffers.pop();
    const buffer = spare !== undefined && spare.length >= lengthBytes ? spare : new Uint8Array(lengthBytes);
    await this.#file.read(fromBytes - this.startBytes, buffer.subarray(0, lengthBytes));
    for (let chunk = first; chunk <= last; chunk++) {
      const [start, end] = [this.#startOf(chunk), this.#startOf(chunk + 1)];
      const bytes = this.#open(chunk, buffer.subarray(start - fromBytes, end - fromBytes));
      const part = bytes.subarray(Math.max(offsetBytes - start, 0), Math.min(endBytes, end) - start);
      target.set(part, Math.max(start - offsetBytes, 0));
    }
    this.#buffers.push(buffer);
  }

  /** Gives the room back. May be called twice. */
  async close(): Promise<void> {
    await this.#file.close();
  }

  #open(chunk: number, sealed: Uint8Array): Uint8Array {
    const decipher = createDecipheriv(algorithm, this.#key, this.#nonceOf(chunk));
    decipher.setAuthTag(this.#tags[chunk] ?? Buffer.alloc(0));
    const bytes = decipher.update(sealed);
    decipher.final();
    return bytes;
  }

  /** Each chunk has one of its own, which is all that the cipher asks of it. Valid until the next call. */
  #nonceOf(chunk: number): Uint8Array {
    this.#nonce.writeUInt32LE(chunk);
    return this.#nonce;
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
