// Writes a log into a file and hashes it in the same pass. A log begins with its header, which is known only at its
// end; so the hash starts from the header that is expected, and counts only if that is the one that was written; without an
// expectation nothing is hashed. Pieces are collected in buffers: while some are written and hashed, the next is filled.
import { headerSizeBytes } from '../lib/hrl/format.ts';
import type { HrlSink } from '../lib/hrl/writer.ts';
import type { OutputSink } from './outputFile.ts';
import type { StreamDigest } from './streamDigest.ts';

/** Large enough that handing one over costs nothing beside its bytes, small enough to stay in the processor's cache. */
const bufferBytes = 1024 * 1024;
/** At most; more than a few are in use only when hashing or the disk cannot follow. */
const bufferCount = 16;

/** What a thread can read while this one goes on. */
type SharedBytes = Uint8Array<SharedArrayBuffer>;

const sharedBytes = (lengthBytes: number): SharedBytes => new Uint8Array(new SharedArrayBuffer(lengthBytes));

/** Where the bytes go. */
type LogFile = Pick<OutputSink, 'write'>;

/** The header that the log is expected to begin with, and the digest that takes it first. */
export interface ExpectedLog {
  header: Uint8Array;
  digest: StreamDigest;
}

/** Pieces come as HrlSink says: contiguous, but for the header, which comes first and again as the last. */
export class HashingSink implements HrlSink {
  readonly #file: LogFile;
  readonly #expected: ExpectedLog | undefined;
  /** The last is taken first: it may still be in the processor's cache. */
  readonly #free: SharedBytes[] = [];
  readonly #busy = new Set<Promise<void>>();
  #unmadeBuffers = bufferCount;
  #failure: { error: unknown } | undefined;
  #buffer: SharedBytes | undefined;
  #filledBytes = 0;
  #endBytes = headerSizeBytes;
  #isExpectedHeader = false;

  constructor(file: LogFile, expected: ExpectedLog | undefined) {
    this.#file = file;
    this.#expected = expected;
    if (expected === undefined) return;
    const header = sharedBytes(headerSizeBytes);
    header.set(expected.header);
    // What fails here fails for everything that comes after, too.
    expected.digest.update(header).catch(() => undefined);
  }

  /** Takes a copy of the data, or writes it before the promise resolves. A failure may be thrown by a later call. */
  async write(offsetBytes: number, data: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error;
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
    return this.#isExpectedHeader ? this.#expected?.digest.digest() : undefined;
  }

  /** The last header makes the log valid: it waits for everything else. */
  async #writeHeader(header: Uint8Array): Promise<void> {
    this.#startBuffer();
    await Promise.all(this.#busy);
    if (this.#failure !== undefined) throw this.#failure.error;
    const expected = this.#expected?.header;
    this.#isExpectedHeader = expected !== undefined && Buffer.compare(header, expected) === 0;
    await this.#file.write(0, header);
  }

  /** A new one only while there are few and all are in use, so that a short log needs little. */
  async #takeBuffer(): Promise<SharedBytes> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const free = this.#free.pop();
      if (free !== undefined) return free;
      if (this.#unmadeBuffers > 0) {
        this.#unmadeBuffers--;
        return sharedBytes(bufferBytes);
      }
      await Promise.race(this.#busy);
    }
  }

  #startBuffer(): void {
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    const data = buffer.subarray(0, this.#filledBytes);
    const offsetBytes = this.#endBytes;
    this.#endBytes += data.length;
    this.#filledBytes = 0;
    this.#buffer = undefined;
    const written = this.#file.write(offsetBytes, data);
    const done: Promise<void> = Promise.all([written, this.#expected?.digest.update(data)])
      .then(
        () => void this.#free.push(buffer),
        (error: unknown) => void (this.#failure ??= { error }),
      )
      .finally(() => this.#busy.delete(done));
    this.#busy.add(done);
  }
}
