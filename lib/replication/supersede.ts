// Logs that a resynchronization makes useless: what they say is contained in the log that the source will send. They are kept
// in `quarantine`, because until that log is applied they may be all there is of the changes.
import { isLifeboatError } from '../errors.ts';
import type { DiskRecord, ItemRecord } from '../protection/item.ts';
import type { BlobInfo } from '../storage/ports.ts';
import type { ReplicationContext } from './context.ts';
import { parseDeltaName } from './names.ts';

/** True while the item takes no logs but those of its running resynchronization. */
export const isSetApart = ({ resync }: Pick<ItemRecord, 'resync'>): boolean =>
  resync !== null && resync.phase !== 'applied';

/** True when the log belongs to the running resynchronization. */
export function belongsToResync({ resync }: Pick<ItemRecord, 'resync'>, blob: BlobInfo): boolean {
  return resync !== null && blob.metadata['generation'] === String(resync.generation);
}

/**
 * True when the log starts a chain of its own: it is of kind `resync`, and its disk is being resynchronized or has not joined
 * yet. Any other log must follow the last applied one, whatever its kind says.
 */
export function startsChain(record: Pick<ItemRecord, 'resync'>, disk: DiskRecord, blob: BlobInfo): boolean {
  if (blob.metadata['kind'] !== 'resync') return false;
  return disk.joinedAtCycle === null || (isSetApart(record) && disk.resync !== null);
}

/** Moves one log to `quarantine`. One that was replaced meanwhile stays for the next look. May be repeated. */
export async function supersedeLog({ storage, fault }: ReplicationContext, blob: BlobInfo): Promise<void> {
  try {
    await storage.deltas.copyTo(blob.name, blob.etag, 'quarantine', { reason: 'ResyncSuperseded' });
    fault('supersede.afterCopy');
    await storage.deltas.delete(blob.name, blob.etag);
  } catch (error) {
    if (!isLifeboatError(error, 'LogChanged', 'BlobNotFound')) throw error;
  }
}

/** The disks that have logs waiting: what those say is missing from the chain once they are set aside. */
export async function disksWithWaitingLogs(
  { storage }: ReplicationContext,
  { item, appliedCycle }: Pick<ItemRecord, 'item' | 'appliedCycle'>,
): Promise<string[]> {
  const disks = new Set<string>();
  for await (const blob of storage.deltas.list(`${item}/`)) {
    const name = parseDeltaName(blob.name);
    if (name && name.cycle > appliedCycle) disks.add(name.disk);
  }
  return [...disks];
}

/** Moves every waiting log that is not of the running resynchronization. Under the item's lock. May be repeated. */
export async function supersedeLogs(context: ReplicationContext, record: ItemRecord): Promise<void> {
  for await (const blob of context.storage.deltas.list(`${record.item}/`)) {
    const name = parseDeltaName(blob.name);
    if (name && name.cycle > record.appliedCycle && !belongsToResync(record, blob))
      await supersedeLog(context, blob);
  }
}
