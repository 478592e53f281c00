// The retry ladder: a transient failure is tried again 1, 2, 4, 8 and 10 minutes after it first happened, then every
// 30 minutes, until it works. The rungs hang on the first failure alone, so a late attempt neither shifts nor bunches them.

const minuteMs = 60_000;
const firstRungsMs = [1, 2, 4, 8, 10].map((minutes) => minutes * minuteMs);
const laterEveryMs = 30 * minuteMs;
const lastOfFirstMs = Math.max(...firstRungsMs);

/** The first rung of the ladder strictly after `afterMs`, for a failure that first happened at `firstFailedMs`. */
export function nextRungMs(firstFailedMs: number, afterMs: number): number {
  const sinceMs = afterMs - firstFailedMs;
  const early = firstRungsMs.find((rung) => rung > sinceMs);
  if (early !== undefined) return firstFailedMs + early;
  const halfHours = Math.floor((sinceMs - lastOfFirstMs) / laterEveryMs) + 1;
  return firstFailedMs + lastOfFirstMs + halfHours * laterEveryMs;
}
