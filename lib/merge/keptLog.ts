// The bytes of a log that its check has read, kept for the merge that follows it, so that a log crosses the network once
// and not twice. It is a cache: as much of the front of the log as there is spare memory for, given up when the memory is
// needed for work that cannot do without; and what follows, as far as there is scratch space.
import type { RandomAccessSource } from '../disk/source.ts';
import { mergeMemory, type ByteBudget, type SpareBytes } from './byteBudget.ts';
import type { ScratchSpace } from './scratch.ts';
import { CheckedSpool } from './checkedSpool.ts';

/** Where a log is kept. */
interface KeptLogRoom {
  /** The budget of the process when omitted. */
  memory?: ByteBudget;
  /** Memory alone when omitted. */
  scratch?: ScratchSpace | undefined;
}

export class KeptLog implements Disposable {
  readonly #sizeBytes: number;
  readonly #memory: SpareBytes;
  readonly #memoryBytes: number;
  #bytes: Uint8Array;
  /** [0, #endBytes) of the log is kept in memory. */
  #endBytes = 0;
  /** Used once, when memory is full. */
  #scratch: ScratchSpace | undefined;
  #spool: CheckedSpool | undefined;

  /** Takes spare memory for a log of that size. */
  constructor(sizeBytes: number, { memory = mergeMemory, scratch }: KeptLogRoom = {}) {
    this.#sizeBytes = sizeBytes;
    this.#memory = memory.takeSpare(sizeBytes, () => this.#dropMemory());
    this.#memoryBytes = this.#memory.bytes;
    this.#bytes = new Uint8Array(this.#memoryBytes);
    this.#scratch = scratch;
  }

  /** How much of the front of the log is kept in memory. */
  get keptBytes(): number {
    return this.#endBytes;
  }

  /** How much is kept in scratch space. */
  get spooledBytes(): number {
    return this.#spool === undefined ? 0 : this.#spool.endBytes - this.#spool.startBytes;
  }

  /**
   * Keeps what continues the front of the log, as far as there is room; a copy. For the bytes of one pass, in order; they
   * may be reused after the promise resolved. Does not throw.
   */
  async take(offsetBytes: number, bytes: Uint8Array): Promise<void> {
    if (offsetBytes === this.#endBytes) {
      const part = bytes.subarray(0, this.#bytes.length - offsetBytes);
      this.#bytes.set(part, offsetBytes);
      this.#endBytes += part.length;
    }
    const fromBytes = Math.max(offsetBytes, this.#memoryBytes);
    if (fromBytes < offsetBytes + bytes.length)
      await this.#spill(fromBytes, bytes.subarray(fromBytes - offsetBytes));
  }

  /** The log: kept bytes as views that nobody may change, all others from `log`. It stays usable after disposal. */
  over(log: RandomAccessSource): RandomAccessSource {
    const view = (offsetBytes: number, lengthBytes: number): Uint8Array | undefined =>
      this.#isInMemory(offsetBytes, lengthBytes)
        ? this.#bytes.subarray(offsetBytes, offsetBytes + lengthBytes)
        : undefined;
    const read = async (offsetBytes: number, lengthBytes: number): Promise<Uint8Array> => {
      const inMemory = view(offsetBytes, lengthBytes);
      if (inMemory !== undefined) return inMemory;
      if (this.#isSpooled(offsetBytes, lengthBytes)) {
        const bytes = new Uint8Array(lengthBytes);
        if (await this.#readSpool(offsetBytes, bytes)) return bytes;
      }
      return log.read(offsetBytes, lengthBytes);
    };
    return {
      sizeBytes: log.sizeBytes,
      read,
      readInto: async (offsetBytes, target) => {
        if (await this.#readSpool(offsetBytes, target)) return;
        target.set(await read(offsetBytes, target.length));
      },
      view,
      isNear: (offsetBytes, lengthBytes) =>
        this.#isInMemory(offsetBytes, lengthBytes) || this.#isSpooled(offsetBytes, lengthBytes),
    };
  }

  /** Gives memory and scratch space back. May be called twice. */
  [Symbol.dispose](): void {
    this.#memory.release();
    this.#dropMemory();
    this.#scratch = undefined;
    this.#dropSpool();
  }

  async #spill(fromBytes: number, bytes: Uint8Array): Promise<void> {
    try {
      if (fromBytes === this.#memoryBytes && this.#scratch !== undefined) {
        const file = await this.#scratch.open(this.#sizeBytes - fromBytes);
        this.#scratch = undefined;
        this.#spool = file && new CheckedSpool(file, fromBytes);
      }
      if (this.#spool?.endBytes === fromBytes) await this.#spool.append(bytes);
    } catch {
      // A full or broken disk costs a second read of the log, nothing else.
      this.#scratch = undefined;
      this.#dropSpool();
    }
  }

  #isInMemory(offsetBytes: number, lengthBytes: number): boolean {
    return lengthBytes > 0 && offsetBytes + lengthBytes <= this.#endBytes;
  }

  #isSpooled(offsetBytes: number, lengthBytes: number): boolean {
    const spool = this.#spool;
    if (spool === undefined || lengthBytes === 0) return false;
    return offsetBytes >= spool.startBytes && offsetBytes + lengthBytes <= spool.endBytes;
  }

  /** False where the spool has not all of it, or gives it back changed. */
  async #readSpool(offsetBytes: number, target: Uint8Array): Promise<boolean> {
    if (this.#spool === undefined || !this.#isSpooled(offsetBytes, target.length)) return false;
    return this.#spool.readInto(offsetBytes, target).then(
      () => true,
      () => false,
    );
  }

  #dropMemory(): void {
    this.#bytes = new Uint8Array(0);
    this.#endBytes = 0;
  }

  #dropSpool(): void {
    void this.#spool?.close();
    this.#spool = undefined;
  }
}
