// The bytes of a log that its check has read, kept for the merge that follows it, so that a log of usual size crosses the
// network once and not twice. It is a cache: as much of the front of the log as there is spare memory for, given up when
// the memory is needed for work that cannot do without.
import type { RandomAccessSource } from '../disk/source.ts';
import { mergeMemory, type ByteBudget, type SpareBytes } from './byteBudget.ts';

export class KeptLog implements Disposable {
  readonly #memory: SpareBytes;
  #bytes: Uint8Array;
  /** [0, #endBytes) of the log is kept. */
  #endBytes = 0;

  /** Takes spare memory for a log of that size, from the budget of the process when none is given. */
  constructor(sizeBytes: number, memory: ByteBudget = mergeMemory) {
    this.#memory = memory.takeSpare(sizeBytes, () => this.#drop());
    this.#bytes = new Uint8Array(this.#memory.bytes);
  }

  /** How much of the front of the log is kept. */
  get keptBytes(): number {
    return this.#endBytes;
  }

  /** Keeps what continues the front of the log, as far as there is room; a copy. For the bytes of one pass, in order. */
  take(offsetBytes: number, bytes: Uint8Array): void {
    if (offsetBytes !== this.#endBytes) return;
    const part = bytes.subarray(0, this.#bytes.length - offsetBytes);
    this.#bytes.set(part, offsetBytes);
    this.#endBytes += part.length;
  }

  /** The log: kept bytes as views that nobody may change, all others from `log`. It stays usable after disposal. */
  over(log: RandomAccessSource): RandomAccessSource {
    return {
      sizeBytes: log.sizeBytes,
      read: async (offsetBytes, lengthBytes) => {
        const endBytes = offsetBytes + lengthBytes;
        if (lengthBytes > 0 && endBytes <= this.#endBytes) return this.#bytes.subarray(offsetBytes, endBytes);
        return log.read(offsetBytes, lengthBytes);
      },
    };
  }

  /** Gives the memory back. May be called twice. */
  [Symbol.dispose](): void {
    this.#memory.release();
    this.#drop();
  }

  #drop(): void {
    this.#bytes = new Uint8Array(0);
    this.#endBytes = 0;
  }
}
