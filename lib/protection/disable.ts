// Disabling protection: the source is told, what has arrived is merged when the replica shall stay, and then everything of the
// item goes: snapshots and replicas (unless they are to be kept), logs, digests, rows. Possible in every state, also when the
// source is gone; the last way out of whatever an item got into.
import { isLifeboatError } from '../errors.ts';
import { findJob, updateJob } from '../jobs/jobStore.ts';
import type { JobRecord } from '../jobs/job.ts';
import { decideEnd, fulfilOperation } from '../jobs/progress.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { drainItem } from '../replication/drain.ts';
import type { DrainOptions } from '../replication/drain.ts';
import { withItemLock } from '../replication/itemLock.ts';
import { replicaName } from '../replication/names.ts';
import { deleteManifests } from '../resync/manifests.ts';
import { requireOperation } from './allowed.ts';
import type { ItemRecord } from './item.ts';
import { deleteItem, findItem, getItem, updateItem } from './itemStore.ts';
import { abandonJob, beginJob, beginStep, completeEnd, endStep, isoNow, onStep } from './itemJobs.ts';
import type { BadEnd } from './itemJobs.ts';
import type { ItemJob, OrchestrationClient } from './orchestrations.ts';
import { releaseResyncSlot } from './resyncSlots.ts';
import { findTransition, transition } from './states.ts';
import { releaseTargetName } from './target.ts';

export interface DisableRequest {
  item: string;
  /** Keep the replicas and their snapshots as blobs, without lease, for whoever wants them. */
  keepsReplica?: boolean;
  /** The source will not answer any more: do not wait for it. */
  isSourceGone?: boolean;
}

/** How long the source may take to release its machine, before protection ends without it. */
const releaseMs = 10 * 60_000;

/** Supersedes whatever job runs on the item. The same request while it runs: that job. */
export async function disableProtection(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  { item, keepsReplica = false, isSourceGone = false }: DisableRequest,
): Promise<JobRecord> {
  const { storage } = context;
  const existing = await getItem(storage.items, item);
  const running = existing.currentJob === null ? undefined : await findJob(storage.jobs, existing.currentJob);
  if (running?.kind === 'disableProtection' && existing.state === 'DisablingProtection') return running;
  return beginJob(context, orchestrations, {
    ...{ item, kind: 'disableProtection' },
    input: { keepsReplica, isSourceGone },
    change: (record) => {
      requireOperation(record, 'DisableProtection');
      return { ...record, state: transition(record.state, 'disableRequested'), resync: null, scrub: null };
    },
  });
}

export type DisableJob = ItemJob & { keepsReplica: boolean; isSourceGone: boolean };

/** Step 1 and 2: whether the source has released the machine, or need not be waited for. */
export async function awaitRelease(
  context: ReplicationContext,
  { item, jobId, isSourceGone }: DisableJob,
): Promise<{ isReady: boolean; until: string }> {
  await onStep(context, jobId, 'DisableProtectionPreflightChecksTask', async () => undefined);
  await updateJob(context.storage.jobs, jobId, fulfilOperation);
  await beginStep(context, jobId, 'ReleaseSourceTask');
  const record = await getItem(context.storage.items, item);
  const job = await findJob(context.storage.jobs, jobId);
  const since = Date.parse(job?.startTime ?? isoNow(context));
  const until = new Date(since + releaseMs);
  const holds = record.sourceSnapshot === 'held' || record.sourceSnapshot === 'releasing';
  const isReady = isSourceGone || !holds || context.clock.now() >= until;
  if (isReady) await endStep(context, jobId, 'ReleaseSourceTask');
  else {
    await updateItem(context.storage.items, item, (current) => ({ ...current, sourceSnapshot: 'releasing' }));
  }
  return { isReady, until: until.toISOString() };
}

/** Step 3, again and again: a replica that is kept gets everything that has arrived. */
export async function drainBeforeDeletion(
  context: ReplicationContext,
  { item, jobId, keepsReplica }: DisableJob,
  options: DrainOptions,
): Promise<{ isMerged: boolean }> {
  await beginStep(context, jobId, 'DrainLogsTask');
  if (keepsReplica) {
    const { outcome } = await drainItem(context, item, options).catch((error: unknown) => {
      // A replica that cannot be written any more is kept as it is.
      if (isLifeboatError(error, 'ReplicaMissing', 'ReplicaRolledBack', 'ReplicaSizeMismatch'))
        return { outcome: 'blocked' as const };
      throw error;
    });
    if (outcome === 'busy' || outcome === 'more') return { isMerged: false };
  }
  await endStep(context, jobId, 'DrainLogsTask');
  return { isMerged: true };
}

/** Lease ids by disk: of the protected disks and of those that were removed before. */
function replicasOf(record: ItemRecord): Map<string, string | null> {
  const leases = new Map<string, string | null>();
  for (const { disk, leaseId } of record.retiredDisks) leases.set(disk, leaseId);
  for (const { disk, leaseId } of record.disks) leases.set(disk, leaseId);
  return leases;
}

/** The item while it is this job's. A step that is repeated may meet a new item of the name, which was enabled after the old one was gone. */
async function findOwn(
  { storage }: ReplicationContext,
  { item, jobId }: ItemJob,
): Promise<ItemRecord | undefined> {
  const record = await findItem(storage.items, item);
  return record?.currentJob === jobId ? record : undefined;
}

/** Step 4, under the item's lock, so that no drain writes what is being deleted. */
export async function deleteReplicaData(
  context: ReplicationContext,
  { item, jobId, keepsReplica }: DisableJob,
): Promise<{ isReady: boolean }> {
  const { storage } = context;
  await beginStep(context, jobId, 'DeleteReplicaTask');
  const record = await findOwn(context, { item, jobId });
  if (record) {
    const done = await withItemLock(context, item, async () => {
      for (const [disk, leaseId] of replicasOf(record)) {
        const name = replicaName(item, disk);
        if (keepsReplica) {
          if (leaseId !== null) await storage.replicas.releaseLease(name, leaseId);
        } else await storage.replicas.delete(name, leaseId ?? undefined);
        context.fault('disable.afterReplica');
      }
      for (const container of [storage.deltas, storage.quarantine])
        for await (const blob of container.list(`${item}/`)) await container.delete(blob.name, blob.etag);
      await deleteManifests(storage.resync, { item });
    });
    if (!done) return { isReady: false };
  }
  await endStep(context, jobId, 'DeleteReplicaTask');
  return { isReady: true };
}

/** Step 5: the item's rows. Afterwards the name is free. */
export async function forgetItem(context: ReplicationContext, { item, jobId }: ItemJob): Promise<void> {
  const { storage } = context;
  await beginStep(context, jobId, 'UpdateDraStateTask');
  const record = await findOwn(context, { item, jobId });
  if (record) {
    await releaseTargetName(storage.vault, record);
    await releaseResyncSlot(storage, item);
    context.fault('disable.beforeRows');
    await deleteItem(storage, item);
  }
  context.fault('disable.afterRows');
  await endStep(context, jobId, 'UpdateDraStateTask');
  await updateJob(storage.jobs, jobId, (job) => decideEnd(job, 'Succeeded'));
  await completeEnd(context, jobId);
}

/** A job that cannot go on; disabling may be asked for again. */
export async function abandonDisable(context: ReplicationContext, job: ItemJob, end: BadEnd): Promise<void> {
  await abandonJob(context, job, end, (record) => ({
    ...record,
    state: findTransition(record.state, 'disablingFailed') ?? record.state,
  }));
}
