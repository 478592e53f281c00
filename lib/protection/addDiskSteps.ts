// The steps of adding a disk: the checks, and its empty replica. The copy by the source and the first cycle that includes the disk
// follow by themselves (the disk's row shows them), so that no job keeps the item from what may come meanwhile.
import type { ErrorRecord } from '../errors.ts';
import { findMachine } from '../inventory/inventory.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { createReplica } from '../replication/replicas.ts';
import { plan } from '../agenda/agenda.ts';
import { firstHealthLook } from './health.ts';
import type { DiskRecord } from './item.ts';
import { getItem, updateItem } from './itemStore.ts';
import { abandonJob, beginStep, endStep, finishJob, onStep } from './itemJobs.ts';
import type { BadEnd } from './itemJobs.ts';
import type { ItemJob } from './orchestrations.ts';
import { checkDisks } from './prerequisites.ts';

export type AddDiskJob = ItemJob & { disk: string };

async function rowOf(
  context: ReplicationContext,
  { item, disk }: AddDiskJob,
): Promise<DiskRecord | undefined> {
  return (await getItem(context.storage.items, item)).disks.find((row) => row.disk === disk);
}

/** All steps. Returns every check that failed; the job is over otherwise. */
export async function prepareDisk(context: ReplicationContext, job: AddDiskJob): Promise<ErrorRecord[]> {
  const { storage } = context;
  await beginStep(context, job.jobId, 'AddDisksPreflightChecksTask');
  const record = await getItem(storage.items, job.item);
  const machine = await findMachine(storage.inventory, record.fabric, record.machine);
  const row = await rowOf(context, job);
  if (!machine || !row)
    return [
      {
        code: 'ResourceNotFound',
        message: `Disk ${job.disk} of ${record.machineName} is not known any more.`,
      },
    ];
  const errors = checkDisks([row], machine);
  if (errors.length > 0) return errors;
  await endStep(context, job.jobId, 'AddDisksPreflightChecksTask');
  await onStep(context, job.jobId, 'CreateProtectionTargetTask', async () => {
    // A replica that the source may be writing already is not emptied.
    if (row.arrivedAt === null && row.copied === null) await createReplica(context, record, row);
    await updateItem(storage.items, job.item, (current) => ({
      ...current,
      disks: current.disks.map((each) =>
        each.disk === job.disk && each.copied === null
          ? { ...each, copied: { bytes: 0, at: context.clock.now().toISOString(), bytesPerSecond: null } }
          : each,
      ),
    }));
  });
  await onStep(context, job.jobId, 'StartInitialReplicationTask', () =>
    plan(context, 'health', job.item, firstHealthLook(context.clock.now())),
  );
  await finishJob(context, job, (record) => record);
  return [];
}

/** A disk that was not added after all: it was never in a recovery point, so its replica goes with it. */
export async function abandonAddDisk(
  context: ReplicationContext,
  job: AddDiskJob,
  end: BadEnd,
): Promise<void> {
  await abandonJob(context, job, end, (record) => {
    const row = record.disks.find(({ disk }) => disk === job.disk);
    if (row?.joinedAtCycle !== null) return record;
    return {
      ...record,
      disks: record.disks.filter(({ disk }) => disk !== job.disk),
      // Retention deletes the replica.
      retiredDisks: [...record.retiredDisks, { disk: row.disk, leaseId: row.leaseId, lastCycle: 0 }],
    };
  });
}
