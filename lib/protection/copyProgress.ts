// Progress of initial replication from what is durably there: the pages of the replicas that hold data, whatever client wrote
// them. A source that skips zeros arrives with fewer bytes than the disk has; so the rate is what counts, and the source's
// word ends it.
import type { ReplicationContext } from '../replication/context.ts';
import { replicaName } from '../replication/names.ts';
import { findJob } from '../jobs/jobStore.ts';
import type { DiskRecord, ItemRecord } from './item.ts';
import { updateItem } from './itemStore.ts';
import { reportProgress } from './itemJobs.ts';

/** Ranges are listed so much at a time: a service answers a bounded list. */
const windowBytes = 4 * 2 ** 30;

async function presentBytes(context: ReplicationContext, item: string, disk: DiskRecord): Promise<number> {
  const name = replicaName(item, disk.disk);
  let present = 0;
  for (let offset = 0; offset < disk.sizeBytes; offset += windowBytes) {
    const window = { offsetBytes: offset, lengthBytes: Math.min(windowBytes, disk.sizeBytes - offset) };
    for (const { lengthBytes } of await context.storage.replicas.listRanges(name, window))
      present += lengthBytes;
  }
  return present;
}

function withSample(disk: DiskRecord, bytes: number, at: Date): DiskRecord {
  const before = disk.copied;
  if (before?.bytes === bytes) return disk;
  const seconds = before ? (at.getTime() - Date.parse(before.at)) / 1000 : 0;
  const rate = before && seconds > 0 ? Math.max(0, (bytes - before.bytes) / seconds) : null;
  return {
    ...disk,
    copied: { bytes, at: at.toISOString(), bytesPerSecond: rate ?? before?.bytesPerSecond ?? null },
  };
}

/** Looks at the disks that are being copied, and shows it in their rows and in the job. May be repeated. */
export async function copyProgress(context: ReplicationContext, record: ItemRecord): Promise<void> {
  const isCopying = record.state === 'InitialReplicationInProgress' || record.state === 'Protected';
  const copying = record.disks.filter(({ arrivedAt }) => arrivedAt === null);
  if (!isCopying || copying.length === 0) return;
  const now = context.clock.now();
  const samples = new Map<string, number>();
  for (const disk of copying) samples.set(disk.disk, await presentBytes(context, record.item, disk));
  const after = await updateItem(context.storage.items, record.item, (current) => ({
    ...current,
    disks: current.disks.map((disk) => {
      const bytes = samples.get(disk.disk);
      return bytes === undefined || disk.arrivedAt !== null ? disk : withSample(disk, bytes, now);
    }),
  }));
  const { currentJob } = after;
  if (currentJob === null || !(await findJob(context.storage.jobs, currentJob))) return;
  await reportProgress(context, currentJob, copyTotals(after));
}

/** Bytes of the disks that are here and that shall come, and the time until then at the last pace. Pure. */
export function copyTotals({ disks }: Pick<ItemRecord, 'disks'>): {
  doneBytes: number;
  totalBytes: number;
  remainingSeconds: number | null;
} {
  let doneBytes = 0;
  let totalBytes = 0;
  let rate = 0;
  for (const { arrivedAt, sizeBytes, copied } of disks) {
    totalBytes += sizeBytes;
    doneBytes += arrivedAt === null ? Math.min(sizeBytes, copied?.bytes ?? 0) : sizeBytes;
    if (arrivedAt === null) rate += copied?.bytesPerSecond ?? 0;
  }
  const remainingSeconds = rate > 0 ? Math.ceil((totalBytes - doneBytes) / rate) : null;
  return { doneBytes, totalBytes, remainingSeconds };
}
