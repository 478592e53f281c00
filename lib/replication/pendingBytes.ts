// How much waits to be merged, as the item's row shows it, and the rule that comes with it: a disk whose logs reach half its
// size is cheaper to compare anew than to replay (Site Recovery's and Hyper-V's 50 %).
import type { DiskRecord, ItemRecord } from '../protection/item.ts';
import { withHealth } from '../protection/health.ts';
import { updateItem } from '../protection/itemStore.ts';
import { markForResync } from '../protection/resyncMarks.ts';
import type { ReplicationContext } from './context.ts';
import { pendingBytes } from './pending.ts';
import type { PendingLogs } from './pending.ts';

const shareOfDisk = 0.5;

const isTooMuch = ({ sizeBytes }: DiskRecord, bytes: number): boolean => bytes >= shareOfDisk * sizeBytes;

/**
 * Stores what was listed. A mark that was set for too many logs goes when they have been merged after all.
 * With `isStuck` (the logs cannot be merged now) disks with too many are marked for resynchronization.
 */
export async function notePendingBytes(
  context: ReplicationContext,
  record: ItemRecord,
  pending: PendingLogs,
  isStuck: boolean,
): Promise<void> {
  const bytes = pendingBytes(pending);
  const changed = record.disks.map((disk): DiskRecord => {
    const pendingLogBytes = bytes.get(disk.disk) ?? 0;
    const isMended = disk.resync?.reason === 'LogsTooLarge' && !isTooMuch(disk, pendingLogBytes);
    if (disk.pendingLogBytes === pendingLogBytes && !isMended) return disk;
    return { ...disk, pendingLogBytes, resync: isMended ? null : disk.resync };
  });
  if (changed.some((disk, index) => disk !== record.disks[index])) {
    const after = new Map(changed.map((disk) => [disk.disk, disk]));
    await updateItem(context.storage.items, record.item, (current) => {
      const disks = current.disks.map((disk) => {
        const noted = after.get(disk.disk);
        const isMended = noted?.resync === null && disk.resync?.reason === 'LogsTooLarge' && !current.resync;
        if (!noted) return disk;
        return { ...disk, pendingLogBytes: noted.pendingLogBytes, resync: isMended ? null : disk.resync };
      });
      return withHealth(context, { ...current, disks });
    });
  }
  if (!isStuck || record.resync) return;
  for (const disk of changed) {
    if (disk.resync || !isTooMuch(disk, disk.pendingLogBytes)) continue;
    const message = `${disk.pendingLogBytes} bytes of logs wait for a disk of ${disk.sizeBytes} bytes.`;
    await markForResync(context, record.item, [disk.disk], 'LogsTooLarge', message);
  }
}
