// What is known of an hour or a day of replication of one item: counts that add up, and the course of the RPO.
import * as z from 'zod';

const count = z.int().min(0);
const milliseconds = z.number().min(0);

/**
 * The course of the RPO over a stretch of time. Between two cycles it grows as the clock does, so minimum, maximum and mean
 * are those of the whole curve, not of samples: they do not depend on how often somebody looked.
 */
export const rpoCourse = z.object({
  minMs: milliseconds,
  maxMs: milliseconds,
  meanMs: milliseconds,
  /** At the end of the stretch. */
  lastMs: milliseconds,
  /** How much time the mean is about. */
  measuredMs: milliseconds,
});
export type RpoCourse = z.infer<typeof rpoCourse>;

const failures = z.object({ network: count, replication: count, appConsistent: count });
export type FailureKind = keyof z.infer<typeof failures>;

const replicationCounts = z.object({
  /** Cycles that became recovery points. */
  cycles: count,
  /**
   * Cycles that the replication interval lets expect, less those that were recorded; 0 while the hour lasts. A cycle at its
   * edge may count in the neighbour: health goes by the statistics of the monitoring interval.
   */
  missedCycles: count,
  /** Bytes of logs, their maximum per cycle, and the writes in them. */
  bytes: count,
  maxBytes: count,
  entries: count,
  /** From the moment that a point shows to the moment that it is recorded. */
  latencySumMs: milliseconds,
  latencyMaxMs: milliseconds,
  /** The part of the latency until the logs were uploaded, for the cycles whose upload time is known. */
  transfer: z.object({ sumMs: milliseconds, cycles: count }),
  /** Null while the item has no recovery point, or no time has passed yet. */
  rpo: rpoCourse.nullable(),
  failures,
});
export type ReplicationCounts = z.infer<typeof replicationCounts>;

export const hourBucket = replicationCounts.extend({
  /** Its start, UTC. */
  hour: z.iso.datetime(),
});
export type HourBucket = z.infer<typeof hourBucket>;

export const dayBucket = replicationCounts.extend({
  /** UTC date. */
  day: z.iso.date(),
});
export type DayBucket = z.infer<typeof dayBucket>;

export const emptyCounts: ReplicationCounts = {
  cycles: 0,
  missedCycles: 0,
  bytes: 0,
  maxBytes: 0,
  entries: 0,
  latencySumMs: 0,
  latencyMaxMs: 0,
  transfer: { sumMs: 0, cycles: 0 },
  rpo: null,
  failures: { network: 0, replication: 0, appConsistent: 0 },
};

/** The mean of two stretches by their length. */
export function weightedMean(one: number, oneWeight: number, other: number, otherWeight: number): number {
  const weight = oneWeight + otherWeight;
  return weight === 0 ? one : (one * oneWeight + other * otherWeight) / weight;
}

function joinRpo(earlier: RpoCourse | null, later: RpoCourse | null): RpoCourse | null {
  if (earlier === null || later === null) return later ?? earlier;
  return {
    minMs: Math.min(earlier.minMs, later.minMs),
    maxMs: Math.max(earlier.maxMs, later.maxMs),
    meanMs: weightedMean(earlier.meanMs, earlier.measuredMs, later.meanMs, later.measuredMs),
    lastMs: later.lastMs,
    measuredMs: earlier.measuredMs + later.measuredMs,
  };
}

/** Two stretches of time as one. Associative; only `rpo.lastMs` minds which is the later one. */
export function joinCounts(earlier: ReplicationCounts, later: ReplicationCounts): ReplicationCounts {
  return {
    cycles: earlier.cycles + later.cycles,
    missedCycles: earlier.missedCycles + later.missedCycles,
    bytes: earlier.bytes + later.bytes,
    maxBytes: Math.max(earlier.maxBytes, later.maxBytes),
    entries: earlier.entries + later.entries,
    latencySumMs: earlier.latencySumMs + later.latencySumMs,
    latencyMaxMs: Math.max(earlier.latencyMaxMs, later.latencyMaxMs),
    transfer: {
      sumMs: earlier.transfer.sumMs + later.transfer.sumMs,
      cycles: earlier.transfer.cycles + later.transfer.cycles,
    },
    rpo: joinRpo(earlier.rpo, later.rpo),
    failures: {
      network: earlier.failures.network + later.failures.network,
      replication: earlier.failures.replication + later.failures.replication,
      appConsistent: earlier.failures.appConsistent + later.failures.appConsistent,
    },
  };
}

/** The RPO in milliseconds: how old the newest recovery point is; null without one. Never negative. */
export function rpoMsAt(newestTakenAt: string | null, now: Date): number | null {
  return newestTakenAt === null ? null : Math.max(0, now.getTime() - Date.parse(newestTakenAt));
}
