// How many cycles a stretch of time should have had.

/** Ticks of the interval (counted from 1970) in [fromMs, toMs): so the counts of adjacent stretches add up exactly. */
export function expectedCycles(fromMs: number, toMs: number, intervalSeconds: number): number {
  const intervalMs = intervalSeconds * 1000;
  return Math.max(0, Math.ceil(toMs / intervalMs) - Math.ceil(fromMs / intervalMs));
}
