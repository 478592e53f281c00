// The work of replication with its measures around it: spans that carry the trace of an upload on to the recovery point,
// durations, bytes and rates. What the work does and throws is unchanged.
import type { BlobInfo } from '../storage/ports.ts';
import { secondsSince } from '../telemetry/telemetry.ts';
import { traceparentKey, validTraceparents } from '../telemetry/traceparent.ts';
import { telemetryOf } from './context.ts';
import type { ReplicationContext } from './context.ts';

interface Cycle {
  item: string;
  cycle: number;
  logs: ReadonlyMap<string, BlobInfo>;
}

/** The moment that the cycle's recovery point shows, as far as the uploads say. */
function takenAtMs(logs: ReadonlyMap<string, BlobInfo>): number {
  const moments = [...logs.values()].map(({ metadata, lastModified }) => {
    const stated = Date.parse(metadata['takenat'] ?? '');
    return Number.isNaN(stated) ? lastModified.getTime() : stated;
  });
  return Math.max(...moments);
}

/** Checks and applies a cycle; `work` says whether it was applied, or refused. */
export async function measuredCycle(
  context: ReplicationContext,
  { item, cycle, logs }: Cycle,
  work: () => Promise<boolean>,
): Promise<boolean> {
  const telemetry = telemetryOf(context);
  const startMs = performance.now();
  // Anybody who may upload may write metadata.
  const causes = validTraceparents([...logs.values()].map(({ metadata }) => metadata[traceparentKey]));
  return telemetry.span('lifeboat.cycle.apply', { ids: { item, cycle }, causes }, async (span) => {
    const isApplied = await work();
    span.set({ 'lifeboat.applied': isApplied });
    if (!isApplied) return false;
    telemetry.record('lifeboat.cycle.duration', secondsSince(startMs), {});
    // Clocks of two machines: a source that is ahead must not make it negative.
    const latencyMs = Math.max(0, context.clock.now().getTime() - takenAtMs(logs));
    telemetry.record('lifeboat.cycle.latency', latencyMs / 1000, {});
    telemetry.event('cycle.applied', `applied cycle ${cycle} of ${item}`, { item, cycle, disks: logs.size });
    return true;
  });
}

interface Log {
  item: string;
  cycle: number;
  disk: string;
  dataBytes: number;
}

/** Merges one log. */
export async function measuredMerge<T>(
  context: ReplicationContext,
  { item, cycle, disk, dataBytes }: Log,
  work: () => Promise<T>,
): Promise<T> {
  const telemetry = telemetryOf(context);
  const startMs = performance.now();
  return telemetry.span('lifeboat.log.merge', { ids: { item, cycle, disk } }, async (span) => {
    const merged = await work();
    span.set({ 'lifeboat.bytes': dataBytes });
    telemetry.record('lifeboat.merge.bytes', dataBytes, {});
    const seconds = secondsSince(startMs);
    if (dataBytes > 0 && seconds > 0) telemetry.record('lifeboat.merge.rate', dataBytes / seconds, {});
    return merged;
  });
}
