// Failback: the machine comes home with what it changed. Its disks are compared with the replicas; the differences become
// the next cycles, [MS-HRL] logs like any other, so that the replica, its recovery points and the chain of logs go on without
// a break. The source writes the same differences to its disks and proves with a digest that they equal the recovery point;
// only then does replication go its old way again. The source's disks are written by the source alone, and last.
//
//   1 sync      only when asked for: changes are brought while the machine runs; the job waits until the user lets it go on
//   2 stop      the machine stops, its disks are captured or frozen   → nothing else has changed yet
//   3 cut       differences → logs of the next cycles, merged         → failbackPass.ts
//   4 proof     replica = the machine's disks, end to end             → recovery point; what was frozen goes
//   5 source    reads the differences from that point, reports        → may be repeated from its start at any time
import { LifeboatError } from '../errors.ts';
import type { JobRecord } from '../jobs/job.ts';
import type { FailbackPass, ItemRecord } from '../protection/item.ts';
import { findPointOfCycle, getItem, updateItem, updatePoint } from '../protection/itemStore.ts';
import {
  abandonJob,
  beginJob,
  beginStep,
  endStep,
  finishJob,
  onRepeatedStep,
  whenAllowed,
} from '../protection/itemJobs.ts';
import type { BadEnd } from '../protection/itemJobs.ts';
import type { ItemJob, OrchestrationClient } from '../protection/orchestrations.ts';
import { changedEvent } from '../protection/orchestrations.ts';
import { transition } from '../protection/states.ts';
import type { ReplicationContext } from '../replication/context.ts';
import type { DrainOptions } from '../replication/drain.ts';
import { withItemLock } from '../replication/itemLock.ts';
import { supersedeLogs } from '../replication/supersede.ts';
import {
  beginPass,
  bringChanges,
  failedOverJob,
  passNumber,
  passOf,
  proveReplica,
  sealChanges,
  sliceSeconds,
  updatePass,
} from './failbackPass.ts';
import {
  progressOf,
  removeDisks,
  removeMachine,
  requireCompute,
  type StepProgress,
} from './recoverySteps.ts';
import { updateRun } from './recoveryRun.ts';

const waitSeconds = 10;

/** How the changes come home: all of them while the machine is off, or most of them before. */
export interface FailbackRequest {
  item: string;
  /** Copies while the machine runs, and waits for `requestCompletion` before it stops the machine. */
  syncsFirst?: boolean;
}

export type FailbackJob = ItemJob & { syncsFirst?: boolean };

/** Throws `ItemBusy`, `OperationNotSupportedInState`. */
export async function startFailback(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  { item, syncsFirst = false }: FailbackRequest,
): Promise<JobRecord> {
  return beginJob(context, orchestrations, {
    item,
    kind: 'failback',
    ...(syncsFirst && { input: { syncsFirst } }),
    change: whenAllowed('Failback', (record) => ({
      ...record,
      state: transition(record.state, 'failbackRequested'),
      failback: null,
    })),
  });
}

/** Step 1: logs that the source cut after the failover are of another history; they are kept in `quarantine`. */
export async function beginFailback(
  context: ReplicationContext,
  job: ItemJob,
): Promise<{ isReady: boolean }> {
  const { items } = context.storage;
  await beginStep(context, job.jobId, 'FailbackPreflightChecksTask');
  const record = await updateItem(items, job.item, (current) =>
    current.failback?.jobId === job.jobId
      ? current
      : {
          ...current,
          failback: {
            ...{ jobId: job.jobId, pass: null, firstCycle: null, sealCycle: null, completeRequestedAt: null },
            ...{ cycles: null, appliedDisks: [] },
          },
        },
  );
  if (record.failback?.pass === null && record.failback.cycles === null) {
    const isDone = await withItemLock(context, job.item, () => supersedeLogs(context, record));
    if (!isDone) return { isReady: false };
  }
  await endStep(context, job.jobId, 'FailbackPreflightChecksTask');
  return { isReady: true };
}

/** Step 2, again and again: the machine is off, and its disks can be read as they are. */
export async function stopAndCapture(context: ReplicationContext, job: ItemJob): Promise<StepProgress> {
  const compute = requireCompute(context);
  return onRepeatedStep(context, job.jobId, 'ShutdownVmOnSecondary', async () => {
    const record = await getItem(context.storage.items, job.item);
    const { order } = await updateRun(context.storage.items, job.item, failedOverJob(record));
    const { freezing } = compute;
    const capture = () =>
      freezing
        ? freezing.freeze({ order, jobId: job.jobId, pass: passNumber.final })
        : compute.captureDisks(order);
    for (const step of [() => compute.stopMachine(order), capture]) {
      const progress = await step();
      context.fault('failback.afterStop');
      if (!progress.isDone) return progressOf(progress);
    }
    const isDelta = freezing !== undefined && record.failback?.pass?.stage === 'sync';
    await beginPass(context, job, 'final', isDelta);
    return { isDone: true, retryAfterSeconds: 0 };
  });
}

/** Step 3, again and again: what differs is in the replica. */
export async function cutChanges(
  context: ReplicationContext,
  job: ItemJob,
  options: DrainOptions,
): Promise<{ isReady: boolean }> {
  await beginStep(context, job.jobId, 'CaptureChangesTask');
  const record = await getItem(context.storage.items, job.item);
  if (passOf(record, job.jobId).stage !== 'final') return { isReady: true };
  const { isDone } = await bringChanges(context, job, options);
  if (isDone) await enterStage(context, job, 'final', 'proof');
  return { isReady: isDone };
}

async function enterStage(
  context: ReplicationContext,
  job: ItemJob,
  from: FailbackPass['stage'],
  to: FailbackPass['stage'],
): Promise<void> {
  await updatePass(context, job, (pass) =>
    pass.stage === from ? { ...pass, stage: to, comparedTo: {} } : pass,
  );
}

/** Step 4, again and again: the replicas equal the machine's disks, and the recovery point says so. */
export async function mergeChanges(
  context: ReplicationContext,
  job: ItemJob,
  options: DrainOptions,
): Promise<StepProgress> {
  const again = { isDone: false, retryAfterSeconds: sliceSeconds };
  const record = await getItem(context.storage.items, job.item);
  const { stage } = passOf(record, job.jobId);
  // A proof that failed has led back to the beginning.
  if (stage === 'final') {
    await cutChanges(context, job, options);
    return again;
  }
  if (stage !== 'seal') {
    if (!(await proveReplica(context, job, options)).isDone) return again;
    await requireOff(context, record);
    await enterStage(context, job, 'proof', 'seal');
  }
  const cycle = await sealChanges(context, job, options);
  if (cycle === undefined) return again;
  await offerToSource(context, job, cycle);
  return { isDone: true, retryAfterSeconds: 0 };
}

/** The recovery point is proven: it stays, what was frozen for it goes, and the source sees what it has to write. */
async function offerToSource(context: ReplicationContext, job: ItemJob, cycle: number): Promise<void> {
  await updatePoint(context.storage.items, job.item, cycle, (row) =>
    row.pinnedBy.includes(job.jobId) ? row : { ...row, pinnedBy: [...row.pinnedBy, job.jobId] },
  );
  context.fault('failback.afterPin');
  await removeFrozen(context, job);
  await endStep(context, job.jobId, 'CaptureChangesTask');
  await beginStep(context, job.jobId, 'ApplyOnPrimaryTask');
  await updateItem(context.storage.items, job.item, (current) => ({
    ...current,
    failback: current.failback && {
      ...current.failback,
      cycles: { first: current.failback.firstCycle ?? cycle, last: cycle },
    },
  }));
}

/** What a machine writes that somebody has started meanwhile would be lost. Throws `FailbackMachineStarted`. */
async function requireOff(context: ReplicationContext, record: ItemRecord): Promise<void> {
  const { order } = await updateRun(context.storage.items, record.item, failedOverJob(record));
  const state = await requireCompute(context).powerState(order);
  if (state !== 'running' && state !== 'starting') return;
  const message = `Machine ${order.name} was started while it was brought home; what it writes now would be lost.`;
  throw new LifeboatError('FailbackMachineStarted', message, { target: record.item });
}

/** What the job has frozen goes. Throws `ComputeUnavailable` while it is still going: call again. */
async function removeFrozen(context: ReplicationContext, { item, jobId }: ItemJob): Promise<void> {
  if (!context.compute?.freezing) return;
  const { isDone } = await removeMachine(context, { item, jobId });
  if (isDone) return;
  throw new LifeboatError('ComputeUnavailable', 'The frozen disks of the failback are still being deleted.');
}

/** What the source has to write, disk by disk. */
export interface FailbackDisk {
  disk: string;
  sizeBytes: number;
  /** The recovery point whose bytes the disk must have. */
  snapshotId: string;
  isApplied: boolean;
}

/** Undefined while the source has nothing to do. */
export async function failbackWork(
  { storage }: ReplicationContext,
  record: ItemRecord,
): Promise<{ cycle: number; disks: FailbackDisk[] } | undefined> {
  const { failback } = record;
  const last = failback?.cycles?.last;
  if (!failback || last === undefined || record.appliedCycle < last) return undefined;
  const point = await findPointOfCycle(storage.items, record.item, last);
  if (!point) return undefined;
  const disks = record.disks.flatMap(({ disk, sizeBytes }) => {
    const snapshotId = point.disks.find((each) => each.disk === disk)?.snapshotId;
    const isApplied = failback.appliedDisks.includes(disk);
    return snapshotId === undefined ? [] : [{ disk, sizeBytes, snapshotId, isApplied }];
  });
  return { cycle: last, disks };
}

/**
 * The source has written a disk and read it back: it equals the recovery point of `cycle`. May be sent again. Throws
 * `OperationNotSupportedInState` when no failback waits for it.
 */
export async function reportFailbackApplied(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
  { disk, cycle }: { disk: string; cycle: number },
): Promise<ItemRecord> {
  const record = await updateItem(context.storage.items, item, (current) => {
    const { failback } = current;
    if (failback?.cycles?.last !== cycle || !current.disks.some((row) => row.disk === disk)) {
      const message = `No failback of item ${item} waits for disk ${disk} at cycle ${cycle}.`;
      throw new LifeboatError('OperationNotSupportedInState', message, { target: disk });
    }
    if (failback.appliedDisks.includes(disk)) return current;
    return { ...current, failback: { ...failback, appliedDisks: [...failback.appliedDisks, disk] } };
  });
  if (record.currentJob !== null) await orchestrations.raiseEvent(record.currentJob, changedEvent);
  return record;
}

/** Step 5, again and again: whether the source has written every disk; then the failback is complete. */
export async function awaitApplied(context: ReplicationContext, job: ItemJob): Promise<StepProgress> {
  const { disks, failback } = await getItem(context.storage.items, job.item);
  const isDone = disks.every(({ disk }) => failback?.appliedDisks.includes(disk) === true);
  if (!isDone) return { isDone, retryAfterSeconds: waitSeconds };
  await endStep(context, job.jobId, 'ApplyOnPrimaryTask');
  await finishJob(context, job, (record) => ({
    ...record,
    state: transition(record.state, 'failbackCompleted'),
  }));
  return { isDone, retryAfterSeconds: 0 };
}

/** A failback that failed or was cancelled: the recovered machine is the one that counts, and can be started again. */
export async function abandonFailback(context: ReplicationContext, job: ItemJob, end: BadEnd): Promise<void> {
  const { storage } = context;
  const record = await getItem(storage.items, job.item);
  const last = record.failback?.cycles?.last;
  if (last !== undefined && (await findPointOfCycle(storage.items, job.item, last))) {
    await updatePoint(storage.items, job.item, last, (row) => ({
      ...row,
      pinnedBy: row.pinnedBy.filter((id) => id !== job.jobId),
    }));
  }
  await removeFrozen(context, job);
  if (record.failover) {
    const { order } = await updateRun(storage.items, job.item, record.failover.jobId);
    const { isDone } = await requireCompute(context).startMachine(order);
    if (!isDone)
      throw new LifeboatError('ComputeUnavailable', 'The failed-over machine is being started again.');
  }
  await abandonJob(context, job, end, (current) => ({
    ...current,
    state: transition(current.state, 'failbackUndone'),
    failback: null,
  }));
}

/** The source's machine runs again; replication goes its old way. Throws `ItemBusy`, `OperationNotSupportedInState`. */
export async function startReverse(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
): Promise<JobRecord> {
  return beginJob(context, orchestrations, {
    item,
    kind: 'reverseReplication',
    change: whenAllowed('ReverseReplicate'),
  });
}

/** The last step of reversing: the disks of the failover go, and the next cycle is the source's. */
export async function finishReverse(context: ReplicationContext, job: ItemJob): Promise<void> {
  const { storage } = context;
  await beginStep(context, job.jobId, 'DeleteDisksTask');
  const record = await getItem(storage.items, job.item);
  if (record.failover) {
    const failedOver = { item: job.item, jobId: record.failover.jobId };
    const { isDone } = await removeMachine(context, failedOver);
    if (!isDone)
      throw new LifeboatError('ComputeUnavailable', 'The failed-over machine is still being deleted.');
    await removeDisks(context, failedOver);
  }
  const last = record.failback?.cycles?.last;
  if (record.failback && last !== undefined && (await findPointOfCycle(storage.items, job.item, last))) {
    const failbackJob = record.failback.jobId;
    await updatePoint(storage.items, job.item, last, (row) => ({
      ...row,
      pinnedBy: row.pinnedBy.filter((id) => id !== failbackJob),
    }));
  }
  await endStep(context, job.jobId, 'DeleteDisksTask');
  await beginStep(context, job.jobId, 'ReverseReplicationTask');
  await endStep(context, job.jobId, 'ReverseReplicationTask');
  await finishJob(context, job, (current) => ({
    ...current,
    ...{ state: transition(current.state, 'replicationReversed'), failover: null, failback: null },
  }));
}
