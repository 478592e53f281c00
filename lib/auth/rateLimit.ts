// A share of requests for every caller: a bucket that refills all the time. It protects this process, so it lives in its memory
// and decides nothing but "later"; every instance of the app has its own.
export interface Rate {
  perSecond: number;
  /** Requests that may come at once. */
  burst: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/** Callers that are remembered; those that were quiet longest are forgotten first. */
const maxCallers = 10_000;

export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();

  /** Takes one request of the caller's share. Returns the seconds to wait, 0 when it may go on. */
  take(caller: string, rate: Rate, now: Date): number {
    const tokens = this.#tokens(caller, rate, now);
    // Deleting first moves the caller to the end of the map's order.
    this.#buckets.delete(caller);
    this.#buckets.set(caller, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: now.getTime() });
    if (this.#buckets.size > maxCallers) this.#forgetOldest();
    return waitSeconds(tokens, rate);
  }

  /** What `take` would return, without taking. */
  peek(caller: string, rate: Rate, now: Date): number {
    return waitSeconds(this.#tokens(caller, rate, now), rate);
  }

  #tokens(caller: string, { perSecond, burst }: Rate, now: Date): number {
    const bucket = this.#buckets.get(caller);
    if (!bucket) return burst;
    const seconds = Math.max(0, now.getTime() - bucket.atMs) / 1000;
    return Math.min(burst, bucket.tokens + seconds * perSecond);
  }

  #forgetOldest(): void {
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}

const waitSeconds = (tokens: number, { perSecond }: Rate): number =>
  tokens >= 1 ? 0 : Math.max(1, Math.ceil((1 - tokens) / perSecond));
