// Writes a log into a file and hashes it in the same pass. A log begins with its header, which is known only at its
// end; so the hash starts from the header that is expected, and counts only if that is the one that was written; without an
// expectation nothing is hashed. Small pieces are collected, and while a buffer is being written the next is filled.
import { createHash } from 'node:crypto';
import { headerSizeBytes } from '../lib/hrl/format.ts';
import type { HrlSink } from '../lib/hrl/writer.ts';

const bufferBytes = 1024 * 1024;

/** Pieces come as HrlSink says: contiguous, but for the header, which comes first and again as the last. */
export class HashingSink implements HrlSink {
  readonly #inner: HrlSink;
  readonly #expectedHeader: Uint8Array | undefined;
  readonly #hash = createHash('sha256');
  #buffer = Buffer.allocUnsafe(bufferBytes);
  #spare = Buffer.allocUnsafe(bufferBytes);
  #filledBytes = 0;
  #endBytes = headerSizeBytes;
  #isExpectedHeader = false;
  #pending: Promise<void> = Promise.resolve();

  constructor(inner: HrlSink, expectedHeader: Uint8Array | undefined) {
    this.#inner = inner;
    this.#expectedHeader = expectedHeader;
    if (expectedHeader !== undefined) this.#hash.update(expectedHeader);
  }

  /** Takes a copy of small data; large data is written before the promise resolves. */
  async write(offsetBytes: number, data: Uint8Array): Promise<void> {
    if (offsetBytes === 0) {
      await this.#flush();
      await this.#pending;
      const expected = this.#expectedHeader;
      this.#isExpectedHeader = expected !== undefined && Buffer.compare(data, expected) === 0;
      return this.#inner.write(0, data);
    }
    if (this.#filledBytes + data.length > bufferBytes) await this.#flush();
    if (data.length > bufferBytes / 4) {
      await this.#flush();
      this.#start(data);
      return this.#pending;
    }
    this.#buffer.set(data, this.#filledBytes);
    this.#filledBytes += data.length;
  }

  /** SHA-256 of the file after its last piece, lower-case hex; undefined when its header is not the expected one. Once. */
  takeSha256(): string | undefined {
    return this.#isExpectedHeader ? this.#hash.digest('hex') : undefined;
  }

  async #flush(): Promise<void> {
    await this.#pending;
    if (this.#filledBytes === 0) return;
    const data = this.#buffer.subarray(0, this.#filledBytes);
    [this.#buffer, this.#spare] = [this.#spare, this.#buffer];
    this.#filledBytes = 0;
    this.#start(data);
  }

  /** Hashes while the write is on its way. */
  #start(data: Uint8Array): void {
    this.#pending = this.#inner.write(this.#endBytes, data);
    // A failure is thrown by the next call, which awaits it.
    this.#pending.catch(() => undefined);
    this.#endBytes += data.length;
    if (this.#expectedHeader !== undefined) this.#hash.update(data);
  }
}
