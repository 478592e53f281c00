// Marking disks whose replica may not equal the source any more, and planning the resynchronization that mends them. A mark
// is a fact in the disk's row; it goes when a log of kind `resync` for the disk has been applied.
import { plan } from '../agenda/agenda.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { isInWindow, nextOpening } from '../schedule/resyncWindow.ts';
import { findPolicy } from '../vault/policies.ts';
import type { DiskRecord, ItemRecord, ResyncMark } from './item.ts';
import { withHealth } from './health.ts';
import { getItem, updateItem } from './itemStore.ts';
import { isoNow } from './itemJobs.ts';

export type ResyncReason = ResyncMark['reason'];

/**
 * Reasons that let logs go on being merged: they are too many, but as good as before; an administrator asked for it; or the
 * chain broke, which a log that names the last applied one as its predecessor mends.
 */
const mendable: ReadonlySet<ResyncReason> = new Set(['LogsTooLarge', 'LogChainBroken', 'Requested']);
const blocksMerging = (reason: ResyncReason): boolean => !mendable.has(reason);

/** The disk with the mark. A mark that blocks replaces one that does not; otherwise the first reason stays. */
export function withMark(
  disk: DiskRecord,
  reason: ResyncReason,
  message: string,
  markedAt: string,
): DiskRecord {
  const blocks = blocksMerging(reason);
  if (disk.joinedAtCycle === null) return disk;
  if (disk.resync && (disk.resync.blocksMerging || !blocks)) return disk;
  return { ...disk, resync: { reason, markedAt, message, blocksMerging: blocks } };
}

/** Marks the disks and plans when it is looked at again. May be repeated. */
export async function markForResync(
  context: ReplicationContext,
  item: string,
  disks: readonly string[],
  reason: ResyncReason,
  message: string,
): Promise<void> {
  const markedAt = isoNow(context);
  const marked = await updateItem(context.storage.items, item, (record) => {
    const changed = record.disks.map((row) =>
      disks.includes(row.disk) ? withMark(row, reason, message, markedAt) : row,
    );
    const isSame = changed.every((row, index) => row === record.disks[index]);
    return isSame ? record : withHealth(context, { ...record, disks: changed });
  });
  context.fault('mark.afterRow');
  await planResync(context, marked);
}

/** Plans the next look at a marked item: at once inside its window, else when it opens. */
export async function planResync(context: ReplicationContext, record: ItemRecord): Promise<void> {
  if (!needsResync(record)) return;
  const policy = await findPolicy(context.storage.vault, record.policy);
  const now = context.clock.now();
  const isOpen = !policy || isInWindow(policy.resyncWindow, now);
  const at = isOpen ? now : nextOpening(policy.resyncWindow, now);
  const planned = (await getItem(context.storage.items, record.item)).agenda.resync;
  // An earlier look is planned already.
  if (planned && planned >= now.toISOString() && planned <= at.toISOString()) return;
  await plan(context, 'resync', record.item, at.toISOString());
}

export const needsResync = ({ disks }: Pick<ItemRecord, 'disks'>): boolean =>
  disks.some(({ resync }) => resync !== null);

export const markedDisks = ({ disks }: Pick<ItemRecord, 'disks'>): DiskRecord[] =>
  disks.filter(({ resync }) => resync !== null);
