// The memory that merges of one process share. Several disks and several machines may merge at once; each takes what
// its buffers need before it makes them, in the order of asking, so that together they stay within one bound.
// What nobody needs at the moment may be lent as spare memory to work that only gains speed by it; it is taken back as
// soon as somebody would have to wait.
// Invariant: what is taken is never more than the total, whoever waits is served before whoever asks later, and nobody
// waits while anything is lent.

interface Waiter {
  bytes: number;
  start: () => void;
}

/** Gives back what was taken. May be called twice. */
export type ReleaseBytes = () => void;

/** Memory that is lent until it is released or called back. */
export interface SpareBytes {
  /** May be 0. */
  readonly bytes: number;
  readonly release: ReleaseBytes;
}

export class ByteBudget {
  readonly totalBytes: number;
  readonly #reserveBytes: number;
  #takenBytes = 0;
  #waiters: Waiter[] = [];
  /** How to call back what is lent, oldest first. */
  readonly #callBacks = new Set<() => void>();

  /** Of the total, `reserveBytes` are never lent: nobody who wants no more needs to call memory back. */
  constructor(totalBytes: number, reserveBytes = 0) {
    this.totalBytes = totalBytes;
    this.#reserveBytes = reserveBytes;
  }

  /** What is lent counts as taken. */
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
    for (const callBack of this.#callBacks) {
      if (this.#takenBytes + takenBytes <= this.totalBytes) break;
      callBack();
    }
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

  /**
   * Lends up to `bytes` of what is free beyond the reserve, without waiting. `giveUp` is called once, unless it was released before, when
   * the memory is needed: whoever holds it lets go of it then and there.
   */
  takeSpare(bytes: number, giveUp: () => void): SpareBytes {
    const spareBytes = this.totalBytes - this.#takenBytes - this.#reserveBytes;
    const lentBytes = this.#waiters.length > 0 ? 0 : Math.max(0, Math.min(bytes, spareBytes));
    this.#takenBytes += lentBytes;
    const callBack = (): void => {
      release();
      giveUp();
    };
    const release = (): void => {
      if (!this.#callBacks.delete(callBack)) return;
      this.#takenBytes -= lentBytes;
    };
    this.#callBacks.add(callBack);
    return { bytes: lentBytes, release };
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
 * storage client holds, and buffers that are no longer used and not collected yet. What a merge leaves free may keep logs
 * between their check and their merge (keptLog.ts).
 */
export const mergeMemory = new ByteBudget(128 * 1024 * 1024, 72 * 1024 * 1024);
