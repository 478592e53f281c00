// How far a comparison is and how long it may still take: one rule for both sides.

/** Work in equal steps, and the time spent on it without pauses. */
export interface StepsDone {
  done: number;
  total: number;
  activeMs: number;
}

export interface ComparisonProgress {
  /** 0 to 100, rounded down: 100 only when everything is done. */
  percent: number;
  /** Of work, at the pace so far; undefined while there is no pace, and 0 at the end. */
  remainingMs: number | undefined;
}

/** Pure; `total` is at least 1. */
export function progressOf({ done, total, activeMs }: StepsDone): ComparisonProgress {
  const percent = Math.floor((100 * done) / total);
  if (done >= total) return { percent: 100, remainingMs: 0 };
  if (done === 0) return { percent, remainingMs: undefined };
  return { percent, remainingMs: Math.ceil((activeMs / done) * (total - done)) };
}
