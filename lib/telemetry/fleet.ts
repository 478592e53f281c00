// The gauges of all items and source hosts at one moment, from their rows: whichever process looks sees the same. Read-only.
import { listHosts } from '../auth/hosts.ts';
import { forEachBounded } from '../merge/bounded.ts';
import type { ItemRecord } from '../protection/item.ts';
import { findItem, listItemIds } from '../protection/itemStore.ts';
import { telemetryOf } from '../replication/context.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { itemOfDelta } from '../replication/names.ts';
import { findPolicy, rpoThresholdSecondsOf } from '../vault/policies.ts';

/** Rows that are read at once. */
const readsAtOnce = 32;

/** The moment of upload of each item's oldest log that waits. */
async function oldestLogs({ storage }: ReplicationContext): Promise<Map<string, Date>> {
  const oldest = new Map<string, Date>();
  for await (const { name, lastModified } of storage.deltas.list('')) {
    const item = itemOfDelta(name);
    if (item === undefined) continue;
    const known = oldest.get(item);
    if (known === undefined || lastModified < known) oldest.set(item, lastModified);
  }
  return oldest;
}

/** Part of a resynchronization that is compared, 0 to 1; undefined when none runs. */
function resyncProgress({ resync, disks }: ItemRecord): number | undefined {
  if (!resync || resync.phase === 'applied') return undefined;
  const totalBytes = disks
    .filter(({ disk }) => disk in resync.digests)
    .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return totalBytes === 0 ? 0 : Math.min(1, resync.comparedBytes / totalBytes);
}

/** Thresholds by policy, each read once. */
function thresholds({ storage }: ReplicationContext): (policy: string) => Promise<number | undefined> {
  const known = new Map<string, Promise<number | undefined>>();
  return (policy) => {
    const found =
      known.get(policy) ??
      findPolicy(storage.vault, policy).then((record) => record && rpoThresholdSecondsOf(record));
    known.set(policy, found);
    return found;
  };
}

/** Hosts that enrolled themselves and were not revoked. One that was never heard of counts from its enrolment. */
async function sampleHosts(context: ReplicationContext, ageSeconds: (at: Date) => number): Promise<void> {
  for (const { fabric, name, revokedAt, lastSeenAt, enrolledAt } of await listHosts(context.storage.access)) {
    if (revokedAt !== null) continue;
    const age = ageSeconds(new Date(lastSeenAt ?? enrolledAt));
    telemetryOf(context).record('lifeboat.host.heartbeat.age', age, {
      host: `${fabric}/${name}`,
    });
  }
}

/** Sets the gauges of every item and host. Returns how many items there are. */
export async function sampleFleet(context: ReplicationContext): Promise<number> {
  const { storage, clock } = context;
  const telemetry = telemetryOf(context);
  const thresholdOf = thresholds(context);
  const oldest = await oldestLogs(context);
  const ids: string[] = [];
  for await (const id of listItemIds(storage.vault)) ids.push(id);
  const ageSeconds = (moment: Date): number => Math.max(0, (clock.now().getTime() - moment.getTime()) / 1000);
  await sampleHosts(context, ageSeconds);
  await forEachBounded(ids, { concurrency: readsAtOnce }, async (item) => {
    const record = await findItem(storage.items, item);
    if (!record) return;
    const waiting = oldest.get(item);
    telemetry.record('lifeboat.queue.age', waiting === undefined ? 0 : ageSeconds(waiting), { item });
    const pendingBytes = record.disks.reduce((sum, { pendingLogBytes }) => sum + pendingLogBytes, 0);
    telemetry.record('lifeboat.queue.bytes', pendingBytes, { item });
    const progress = resyncProgress(record);
    if (progress !== undefined) telemetry.record('lifeboat.resync.progress', progress, { item });
    if (!record.latestPoint) return;
    const rpoSeconds = ageSeconds(new Date(record.latestPoint.takenAt));
    telemetry.record('lifeboat.rpo', rpoSeconds, { item });
    // Whoever paused replication knows that the objective is missed.
    const threshold = record.pausedAt === null ? await thresholdOf(record.policy) : undefined;
    if (threshold !== undefined && record.state === 'Protected')
      telemetry.record('lifeboat.rpo.ratio', rpoSeconds / threshold, { item });
  });
  return ids.length;
}
