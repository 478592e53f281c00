// Writes a log into a file and hashes it in the same pass. A log begins with its header, which is known only at its
// end; so the hash starts from the header that is expected, and counts only if that is the one that was written; without an
// expectation nothing is hashed. Pieces are collected in buffers: while some are written and hashed, the next are filled, by a
// copy or by reads that go straight there.
import { setImmediate } from 'node:timers/promises';
import { headerSizeBytes } from '../lib/hrl/format.ts';
import { makeSharedReadBuffer } from '../lib/disk/readBuffer.ts';
import type { HrlSink, UnreadWrite } from '../lib/hrl/writer.ts';
import type { OutputSink } from './outputFile.ts';
import type { StreamDigest } from './streamDigest.ts';

/** Large enough that handing one over costs nothing beside its bytes, small enough to stay in the processor's cache. */
const bufferBytes = 1024 * 1024;
/** At most; more than a few are in use only when hashing or the disk cannot follow. */
const bufferCount = 8;
/** At most: as many as keep a disk busy. */
const readsAtOnce = 8;

/** What a thread can read while this one goes on. */
type SharedBytes = Uint8Array<SharedArrayBuffer>;

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
  /** In the order of the log, which is about the order in which they end. */
  readonly #reads: Promise<void>[] = [];
  #readsOfBuffer: Promise<void>[] = [];
  /** All buffers before this one have their bytes: the digest takes them in their order. */
  #filledBefore: Promise<unknown> = Promise.resolve();
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
    const header = makeSharedReadBuffer(headerSizeBytes);
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
      const place = this.#takePlace(this.#buffer, data.length - done);
      place.set(data.subarray(done, done + place.length));
      done += place.length;
      if (this.#filledBytes === bufferBytes) this.#startBuffer();
    }
  }

  /** As HrlSink says. A read that failed may be thrown by a later call, too. */
  fill(write: UnreadWrite): Promise<void> | undefined {
    const buffer = this.#buffer;
    const isWithin = buffer !== undefined && this.#filledBytes + write.lengthBytes < bufferBytes;
    return isWithin ? this.#startRead(buffer, write, 0) : this.#fillBuffers(write);
  }

  /** Resolves when nothing is read, hashed or written any more. Does not throw. */
  async settle(): Promise<void> {
    await Promise.all([...this.#reads, ...this.#busy]);
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

  async #fillBuffers(write: UnreadWrite): Promise<void> {
    for (let done = 0; done < write.lengthBytes;) {
      this.#buffer ??= await this.#takeBuffer();
      const before = this.#filledBytes;
      await this.#startRead(this.#buffer, write, done);
      done += this.#filledBytes - before;
      if (this.#filledBytes < bufferBytes) continue;
      this.#startBuffer();
      // Reads that do not wait would leave no turn to anything else, such as the end of a write.
      await setImmediate();
    }
  }

  /** A new one only while there are few and all are in use, so that a short log needs little. */
  async #takeBuffer(): Promise<SharedBytes> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const free = this.#free.pop();
      if (free !== undefined) return free;
      if (this.#unmadeBuffers > 0) {
        this.#unmadeBuffers--;
        return makeSharedReadBuffer(bufferBytes);
      }
      await Promise.race(this.#busy);
    }
  }

  /** The next bytes of the log, so many at most. */
  #takePlace(buffer: SharedBytes, mostBytes: number): SharedBytes {
    const place = buffer.subarray(this.#filledBytes, Math.min(this.#filledBytes + mostBytes, bufferBytes));
    this.#filledBytes += place.length;
    return place;
  }

  /** Has the rest of a write read, as far as the buffer holds it. What it returns is to be awaited: there are reads enough. */
  #startRead(buffer: SharedBytes, write: UnreadWrite, doneBytes: number): Promise<void> | undefined {
    const { source, diskOffset, lengthBytes } = write;
    const place = this.#takePlace(buffer, lengthBytes - doneBytes);
    const offsetBytes = diskOffset + doneBytes;
    if (source.readNow?.(offsetBytes, place) === true) return undefined;
    const read = this.#noted(source.readInto(offsetBytes, place));
    this.#readsOfBuffer.push(read);
    this.#reads.push(read);
    return this.#reads.length < readsAtOnce ? undefined : this.#reads.shift();
  }

  #startBuffer(): void {
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    const data = buffer.subarray(0, this.#filledBytes);
    const offsetBytes = this.#endBytes;
    this.#endBytes += data.length;
    const filled = Promise.all([this.#filledBefore, ...this.#readsOfBuffer]);
    this.#filledBefore = filled;
    this.#filledBytes = 0;
    this.#readsOfBuffer = [];
    this.#buffer = undefined;
    const done: Promise<void> = filled
      .then(() => this.#handOver(offsetBytes, data))
      .then(() => {
        this.#free.push(buffer);
        this.#busy.delete(done);
      });
    this.#busy.add(done);
  }

  async #handOver(offsetBytes: number, data: SharedBytes): Promise<void> {
    if (this.#failure !== undefined) return;
    const written = this.#noted(this.#file.write(offsetBytes, data));
    await this.#noted(this.#expected?.digest.update(data));
    await written;
  }

  /** Resolves when the work has ended; the first failure is thrown by a later call. */
  async #noted(work: Promise<void> | undefined): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#failure ??= { error };
    }
  }
}
