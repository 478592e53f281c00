// Adding, growing and removing a disk of a protected machine, while its other disks go on replicating. Each changes the
// item's row between two cycles, under the item's lock; the recovery points from before stay as they are.
import { LifeboatError } from '../errors.ts';
import { findMachine } from '../inventory/inventory.ts';
import { completedJob, newJob } from '../jobs/job.ts';
import type { JobKindName, JobRecord } from '../jobs/job.ts';
import { insertJob } from '../jobs/jobStore.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { raiseFence } from '../replication/fence.ts';
import { withItemLock } from '../replication/itemLock.ts';
import { replicaName } from '../replication/names.ts';
import { writeTail } from '../replication/replicas.ts';
import { supersedeLog } from '../replication/supersede.ts';
import { parseDeltaName } from '../replication/names.ts';
import { deleteManifests } from '../resync/manifests.ts';
import { fixedVhdBlobSizeBytes, paddedSizeBytes } from '../vhd/fixed.ts';
import { requireOperation } from './allowed.ts';
import { newDisk } from './enable.ts';
import type { DiskRecord, ItemRecord } from './item.ts';
import { getItem, updateItem } from './itemStore.ts';
import { beginJob, isoNow, newJobId, requireIdle, whenAllowed } from './itemJobs.ts';
import type { OrchestrationClient } from './orchestrations.ts';
import { checkDisks } from './prerequisites.ts';

function requireDisk(record: ItemRecord, disk: string): DiskRecord {
  const found = record.disks.find((row) => row.disk === disk);
  if (found) return found;
  const known = record.disks.map((row) => row.disk).join(', ');
  const message = `Item ${record.item} has no protected disk "${disk}"; it has ${known}.`;
  throw new LifeboatError('DiskNotProtected', message, { target: disk });
}

/**
 * Adds a disk that the inventory knows: it is copied while the others replicate, and joins with the first cycle that has a
 * log of kind `resync` for it. Throws `DiskUnsupported`, `ItemBusy`, `OperationNotSupportedInState`, `ResourceNotFound`.
 */
export async function addDisk(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
  disk: string,
): Promise<JobRecord> {
  const record = await getItem(context.storage.items, item);
  const machine = await findMachine(context.storage.inventory, record.fabric, record.machine);
  const reported = machine?.disks.find(({ id }) => id === disk);
  if (!machine || !reported) {
    const message = `The inventory of machine ${record.machineName} has no disk "${disk}"; report the inventory first.`;
    throw new LifeboatError('ResourceNotFound', message, { target: disk });
  }
  const added = newDisk(reported, null);
  const problems = checkDisks([added], machine);
  if (problems.length > 0)
    throw new LifeboatError('DiskUnsupported', problems.map(({ message }) => message).join(' '), {
      target: disk,
    });
  return beginJob(context, orchestrations, {
    ...{ item, kind: 'addDisk' },
    input: { disk },
    change: whenAllowed('ChangeDisks', (current) => {
      const isTaken =
        current.disks.some((row) => row.disk === disk && row.joinedAtCycle !== null) ||
        current.retiredDisks.some((row) => row.disk === disk);
      if (isTaken) {
        const message = `Disk "${disk}" is protected already, or a recovery point of its earlier protection still needs its replica.`;
        throw new LifeboatError('OperationNotSupportedInState', message, { target: disk });
      }
      const others = current.disks.filter((row) => row.disk !== disk);
      const earlier = current.disks.find((row) => row.disk === disk);
      return { ...current, disks: [...others, earlier ?? added] };
    }),
  });
}

async function underLock(
  context: ReplicationContext,
  item: string,
  work: () => Promise<void>,
): Promise<void> {
  if (await withItemLock(context, item, work)) return;
  const message = `A cycle of protected item "${item}" is being merged at this moment; send the request again.`;
  throw new LifeboatError('ConcurrentUpdate', message, { target: item });
}

async function record(
  context: ReplicationContext,
  kind: JobKindName,
  { item, armId, machineName }: ItemRecord,
): Promise<JobRecord> {
  const at = isoNow(context);
  const about = { kind, targetId: armId, targetName: machineName, item };
  const job = completedJob(newJob({ id: newJobId(context), ...about, createdAt: at }), at);
  await insertJob(context.storage.jobs, job);
  return job;
}

/**
 * Makes the replica as large as the disk has become on the source. What the source wrote behind the old end comes with its
 * logs. The same size again: no change. Throws `DiskUnsupported` for a smaller size, `DiskNotProtected`, `ConcurrentUpdate`.
 */
export async function growDisk(
  context: ReplicationContext,
  item: string,
  disk: string,
  sizeBytes: number,
): Promise<JobRecord> {
  const before = await getItem(context.storage.items, item);
  requireOperation(before, 'ChangeDisks');
  requireIdle(before);
  await underLock(context, item, async () => {
    const current = await getItem(context.storage.items, item);
    const row = requireDisk(current, disk);
    if (sizeBytes === row.sizeBytes) return;
    paddedSizeBytes(sizeBytes);
    if (sizeBytes < row.sizeBytes) {
      const message = `Disk ${disk} has ${row.sizeBytes} bytes; it cannot shrink to ${sizeBytes}. Remove the disk and add it again.`;
      throw new LifeboatError('DiskUnsupported', message, { target: disk });
    }
    if (row.arrivedAt === null || row.leaseId === null) {
      const message = `Disk ${disk} is still being copied; grow it when it has arrived.`;
      throw new LifeboatError('OperationNotSupportedInState', message, { target: disk });
    }
    await growReplica(context, current, row, sizeBytes);
  });
  return record(context, 'growDisk', await getItem(context.storage.items, item));
}

/**
 * Longer blob, new footer, then the row, then zeros where the old footer was. A death before the row leaves a blob that is
 * longer than the row says: the size check of the fence would refuse it, so the row's size is what the next call starts from,
 * and `raiseFence` is asked with the size that the blob has.
 */
async function growReplica(
  context: ReplicationContext,
  { item, createdAt }: ItemRecord,
  row: DiskRecord,
  sizeBytes: number,
): Promise<void> {
  const { replicas } = context.storage;
  const name = replicaName(item, row.disk);
  const grownBytes = fixedVhdBlobSizeBytes(sizeBytes);
  const found = await replicas.find(name);
  const isGrown = found?.sizeBytes === grownBytes;
  const grown: DiskRecord = { ...row, sizeBytes };
  const { leaseId, sequenceNumber } = await raiseFence(context, item, isGrown ? grown : row);
  const fence = { leaseId, sequenceNumber };
  if (!isGrown) await replicas.grow(name, grownBytes, leaseId);
  context.fault('grow.afterResize');
  const oldEnd = paddedSizeBytes(row.sizeBytes);
  const newEnd = paddedSizeBytes(sizeBytes);
  await replicas.clearPages(name, { offsetBytes: row.sizeBytes, lengthBytes: newEnd - row.sizeBytes }, fence);
  if (oldEnd !== newEnd) context.fault('grow.afterClear');
  await writeTail(context, { item, createdAt }, grown, fence);
  context.fault('grow.afterTail');
  await updateItem(context.storage.items, item, (current) => ({
    ...current,
    disks: current.disks.map((each) =>
      each.disk === row.disk ? { ...each, sizeBytes, fence: sequenceNumber } : each,
    ),
  }));
}

/**
 * Takes the disk out of the machine's cycles. Its replica stays while a recovery point includes it. Again: no change.
 * Throws `OperationNotSupportedInState` for the last disk, `ConcurrentUpdate`, `ItemBusy`.
 */
export async function removeDisk(
  context: ReplicationContext,
  item: string,
  disk: string,
): Promise<JobRecord> {
  const before = await getItem(context.storage.items, item);
  requireOperation(before, 'ChangeDisks');
  requireIdle(before);
  await underLock(context, item, async () => {
    const current = await getItem(context.storage.items, item);
    const row = current.disks.find((each) => each.disk === disk);
    if (row) await takeOut(context, current, row);
    await forgetLogs(context, item, disk);
  });
  return record(context, 'removeDisk', await getItem(context.storage.items, item));
}

async function takeOut(context: ReplicationContext, current: ItemRecord, row: DiskRecord): Promise<void> {
  const remaining = current.disks.filter((each) => each.disk !== row.disk);
  if (remaining.every(({ joinedAtCycle }) => joinedAtCycle === null)) {
    const message = `Disk "${row.disk}" is the last one of protected item "${current.name}"; disable protection instead.`;
    throw new LifeboatError('OperationNotSupportedInState', message, { target: row.disk });
  }
  const retired = { disk: row.disk, leaseId: row.leaseId, lastCycle: current.appliedCycle };
  await updateItem(context.storage.items, current.item, (record) => ({
    ...record,
    disks: record.disks.filter((each) => each.disk !== row.disk),
    retiredDisks: [...record.retiredDisks.filter((each) => each.disk !== row.disk), retired],
  }));
  context.fault('removeDisk.afterRow');
}

async function forgetLogs(context: ReplicationContext, item: string, disk: string): Promise<void> {
  for await (const blob of context.storage.deltas.list(`${item}/`))
    if (parseDeltaName(blob.name)?.disk === disk) await supersedeLog(context, blob);
  await deleteManifests(context.storage.resync, { item, disk });
}
