// Writes a log into a file and hashes it in the same pass. A log begins with its header, which is known only at its
// end; so the hash starts from the header that is expected, and counts only if that is the one that was written; without an
// expectation nothing is hashed. Pieces are collected in buffers: while one is written and hashed, the next is filled.
import { headerSizeBytes } from '../lib/hrl/format.ts';
import type { HrlSink } from '../lib/hrl/writer.ts';
import type { Sha256 } from './sha256.ts';

const bufferBytes = 1024 * 1024;
const bufferCount = 4;

/** What the log will begin with when it is closed, and what hashes it. */
export interface ExpectedLog {
  header: Uint8Array;
  hash: Sha256;
}

/** Pieces come as HrlSink says: contiguous, but for the header, which comes first and again as the last. */
export class HashingSink implements HrlSink {
  readonly #inner: HrlSink;
  readonly #expected: ExpectedLog | undefined;
  // Shared memory: a hash on another thread reads it where it is.
  readonly #free = Array.from(
    { length: bufferCount },
    () => new Uint8Array(new SharedArrayBuffer(bufferBytes)),
  );
  readonly #busy: Promise<Uint8Array>[] = [];
  #buffer: Uint8Array | undefined;
  #filledBytes = 0;
  #endBytes = headerSizeBytes;
  #isExpectedHeader = false;
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(inner: HrlSink, expected: ExpectedLog | undefined) {
    this.#inner = inner;
    this.#expected = expected;
    if (expected !== undefined) this.#lastWrite = expected.hash.update(expected.header);
    this.#lastWrite.catch(() => undefined);
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
  async takeSha256(): Promise<string | undefined> {
    if (this.#isExpectedHeader) return this.#expected?.hash.digest();
    return undefined;
  }

  async #writeHeader(header: Uint8Array): Promise<void> {
    this.#startBuffer();
    await Promise.all(this.#busy);
    await this.#lastWrite;
    const expected = this.#expected?.header;
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
    const written = this.#lastWrite.then(() => this.#inner.write(offsetBytes, data));
    const hashed = this.#expected?.hash.update(data);
    this.#lastWrite = written;
    const done = Promise.all([written, hashed]).then(() => buffer);
    // A failure is thrown by a later call, which awaits it.
    done.catch(() => undefined);
    this.#busy.push(done);
  }
}
