// A series thinned out for a chart: no peak is lost, and the mean stays the mean.
import { assertInvariant } from '../errors.ts';
import { weightedMean, type DayBucket, type HourBucket } from './bucket.ts';

/** A stretch of time in a chart; `weight` says how much the mean counts (for the RPO, milliseconds). */
export interface ChartPoint {
  /** ISO time of its start. */
  at: string;
  min: number;
  max: number;
  mean: number;
  weight: number;
}

/** The RPO in milliseconds over the buckets; those from before the first recovery point are left out. */
export function rpoChart(buckets: readonly (HourBucket | DayBucket)[]): ChartPoint[] {
  return buckets.flatMap((bucket) => {
    if (bucket.rpo === null) return [];
    const { minMs, maxMs, meanMs, measuredMs } = bucket.rpo;
    const at = 'hour' in bucket ? bucket.hour : `${bucket.day}T00:00:00.000Z`;
    return [{ at, min: minMs, max: maxMs, mean: meanMs, weight: measuredMs }];
  });
}

const joinPoints = (one: ChartPoint, other: ChartPoint): ChartPoint => ({
  at: one.at,
  min: Math.min(one.min, other.min),
  max: Math.max(one.max, other.max),
  mean: weightedMean(one.mean, one.weight, other.mean, other.weight),
  weight: one.weight + other.weight,
});

/** At most `most` points (≥ 1) over equal slices of time; a slice without points has none, so that gaps stay gaps. */
export function downSample(points: readonly ChartPoint[], most: number): ChartPoint[] {
  assertInvariant(Number.isInteger(most) && most >= 1, 'a chart has at least one point');
  const ordered = [...points].sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
  const [first] = ordered;
  const last = ordered.at(-1);
  if (ordered.length <= most || !first || !last) return ordered;
  const firstMs = Date.parse(first.at);
  const sliceMs = (Date.parse(last.at) + 1 - firstMs) / most;
  const slices = new Map<number, ChartPoint>();
  for (const point of ordered) {
    const slice = Math.floor((Date.parse(point.at) - firstMs) / sliceMs);
    const known = slices.get(slice);
    slices.set(slice, known ? joinPoints(known, point) : point);
  }
  return [...slices.values()];
}
