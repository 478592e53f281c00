// Pruning of recovery points by the policy's tiers, and of what pruning that was cut left behind. Row first, snapshots after: a
// point that is listed can be recovered. Never the last point, nor one that a job uses.
import type { ReplicationContext } from '../replication/context.ts';
import { replicaName } from '../replication/names.ts';
import { nextPruneAt, planRetention } from '../recoveryPoints/retention.ts';
import { findPolicy, retentionOf } from '../vault/policies.ts';
import type { ItemRecord, RecoveryPointRecord } from './item.ts';
import { findItem, listRecoveryPoints, pointKey, updateItem } from './itemStore.ts';

/** Longest pause between two looks at the recovery points of an item: points come, pins and policies change. */
const longestPruneMs = 3_600_000;
/** A look reads all points of the item: it comes the more seldom the more there are, but at least every hour. */
const pauseAPointMs = 1250;
const shortestPruneMs = 60_000;

/** Deletes a recovery point: its row, then its snapshots. May be repeated. */
export async function prunePoint(
  context: ReplicationContext,
  record: ItemRecord,
  { cycle, id, disks }: RecoveryPointRecord,
): Promise<void> {
  const { storage } = context;
  const row = await storage.items.find(record.item, pointKey(cycle));
  // Row first: a point that is listed can be recovered. Pinned or verified meanwhile: the row is another.
  if (row) await storage.items.transact(record.item, [{ kind: 'delete', key: row.key, etag: row.etag }]);
  context.fault('retention.afterRow');
  for (const { disk, snapshotId } of disks) {
    await storage.replicas.deleteSnapshot(replicaName(record.item, disk), snapshotId);
    context.fault('retention.afterSnapshot');
  }
  context.log(`pruned recovery point ${id} of ${record.item}`);
}

/** Snapshots that no row names: of points whose pruning was cut. The cycle that is being applied is not looked at. */
async function sweepSnapshots(
  context: ReplicationContext,
  record: ItemRecord,
  kept: readonly RecoveryPointRecord[],
): Promise<void> {
  const { replicas } = context.storage;
  const named = new Set(
    kept.flatMap(({ disks }) => disks.map(({ disk, snapshotId }) => `${disk}@${snapshotId}`)),
  );
  for (const { disk } of record.disks) {
    const name = replicaName(record.item, disk);
    if (!(await replicas.find(name))) continue;
    for (const { id, metadata } of await replicas.listSnapshots(name)) {
      const cycle = Number(metadata['cycle']);
      if (named.has(`${disk}@${id}`) || !(cycle <= record.appliedCycle)) continue;
      if (record.applying?.cycle === cycle) continue;
      await replicas.deleteSnapshot(name, id);
    }
  }
}

async function deleteRetiredDisks(
  context: ReplicationContext,
  record: ItemRecord,
  kept: readonly RecoveryPointRecord[],
): Promise<void> {
  for (const { disk, leaseId } of record.retiredDisks) {
    if (kept.some((point) => point.disks.some((each) => each.disk === disk))) continue;
    if (record.disks.some((row) => row.disk === disk)) continue;
    await context.storage.replicas.delete(replicaName(record.item, disk), leaseId ?? undefined);
    context.fault('retention.afterDisk');
    await updateItem(context.storage.items, record.item, (current) => ({
      ...current,
      retiredDisks: current.retiredDisks.filter((each) => each.disk !== disk),
    }));
  }
}

/** Hourly statistics are kept as long as the longest chart wants them. */
const hoursKeptMs = 90 * 24 * 3_600_000;
/** Digests of applied logs are kept while a second upload under a name is plausible. */
const cyclesKept = 10_000;

async function pruneHours({ storage, clock }: ReplicationContext, item: string): Promise<void> {
  const oldest = new Date(clock.now().getTime() - hoursKeptMs);
  for await (const row of storage.items.list(item, {
    from: 'hour:',
    to: `hour:${oldest.toISOString()}`,
    limit: 90,
  }))
    await storage.items.transact(item, [{ kind: 'delete', key: row.key, etag: row.etag }]);
}

async function pruneCycles({ storage }: ReplicationContext, record: ItemRecord): Promise<void> {
  const to = `cycle:${String(Math.max(0, record.appliedCycle - cyclesKept)).padStart(12, '0')}`;
  for await (const row of storage.items.list(record.item, { from: 'cycle:', to, limit: 90 }))
    await storage.items.transact(record.item, [{ kind: 'delete', key: row.key, etag: row.etag }]);
}

/** Prunes recovery points by the policy's tiers, and what pruning that was cut left behind. */
export async function lookAtRetention(
  context: ReplicationContext,
  record: ItemRecord,
): Promise<string | null> {
  const { storage, clock } = context;
  const policy = await findPolicy(storage.vault, record.policy);
  const now = clock.now();
  const later = (at: number) => new Date(Math.max(at, now.getTime() + shortestPruneMs)).toISOString();
  if (!policy) return later(now.getTime() + longestPruneMs);
  const points: RecoveryPointRecord[] = [];
  for await (const point of listRecoveryPoints(storage.items, record.item)) points.push(point);
  const { keep, prune } = planRetention(points, retentionOf(policy), now);
  for (const point of prune) await prunePoint(context, record, point);
  const current = await findItem(storage.items, record.item);
  if (!current) return null;
  const listed: RecoveryPointRecord[] = [];
  for await (const point of listRecoveryPoints(storage.items, record.item)) listed.push(point);
  // `record` was read before the points were listed: a snapshot made meanwhile is of a later cycle than it knows.
  await sweepSnapshots(context, record, listed);
  await deleteRetiredDisks(context, current, listed);
  await pruneHours(context, record.item);
  await pruneCycles(context, record);
  const next = nextPruneAt(keep, retentionOf(policy), now)?.getTime() ?? Infinity;
  const soonest = now.getTime() + keep.length * pauseAPointMs;
  return later(Math.min(Math.max(next, soonest), now.getTime() + longestPruneMs));
}
