// The series of an item: the hour that is being filled and what must be known to fill it. Folding is pure: the caller stores
// the closed hours under their `hour` (the same ones come again after a crash) together with the new state.
import * as z from 'zod';
import {
  emptyCounts,
  hourBucket,
  joinCounts,
  type FailureKind,
  type HourBucket,
  type ReplicationCounts,
  type RpoCourse,
} from './bucket.ts';
import { expectedCycles } from './expectedCycles.ts';

const hourMs = 3_600_000;
/** A longer gap is not filled with empty hours: nobody keeps more of them. */
const longestGapMs = 31 * 24 * hourMs;

export const rpoSeries = z.object({
  /** Where monitoring began; cycles are expected from here on. */
  since: z.iso.datetime(),
  /** Up to where `current` tells the course of the RPO. */
  until: z.iso.datetime(),
  /** The moment that the newest recovery point shows; null before the first. */
  newestTakenAt: z.iso.datetime().nullable(),
  current: hourBucket,
});
export type RpoSeries = z.infer<typeof rpoSeries>;

/** A cycle that became a recovery point. */
export interface CycleSample {
  takenAt: string;
  recordedAt: string;
  /** Bytes of its logs and the write entries in them. */
  bytes: number;
  entryCount: number;
  /** When the last of its logs was uploaded. */
  uploadedAt?: string;
}

/** `closed`: the hours that are over, oldest first, without a gap unless it is longer than 31 days; they are final. */
export interface Folded {
  series: RpoSeries;
  closed: HourBucket[];
}

export const hourStartMs = (atMs: number): number => Math.floor(atMs / hourMs) * hourMs;
const iso = (atMs: number): string => new Date(atMs).toISOString();
const emptyHour = (startMs: number): HourBucket => ({ hour: iso(startMs), ...emptyCounts });

/** A series that begins at `at`, when replication does. */
export function startSeries(at: Date): RpoSeries {
  const moment = at.toISOString();
  return {
    since: moment,
    until: moment,
    newestTakenAt: null,
    current: emptyHour(hourStartMs(at.getTime())),
  };
}

const add = (hour: HourBucket, counts: Partial<ReplicationCounts>): HourBucket => ({
  hour: hour.hour,
  ...joinCounts(hour, { ...emptyCounts, ...counts }),
});

/** The RPO from one moment to a later one without a cycle between. */
function courseOf(newestTakenAt: string | null, fromMs: number, toMs: number): RpoCourse | null {
  if (newestTakenAt === null) return null;
  const newestMs = Date.parse(newestTakenAt);
  const [minMs, maxMs] = [fromMs - newestMs, toMs - newestMs];
  return { minMs, maxMs, meanMs: (minMs + maxMs) / 2, lastMs: maxMs, measuredMs: toMs - fromMs };
}

/** Lives on until `atMs` without a cycle. */
function advance(series: RpoSeries, atMs: number, intervalSeconds: number): Folded {
  const { since, newestTakenAt } = series;
  let { current } = series;
  let untilMs = Date.parse(series.until);
  if (atMs <= untilMs) return { series, closed: [] };
  const closed: HourBucket[] = [];
  for (;;) {
    const startMs = Date.parse(current.hour);
    const endMs = startMs + hourMs;
    const toMs = Math.min(endMs, atMs);
    // At the full hour nothing has passed yet: the peak before it is that of the hour that ends.
    if (toMs > untilMs) current = add(current, { rpo: courseOf(newestTakenAt, untilMs, toMs) });
    untilMs = toMs;
    if (atMs < endMs) break;
    const expected = expectedCycles(Math.max(startMs, Date.parse(since)), endMs, intervalSeconds);
    closed.push({ ...current, missedCycles: Math.max(0, expected - current.cycles) });
    const skipToMs = hourStartMs(atMs) - longestGapMs;
    untilMs = Math.max(endMs, skipToMs);
    current = emptyHour(untilMs);
  }
  return { series: { since, until: iso(untilMs), newestTakenAt, current }, closed };
}

/**
 * Counts a cycle in the hour in which it was recorded. One that comes late (an hour or more was begun after it) counts in the
 * current hour, because closed hours are final, and moves the RPO only if it is the newest. A point dated after its own
 * recording (the source's clock is ahead) counts as taken when it was recorded.
 */
export function foldCycle(series: RpoSeries, sample: CycleSample, intervalSeconds: number): Folded {
  const recordedMs = Date.parse(sample.recordedAt);
  const takenMs = Math.min(Date.parse(sample.takenAt), recordedMs);
  const { series: lived, closed } = advance(series, recordedMs, intervalSeconds);
  const untilMs = Date.parse(lived.until);
  const newestMs = Math.max(
    takenMs,
    lived.newestTakenAt === null ? -Infinity : Date.parse(lived.newestTakenAt),
  );
  const transferMs = sample.uploadedAt === undefined ? undefined : Date.parse(sample.uploadedAt) - takenMs;
  const current = add(lived.current, {
    cycles: 1,
    bytes: sample.bytes,
    maxBytes: sample.bytes,
    entries: sample.entryCount,
    latencySumMs: recordedMs - takenMs,
    latencyMaxMs: recordedMs - takenMs,
    transfer: transferMs === undefined ? emptyCounts.transfer : { sumMs: Math.max(0, transferMs), cycles: 1 },
    rpo: courseOf(iso(newestMs), untilMs, untilMs),
  });
  return { series: { ...lived, newestTakenAt: iso(newestMs), current }, closed };
}

/** Counts a failed attempt; one that comes late counts in the current hour. */
export function foldFailure(series: RpoSeries, kind: FailureKind, at: Date, intervalSeconds: number): Folded {
  const { series: lived, closed } = advance(series, at.getTime(), intervalSeconds);
  const failures = { ...emptyCounts.failures, [kind]: 1 };
  return { series: { ...lived, current: add(lived.current, { failures }) }, closed };
}

/** Brings the series up to `at`, so that hours close and the RPO shows though no cycle comes. A tick; any number does. */
export function foldTime(series: RpoSeries, at: Date, intervalSeconds: number): Folded {
  return advance(series, at.getTime(), intervalSeconds);
}
