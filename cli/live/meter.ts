// How fast something goes and how long it still takes, from what was done in the last while.

const windowMs = 20_000;
/** Less is no measurement. */
const leastMs = 500;

export interface Pace {
  /** Of whatever is counted. Undefined until it is known. */
  perSecond: number | undefined;
  remainingSeconds: number | undefined;
}

/**
 * Takes counts as they grow. The first one is where counting begins: what was there before (a resumed transfer) is nobody's speed.
 * A count that falls is a new beginning.
 */
export class Meter {
  #samples: { atMs: number; done: number }[] = [];

  pace(done: number, total: number, nowMs: number): Pace {
    const last = this.#samples.at(-1);
    if (last !== undefined && done < last.done) this.#samples = [];
    this.#samples.push({ atMs: nowMs, done });
    while (this.#samples.length > 2 && (this.#samples[1]?.atMs ?? nowMs) <= nowMs - windowMs)
      this.#samples.shift();
    const first = this.#samples[0] ?? { atMs: nowMs, done };
    const elapsedMs = nowMs - first.atMs;
    if (elapsedMs < leastMs) return { perSecond: undefined, remainingSeconds: undefined };
    const perSecond = ((done - first.done) * 1000) / elapsedMs;
    const remainingSeconds = perSecond > 0 ? Math.max(0, total - done) / perSecond : undefined;
    return { perSecond, remainingSeconds };
  }
}
