// Brings stripes of a disk and the threads that digest them together. A stripe that lies in a file, and in memory, is read by
// the thread that digests it, while its bytes are still in the processor's cache. One that comes from a disk is read in one long
// read, several at a time: a disk wants many requests at once. So are stripes of containers and servers.
import { makeSharedReadBuffer } from '../../../lib/disk/readBuffer.ts';
import { readReusing } from '../../../lib/disk/source.ts';
import type { ByteRange } from '../../../lib/storage/ports.ts';
import type { DiskReader } from '../../disk/reader.ts';
import type { HashPool } from './hashPool.ts';
import { stripeBytes, type HashedStripe } from './hashStripe.ts';

/** What it needs of a pool. */
type StripePool = Pick<HashPool, 'mayRead' | 'digest' | 'digestFile'>;

/** Read ahead of the threads after one of theirs came from a disk; then it is tried again. */
const stripesAfterDisk = 256;

export class StripeScanner {
  readonly #reader: DiskReader;
  readonly #pool: StripePool;
  readonly #key: Uint8Array;
  /** To be used again: making one costs as much as reading into it. */
  readonly #freeBuffers: Uint8Array<SharedArrayBuffer>[] = [];
  #readAheadLeft = 0;

  constructor({ reader, pool }: { reader: DiskReader; pool: StripePool }, key: Uint8Array) {
    this.#reader = reader;
    this.#pool = pool;
    this.#key = key;
  }

  /** Calls may run at the same time. Throws errors of the disk. */
  async scan(range: ByteRange, isHole: boolean, older: Uint8Array | undefined): Promise<HashedStripe> {
    return (isHole ? undefined : await this.#scanInFile(range, older)) ?? this.#load(range, isHole, older);
  }

  async #scanInFile(range: ByteRange, older: Uint8Array | undefined): Promise<HashedStripe | undefined> {
    if (!this.#pool.mayRead) return undefined;
    if (this.#readAheadLeft > 0) {
      this.#readAheadLeft--;
      return undefined;
    }
    const place = await this.#reader.inFile?.(range);
    if (place === undefined) return undefined;
    const { lengthBytes } = range;
    try {
      const stripe = await this.#pool.digestFile({ key: this.#key, place, lengthBytes, older });
      if (stripe.isFromDisk) this.#readAheadLeft = stripesAfterDisk;
      return stripe;
    } catch {
      // Made again by the reader, which can say what is wrong.
      return undefined;
    }
  }

  async #load(
    { offsetBytes, lengthBytes }: ByteRange,
    isHole: boolean,
    older: Uint8Array | undefined,
  ): Promise<HashedStripe> {
    const buffer = this.#freeBuffers.pop() ?? makeSharedReadBuffer(stripeBytes);
    try {
      const bytes = isHole
        ? buffer.subarray(0, lengthBytes).fill(0)
        : await readReusing(this.#reader, offsetBytes, lengthBytes, buffer);
      return await this.#pool.digest({ key: this.#key, bytes, older });
    } finally {
      this.#freeBuffers.push(buffer);
    }
  }
}
