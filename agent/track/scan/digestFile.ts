// Digests of a whole disk in a file: a header, then the records of the coarse blocks in order. The SHA-256 of the file is kept
// beside it by whoever owns it: a file that is not whole is worth nothing. The header has the secret that the digests are made
// with, which goes on from file to file; nobody else may read it.
import { createHash, type Hash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { LifeboatError } from '../../../lib/errors.ts';
import { readError, writeError } from '../../fileErrors.ts';
import { writeFully } from '../../fileWrite.ts';
import { coarseBytes, keyBytes, recordBytes } from './hashStripe.ts';

/** Another number for another meaning of the bytes: files of an earlier one are worth nothing. */
const magic = 'lifeboat scan 2\n';
const keyOffsetBytes = magic.length + 8;
const headerBytes = keyOffsetBytes + keyBytes;
/** Read and written at once: the records of 256 MiB of a disk. */
const chunkBytes = 4096 * recordBytes;

/** What a file says of itself. */
export interface DigestHeader {
  diskSizeBytes: number;
  key: Uint8Array;
}

function encodeHeader({ diskSizeBytes, key }: DigestHeader): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.write(magic, 'latin1');
  header.writeBigUInt64LE(BigInt(diskSizeBytes), magic.length);
  header.set(key, keyOffsetBytes);
  return header;
}

const recordsBytes = (diskSizeBytes: number): number => Math.ceil(diskSizeBytes / coarseBytes) * recordBytes;

const lost = (path: string, why: string, cause?: unknown): LifeboatError =>
  new LifeboatError('TrackingLost', `The digests of the last cycle are worth nothing: ${path} ${why}.`, {
    cause,
  });

/** Reads the records in order. Throws `TrackingLost` for a file that is missing, of another disk, or not what was written. */
export class DigestReader implements AsyncDisposable {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #endBytes: number;
  readonly #hash: Hash = createHash('sha256');
  #key: Uint8Array = new Uint8Array(keyBytes);
  /** What of the file was read last, and how much of that was given away. */
  #chunk: Uint8Array = new Uint8Array(0);
  #chunkUsed = 0;
  /** What was read of the file. */
  #position = headerBytes;

  private constructor(path: string, handle: FileHandle, endBytes: number) {
    this.#path = path;
    this.#handle = handle;
    this.#endBytes = endBytes;
  }

  static async open(path: string, diskSizeBytes: number): Promise<DigestReader> {
    const handle = await open(path, 'r').catch((error: unknown) => {
      throw lost(path, 'cannot be opened', error);
    });
    const endBytes = headerBytes + recordsBytes(diskSizeBytes);
    const reader = new DigestReader(path, handle, endBytes);
    try {
      const header = await reader.#read(0, headerBytes);
      reader.#key = Uint8Array.from(header.subarray(keyOffsetBytes));
      const { size } = await handle.stat();
      if (!header.equals(encodeHeader({ diskSizeBytes, key: reader.#key })) || size !== endBytes)
        throw lost(path, `is not of a disk of ${diskSizeBytes} bytes, or of another version of Lifeboat`);
      return reader;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** What the digests were made with. */
  get key(): Uint8Array {
    return this.#key;
  }

  /**
   * The next records, as many bytes of them, in memory that other threads see; nobody may change them. Behind the last one
   * they are those of zeros: the disk has grown since.
   */
  async next(lengthBytes: number): Promise<Uint8Array> {
    if (this.#chunkUsed === this.#chunk.length) await this.#readChunk();
    const view = this.#chunk.subarray(this.#chunkUsed, this.#chunkUsed + lengthBytes);
    if (view.length === lengthBytes) {
      this.#chunkUsed += lengthBytes;
      return view;
    }
    const records = new Uint8Array(lengthBytes);
    for (let done = 0; done < lengthBytes;) {
      if (this.#chunkUsed === this.#chunk.length) await this.#readChunk();
      const part = this.#chunk.subarray(this.#chunkUsed, this.#chunkUsed + lengthBytes - done);
      if (part.length === 0) break;
      records.set(part, done);
      done += part.length;
      this.#chunkUsed += part.length;
    }
    return records;
  }

  /** After the last record: whether the file is the one with this digest. Throws `TrackingLost` when not. */
  verify(sha256: string): void {
    const isAllRead = this.#position === this.#endBytes && this.#chunkUsed === this.#chunk.length;
    if (isAllRead && this.#hash.digest('hex') === sha256) return;
    throw lost(this.#path, 'is damaged');
  }

  async #readChunk(): Promise<void> {
    this.#chunk = await this.#read(this.#position, Math.min(chunkBytes, this.#endBytes - this.#position));
    this.#chunkUsed = 0;
    this.#position += this.#chunk.length;
  }

  async #read(offsetBytes: number, lengthBytes: number): Promise<Buffer<SharedArrayBuffer>> {
    const bytes = Buffer.from(new SharedArrayBuffer(lengthBytes));
    for (let done = 0; done < lengthBytes;) {
      const { bytesRead } = await this.#handle
        .read(bytes, done, lengthBytes - done, offsetBytes + done)
        .catch((error: unknown) => {
          throw readError(error, this.#path);
        });
      if (bytesRead === 0) throw lost(this.#path, 'is cut');
      done += bytesRead;
    }
    this.#hash.update(bytes);
    return bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

/** Writes the records in order; `finish` makes them durable and returns the digest of the file. */
export class DigestWriter implements AsyncDisposable {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #hash: Hash = createHash('sha256');
  /** What was not written yet, and where it goes. */
  readonly #chunk = Buffer.alloc(chunkBytes);
  #chunkFilled = 0;
  #endBytes = 0;

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  static async create(path: string, header: DigestHeader): Promise<DigestWriter> {
    try {
      const writer = new DigestWriter(path, await open(path, 'w', 0o600));
      await writer.append(encodeHeader(header));
      return writer;
    } catch (error) {
      throw unwritable(error, path);
    }
  }

  /** Takes a copy. */
  async append(records: Uint8Array): Promise<void> {
    this.#hash.update(records);
    for (let done = 0; done < records.length;) {
      const part = records.subarray(done, done + this.#chunk.length - this.#chunkFilled);
      this.#chunk.set(part, this.#chunkFilled);
      this.#chunkFilled += part.length;
      done += part.length;
      if (this.#chunkFilled === this.#chunk.length) await this.#writeChunk();
    }
  }

  async finish(): Promise<string> {
    await this.#writeChunk();
    await this.#handle.datasync().catch((error: unknown) => {
      throw unwritable(error, this.#path);
    });
    return this.#hash.digest('hex');
  }

  async #writeChunk(): Promise<void> {
    const bytes = this.#chunk.subarray(0, this.#chunkFilled);
    await writeFully(this.#handle, this.#endBytes, bytes).catch((error: unknown) => {
      throw unwritable(error, this.#path);
    });
    this.#endBytes += bytes.length;
    this.#chunkFilled = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

const unwritable = (error: unknown, path: string): unknown =>
  writeError(error, path, 'The digests of the last cycle are kept.');
