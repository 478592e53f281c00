// Writes a log into a file and hashes it in the same pass. A log begins with its header, which is known only at its
// end; so the hash starts from the header that is expected, and counts only if that is the one that was written; without an
// expectation nothing is hashed. Pieces are collected in buffers: while one is written and hashed, the next is filled.
import { createHash } from 'node:crypto';
import { headerSizeBytes } from '../lib/hrl/format.ts';
import type { HrlSink } from '../lib/hrl/writer.ts';

/** Small enough to be hashed while it is still in the cache of the processor. */
const bufferBytes = 512 * 1024;
const bufferCount = 8;

/** Pieces come as HrlSink says: contiguous, but for the header, which comes first and again as the last. */
export class HashingSink implements HrlSink {
  readonly #inner: HrlSink;
  readonly #expectedHeader: Uint8Array | undefined;
  readonly #hash = createHash('sha256');
  readonly #free = Array.from({ length: bufferCount }, () => new Uint8Array(bufferBytes));
  readonly #busy: Promise<Uint8Array>[] = [];
  #buffer: Uint8Array | undefined;
  #filledBytes = 0;
  #endBytes = headerSizeBytes;
  #isExpectedHeader = false;
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(inner: HrlSink, expectedHeader: Uint8Array | undefined) {
    this.#inner = inner;
    this.#expectedHeader = expectedHeader;
    if (expectedHeader !== undefined) this.#hash.update(expectedHeader);
  }

  /** Takes a copy of the data, or writes it before the promise resolves. A failure may be thrown by a later call. */
  async write(offsetBytes: number, data: Uint8Array): Promise<void> {
    if (offsetBytes === 0) return this.#writeHeader(data);
    for (let done = 0; done < data.length;) {
      this.#buffer ??= await this.#takeBuffer();
      const part = data.subarray(done, done + bufferBytes - this.#filledBytes);
      this.#buffer.set(part, this.#filledBytes);
      this.#filledBytes += part.length;
      done += part.length;
      if (this.#filledBytes === bufferBytes) this.#startBuffer();
    }
  }

  /** SHA-256 of the file after its last piece, lower-case hex; undefined when its header is not the expected one. Once. */
  takeSha256(): string | undefined {
    return this.#isExpectedHeader ? this.#hash.digest('hex') : undefined;
  }

  async #writeHeader(header: Uint8Array): Promise<void> {
    this.#startBuffer();
    await Promise.all(this.#busy);
    await this.#lastWrite;
    const expected = this.#expectedHeader;
    this.#isExpectedHeader = expected !== undefined && Buffer.compare(header, expected) === 0;
    await this.#inner.write(0, header);
  }

  async #takeBuffer(): Promise<Uint8Array> {
    return this.#free.pop() ?? (await this.#busy.shift()) ?? new Uint8Array(bufferBytes);
  }

  /** Hashes the buffer while it is written; the inner sink gets one write after another. */
  #startBuffer(): void {
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    const data = buffer.subarray(0, this.#filledBytes);
    const offsetBytes = this.#endBytes;
    this.#endBytes += data.length;
    this.#filledBytes = 0;
    this.#buffer = undefined;
    this.#lastWrite = this.#lastWrite.then(() => this.#inner.write(offsetBytes, data));
    const done = this.#lastWrite.then(() => buffer);
    // A failure is thrown by a later call, which awaits it.
    done.catch(() => undefined);
    this.#busy.push(done);
    if (this.#expectedHeader !== undefined) this.#hash.update(data);
  }
}
