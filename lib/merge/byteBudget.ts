// The memory that merges of one process share. Several disks and several machines may merge at once; each takes what
// its buffers need before it makes them, in the order of asking, so that together they stay within one bound.
// Invariant: what is taken is never more than the total, and whoever waits is served before whoever asks later.

interface Waiter {
  bytes: number;
  start: () => void;
}

/** Gives back what was taken. May be called twice. */
export type ReleaseBytes = () => void;

export class ByteBudget {
  readonly totalBytes: number;
  #takenBytes = 0;
  #waiters: Waiter[] = [];

  constructor(totalBytes: number) {
    this.totalBytes = totalBytes;
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  /**
   * Resolves when that much is free; a wish above the total gets all of it, alone. Throws the signal's reason when it
   * aborts while waiting. Take once for a piece of work: asking again while holding some may wait for ever.
   */
  async take(bytes: number, signal?: AbortSignal): Promise<ReleaseBytes> {
    signal?.throwIfAborted();
    const takenBytes = Math.min(bytes, this.totalBytes);
    if (this.#waiters.length > 0 || this.#takenBytes + takenBytes > this.totalBytes)
      await this.#wait(takenBytes, signal);
    else this.#takenBytes += takenBytes;
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#takenBytes -= takenBytes;
      this.#startWaiters();
    };
  }

  async #wait(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#waiters = this.#waiters.filter((each) => each !== waiter);
        reject(signal?.reason as Error);
        // Whoever stood behind may fit now.
        this.#startWaiters();
      };
      const waiter: Waiter = {
        bytes,
        start: () => {
          signal?.removeEventListener('abort', leave);
          resolve();
        },
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiters.push(waiter);
    });
  }

  /** Counts the bytes of a waiter as taken before it runs: nobody can slip in between. */
  #startWaiters(): void {
    for (let next = this.#waiters[0]; next !== undefined; next = this.#waiters[0]) {
      if (this.#takenBytes + next.bytes > this.totalBytes) return;
      this.#waiters.shift();
      this.#takenBytes += next.bytes;
      next.start();
    }
  }
}

/**
 * The budget of this process. A merge of a large log takes 64 MiB (80 where it may copy), so one or two run at full width
 * and the rest wait; small ones take as little as their logs have. What is left to 256 MiB is for the plans, what the
 * storage client holds, and buffers that are no longer used and not collected yet.
 */
export const mergeMemory = new ByteBudget(144 * 1024 * 1024);
