// Which points stand for others: of an hour or a day one, of all the newest, and the newest application-consistent one.

/** What retention asks of a recovery point; `cycle` is its own and grows with time. */
export interface RetentionPoint {
  cycle: number;
  /** ISO time, UTC. */
  takenAt: string;
  consistency: 'crash' | 'application';
  /** Who uses it (jobs, drills, holds by hand): it stays while somebody does. */
  pinnedBy: readonly string[];
}

/** The better point to keep: application-consistent before crash-consistent, then the newer cycle. */
function better<P extends RetentionPoint>(one: P, other: P): P {
  if (one.consistency !== other.consistency) return one.consistency === 'application' ? one : other;
  return one.cycle >= other.cycle ? one : other;
}

/** Start of each span of `spanMs` (aligned to UTC) in which points were taken → the one that stands for it. */
export function representativesOf<P extends RetentionPoint>(
  points: readonly P[],
  spanMs: number,
): Map<number, P> {
  const found = new Map<number, P>();
  for (const point of points) {
    const start = Math.floor(Date.parse(point.takenAt) / spanMs) * spanMs;
    const known = found.get(start);
    found.set(start, known ? better(known, point) : point);
  }
  return found;
}

/** The newest point and the newest application-consistent one: never pruned, whatever their age. */
export function newestOf<P extends RetentionPoint>(points: readonly P[]): Set<P> {
  const newest = (some: readonly P[]): P[] =>
    some.length === 0 ? [] : [some.reduce((one, other) => (other.cycle > one.cycle ? other : one))];
  return new Set([
    ...newest(points),
    ...newest(points.filter(({ consistency }) => consistency === 'application')),
  ]);
}
