// Recovery points whose snapshot is gone, because the storage account went back in time: a point that cannot be recovered
// must not be listed.
import { listRecoveryPoints, pointKey } from '../protection/itemStore.ts';
import type { ReplicationContext } from './context.ts';

/** Deletes the rows of points that name a snapshot of this replica that does not exist. May be repeated. */
export async function dropLostPoints(
  { storage, log }: ReplicationContext,
  item: string,
  replica: string,
  disk: string,
): Promise<void> {
  const existing = new Set((await storage.replicas.listSnapshots(replica)).map(({ id }) => id));
  for await (const point of listRecoveryPoints(storage.items, item)) {
    const snapshot = point.disks.find((each) => each.disk === disk);
    if (!snapshot || existing.has(snapshot.snapshotId)) continue;
    const row = await storage.items.find(item, pointKey(point.cycle));
    if (!row) continue;
    await storage.items.transact(item, [{ kind: 'delete', key: row.key, etag: row.etag }]);
    log(`recovery point ${point.id} of ${item} is lost: its snapshot of ${disk} does not exist any more`);
  }
}
