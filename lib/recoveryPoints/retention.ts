// Which recovery points stay and which go. A span of a coarser tier is kept or dropped as a whole, and the point that stands
// for it is kept from the beginning: so the choice does not depend on how often, or how late, somebody prunes.
import { newestOf, representativesOf, type RetentionPoint } from './representatives.ts';
import type { RetentionTiers } from './tiers.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Until when (exclusive) each point is wanted; Infinity = for ever. One dated in the future is, until then. */
function expiries<P extends RetentionPoint>(points: readonly P[], tiers: RetentionTiers): Map<P, number> {
  const until = new Map<P, number>();
  const keepUntil = (point: P, untilMs: number): unknown =>
    until.set(point, Math.max(until.get(point) ?? -Infinity, untilMs));
  for (const point of points) keepUntil(point, Date.parse(point.takenAt) + tiers.allHours * hourMs);
  const keepOneOfEach = (spanMs: number, reachMs: number): void => {
    if (reachMs === 0) return;
    for (const [start, point] of representativesOf(points, spanMs))
      keepUntil(point, start + spanMs + reachMs);
  };
  keepOneOfEach(hourMs, tiers.hourlyHours * hourMs);
  keepOneOfEach(dayMs, tiers.dailyDays * dayMs);
  for (const point of newestOf(points)) keepUntil(point, Infinity);
  return until;
}

const isKept = (point: RetentionPoint, untilMs: number, nowMs: number): boolean =>
  point.pinnedBy.length > 0 || untilMs > nowMs;

/**
 * Divides the points of one item; both parts keep the given order.
 *
 * - Kept: what a tier wants, what is pinned, the newest point and the newest application-consistent one.
 * - Of an hour or day (UTC) the newest application-consistent point is kept if it has one, else the newest.
 * - Pruning now and again later leaves what pruning later alone leaves; a second time at the same moment prunes nothing.
 */
export function planRetention<P extends RetentionPoint>(
  points: readonly P[],
  tiers: RetentionTiers,
  now: Date,
): { keep: P[]; prune: P[] } {
  const until = expiries(points, tiers);
  const keep: P[] = [];
  const prune: P[] = [];
  for (const point of points)
    (isKept(point, until.get(point) ?? -Infinity, now.getTime()) ? keep : prune).push(point);
  return { keep, prune };
}

/**
 * When there is next something to prune: `now` if there is already, else the moment at which the first point falls out;
 * undefined when none will. Holds until a point is added or a pin released; ask again then.
 */
export function nextPruneAt(
  points: readonly RetentionPoint[],
  tiers: RetentionTiers,
  now: Date,
): Date | undefined {
  let firstMs = Infinity;
  for (const [point, untilMs] of expiries(points, tiers))
    if (point.pinnedBy.length === 0) firstMs = Math.min(firstMs, untilMs);
  return firstMs === Infinity ? undefined : new Date(Math.max(firstMs, now.getTime()));
}
