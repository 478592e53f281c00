// Replication statistics over a monitoring interval, as administrators of Hyper-V Replica know them.
import {
  emptyCounts,
  joinCounts,
  type HourBucket,
  type ReplicationCounts,
  type RpoCourse,
} from './bucket.ts';
import { expectedCycles } from './expectedCycles.ts';
import { hourStartMs, type RpoSeries } from './series.ts';

/** Hyper-V's default; it allows 1 hour to 7 days. */
const defaultMonitoringHours = 12;

export interface ReplicationStatistics {
  /** What the figures are about: half-open. */
  from: string;
  to: string;
  /** Those that should have been recorded by `to`: begun an interval before it or earlier. */
  expectedCycles: number;
  successfulCycles: number;
  missedCycles: number;
  /** Missed of expected, 0 to 100; 0 when none is expected yet. */
  missedPercent: number;
  bytes: number;
  /** Null without a cycle. */
  averageBytes: number | null;
  maxBytes: number;
  averageLatencyMs: number | null;
  maxLatencyMs: number;
  /** The part of the latency until the logs had arrived; null when no cycle says. */
  averageTransferMs: number | null;
  rpo: RpoCourse | null;
  networkFailures: number;
  replicationFailures: number;
  appConsistentFailures: number;
}

export interface MonitoringInterval {
  now: Date;
  intervalSeconds: number;
  /** Default 12. */
  monitoringHours?: number;
}

const average = (sum: number, cycles: number): number | null => (cycles === 0 ? null : sum / cycles);

/** Start of the first whole hour that statistics need: list the stored hours from here on. */
export function monitoringStart({ now, monitoringHours = defaultMonitoringHours }: MonitoringInterval): Date {
  return new Date(hourStartMs(now.getTime() - monitoringHours * 3_600_000));
}

/**
 * Statistics of the last `monitoringHours`, to which the rest of the hour in which they began is added, but not from before
 * the series. `stored` are closed hours in any order; older ones do not count. The series should be brought up to `now` first
 * (`foldTime`).
 */
export function replicationStatistics(
  series: RpoSeries,
  stored: readonly HourBucket[],
  interval: MonitoringInterval,
): ReplicationStatistics {
  const toMs = interval.now.getTime();
  const startMs = monitoringStart(interval).getTime();
  const fromMs = Math.max(startMs, Date.parse(series.since));
  const counts = [...stored, series.current]
    .filter(({ hour }) => Date.parse(hour) >= startMs && Date.parse(hour) <= toMs)
    .sort((one, other) => Date.parse(one.hour) - Date.parse(other.hour))
    .reduce<ReplicationCounts>(joinCounts, emptyCounts);
  // A cycle has until the next one to be recorded.
  const expected = expectedCycles(fromMs, toMs - interval.intervalSeconds * 1000, interval.intervalSeconds);
  const missed = Math.max(0, expected - counts.cycles);
  return {
    from: new Date(fromMs).toISOString(),
    to: interval.now.toISOString(),
    expectedCycles: expected,
    successfulCycles: counts.cycles,
    missedCycles: missed,
    missedPercent: expected === 0 ? 0 : (100 * missed) / expected,
    bytes: counts.bytes,
    averageBytes: average(counts.bytes, counts.cycles),
    maxBytes: counts.maxBytes,
    averageLatencyMs: average(counts.latencySumMs, counts.cycles),
    maxLatencyMs: counts.latencyMaxMs,
    averageTransferMs: average(counts.transfer.sumMs, counts.transfer.cycles),
    rpo: counts.rpo,
    networkFailures: counts.failures.network,
    replicationFailures: counts.failures.replication,
    appConsistentFailures: counts.failures.appConsistent,
  };
}
