// A resynchronization is a comparison with one state of the replica. Should the replica have been written since (storage that
// went back in time, somebody else at the account), the differences that the source sent do not make it right: compare anew.
import type { ItemRecord } from '../protection/item.ts';
import { updateItem } from '../protection/itemStore.ts';
import type { ReplicationContext } from './context.ts';
import { replicaName } from './names.ts';
import { isSetApart } from './supersede.ts';

/** True, and noted in the row for the job that runs, when what was compared is not there any more. */
export async function isComparisonStale(context: ReplicationContext, record: ItemRecord): Promise<boolean> {
  const { resync } = record;
  // An attempt of ours that died has raised the numbers: it writes what was compared, and so does the next.
  if (!resync || !isSetApart(record) || record.applying !== null) return resync?.isStale ?? false;
  for (const { disk, sequenceNumber } of Object.values(resync.digests)) {
    const found = await context.storage.replicas.find(replicaName(record.item, disk));
    if (found?.sequenceNumber === sequenceNumber) continue;
    await updateItem(context.storage.items, record.item, (current) =>
      current.resync?.generation === resync.generation
        ? { ...current, resync: { ...current.resync, isStale: true } }
        : current,
    );
    context.log(`replica ${replicaName(record.item, disk)} was written while it was compared; compare anew`);
    return true;
  }
  return false;
}
