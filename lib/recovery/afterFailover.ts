// What may follow a failover: another recovery point, commit, or undoing it.
import { LifeboatError } from '../errors.ts';
import type { ErrorRecord } from '../errors.ts';
import type { JobRecord } from '../jobs/job.ts';
import type { ItemFailover, ItemRecord } from '../protection/item.ts';
import { getItem, listRecoveryPoints, updateItem } from '../protection/itemStore.ts';
import {
  abandonJob,
  beginJob,
  beginStep,
  endStep,
  finishJob,
  whenAllowed,
  onRepeatedStep,
} from '../protection/itemJobs.ts';
import type { BadEnd } from '../protection/itemJobs.ts';
import type { ItemJob, OrchestrationClient } from '../protection/orchestrations.ts';
import { prunePoint } from '../protection/retention.ts';
import { transition } from '../protection/states.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { dataLossSeconds } from './choosePoint.ts';
import {
  makeDisks,
  makeMachine,
  prepareRecovery,
  removeAll,
  removeDisks,
  removeMachine,
  requireCompute,
  type StepProgress,
} from './recoverySteps.ts';
import { findRun, updateRun } from './recoveryRun.ts';

/** The failover is final: other recovery points go. Throws `ItemBusy`, `OperationNotSupportedInState`. */
export const startCommit = (
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
): Promise<JobRecord> =>
  beginJob(context, orchestrations, { item, kind: 'commitFailover', change: whenAllowed('Commit') });

/** The failover is undone: its machine goes, the source's counts again. Throws as `startCommit`. */
export const startCancel = (
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
): Promise<JobRecord> =>
  beginJob(context, orchestrations, { item, kind: 'cancelFailover', change: whenAllowed('CancelFailover') });

/** The machine is made again from another recovery point. Throws as `startCommit`. */
export const startChangePoint = (
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
  pointId: string,
): Promise<JobRecord> =>
  beginJob(context, orchestrations, {
    ...{ item, kind: 'changeRecoveryPoint', input: { pointId } },
    change: whenAllowed('ChangePit'),
  });

function requireFailover({ name, failover }: ItemRecord): ItemFailover {
  if (failover) return failover;
  throw new LifeboatError('OperationNotSupportedInState', `Protected item "${name}" has not failed over.`);
}

/** The one step of a commit. The point that the machine came from stays: a failback begins from it. */
export async function finishCommit(context: ReplicationContext, job: ItemJob): Promise<void> {
  const { items } = context.storage;
  await beginStep(context, job.jobId, 'CommitFailoverTask');
  const record = await getItem(items, job.item);
  const { point } = requireFailover(record);
  for await (const each of listRecoveryPoints(items, job.item))
    if (each.id !== point?.id) await prunePoint(context, record, each);
  await endStep(context, job.jobId, 'CommitFailoverTask');
  await finishJob(context, job, (current) => ({
    ...current,
    state: transition(current.state, 'failoverCommitted'),
    latestPoint: current.latestPoint?.id === point?.id ? current.latestPoint : null,
  }));
}

/** Step 1 of a cancel, again and again. */
export async function removeFailedOverMachine(
  context: ReplicationContext,
  job: ItemJob,
): Promise<StepProgress> {
  return onRepeatedStep(context, job.jobId, 'DeleteVmTask', async () => {
    const { jobId } = requireFailover(await getItem(context.storage.items, job.item));
    return removeMachine(context, { item: job.item, jobId });
  });
}

/** Step 2 of a cancel: the source runs again, and its logs are merged as before. */
export async function finishCancel(context: ReplicationContext, job: ItemJob): Promise<void> {
  await beginStep(context, job.jobId, 'DeleteDisksTask');
  const { failover } = await getItem(context.storage.items, job.item);
  if (failover) await removeDisks(context, { item: job.item, jobId: failover.jobId });
  await endStep(context, job.jobId, 'DeleteDisksTask');
  await finishJob(context, job, (record) => ({
    ...record,
    state: transition(record.state, 'failoverUndone'),
    failover: null,
  }));
}

/** A commit or cancel that failed changes nothing of the item's state: it may be asked for again. */
export async function abandonFollowUp(context: ReplicationContext, job: ItemJob, end: BadEnd): Promise<void> {
  await abandonJob(context, job, end, (record) => record);
}

export type ChangePointJob = ItemJob & { pointId: string };

/** Step 1 of a change. */
export async function prepareChange(
  context: ReplicationContext,
  job: ChangePointJob,
): Promise<ErrorRecord[]> {
  await beginStep(context, job.jobId, 'PrepareForFailoverTask');
  const errors = await prepareRecovery(context, job, {
    ...{ selector: { kind: 'point', id: job.pointId }, purpose: 'failover' },
    ...{ networkId: null, marker: null, bootLimitSeconds: 0 },
  });
  if (errors.length === 0) await endStep(context, job.jobId, 'PrepareForFailoverTask');
  return errors;
}

/** Step 2 of a change, again and again: the new disks, while the old machine still runs. */
export async function makeChangedDisks(
  context: ReplicationContext,
  job: ItemJob,
  options: { stopAt: Date },
): Promise<{ isDone: boolean }> {
  return onRepeatedStep(context, job.jobId, 'FailoverTask', () => makeDisks(context, job, options));
}

/** Step 3 and 4 of a change, again and again: the old machine makes room for the new one, which has the same name. */
export async function replaceMachine(context: ReplicationContext, job: ItemJob): Promise<StepProgress> {
  const { jobId: oldJobId } = requireFailover(await getItem(context.storage.items, job.item));
  if (oldJobId !== job.jobId) {
    const removed = await onRepeatedStep(context, job.jobId, 'DeletePreviousVmTask', () =>
      removeMachine(context, { item: job.item, jobId: oldJobId }),
    );
    if (!removed.isDone) return removed;
  }
  return onRepeatedStep(context, job.jobId, 'StartVmOnSecondary', () => makeMachine(context, job));
}

/** Step 5 of a change: from here on the item names the new machine. Returns the job whose disks are left over. */
export async function switchPoint(context: ReplicationContext, job: ItemJob): Promise<{ oldJobId: string }> {
  const { items } = context.storage;
  const { point } = await updateRun(items, job.item, job.jobId);
  const { jobId: oldJobId } = requireFailover(await getItem(items, job.item));
  await updateItem(items, job.item, (record) => {
    const { failover } = record;
    if (!failover || failover.jobId === job.jobId) return record;
    const isLast = failover.finalCycle === point.cycle && failover.source === 'stopped';
    const lost = isLast ? 0 : dataLossSeconds(point, new Date(failover.requestedAt));
    const { id, cycle, takenAt } = point;
    const changed = { jobId: job.jobId, point: { id, cycle, takenAt }, dataLossSeconds: lost };
    return { ...record, failover: { ...failover, ...changed } };
  });
  return { oldJobId };
}

/** Step 6 of a change. */
export async function finishChange(
  context: ReplicationContext,
  job: ItemJob & { oldJobId: string },
): Promise<void> {
  // A repeated step 5 names the new job as the old one.
  if (job.oldJobId !== job.jobId) await removeDisks(context, { item: job.item, jobId: job.oldJobId });
  const { failover } = await getItem(context.storage.items, job.item);
  const { point, dataLossSeconds: lost } = failover ?? { point: null, dataLossSeconds: null };
  const result = { dataLossSeconds: lost, recoveryPointId: point?.id, cycle: point?.cycle };
  await finishJob(context, job, (record) => record, result);
}

/** A change that failed: the machine of the earlier choice is there again. */
export async function abandonChange(context: ReplicationContext, job: ItemJob, end: BadEnd): Promise<void> {
  const { items } = context.storage;
  const { failover } = await getItem(items, job.item);
  // The new machine is the one that counts already: what is left over of the old one is swept.
  if (failover?.jobId === job.jobId) return abandonJob(context, job, end, (record) => record);
  await removeAll(context, job);
  const old = failover && (await findRun(items, job.item, failover.jobId));
  if (old) {
    const compute = requireCompute(context);
    const prepared = await compute.prepareDisks(old.order);
    const made = prepared.isDone ? await compute.createMachine(old.order) : prepared;
    if (!made.isDone)
      throw new LifeboatError(
        'ComputeUnavailable',
        'The machine of the earlier recovery point is being made again.',
      );
  }
  await abandonJob(context, job, end, (record) => record);
}
