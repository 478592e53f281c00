// Failover in earnest. Planned: the source shuts down and sends what is left, and nothing is lost; asserted, not hoped.
// Unplanned: the source may be asked, for a while; then the newest recovery point counts, and what is missing is stated.
// Until it is committed another recovery point may be chosen, or all of it undone.
import { LifeboatError } from '../errors.ts';
import type { ErrorRecord } from '../errors.ts';
import type { JobRecord } from '../jobs/job.ts';
import type { ItemFailover, ItemRecord } from '../protection/item.ts';
import { getItem, updateItem } from '../protection/itemStore.ts';
import {
  abandonJob,
  beginJob,
  beginStep,
  endStep,
  finishJob,
  isoNow,
  whenAllowed,
  onRepeatedStep,
} from '../protection/itemJobs.ts';
import type { BadEnd } from '../protection/itemJobs.ts';
import type { ItemJob, OrchestratedKind, OrchestrationClient } from '../protection/orchestrations.ts';
import { changedEvent } from '../protection/orchestrations.ts';
import { transition, type Operation, type ProtectionEvent } from '../protection/states.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { drainItem } from '../replication/drain.ts';
import type { DrainOptions } from '../replication/drain.ts';
import { dataLossSeconds, type PointSelector } from './choosePoint.ts';
import { writeReport } from './evidence.ts';
import { makeDisks, makeMachine, prepareRecovery, removeAll, type StepProgress } from './recoverySteps.ts';
import { updateRun } from './recoveryRun.ts';

/** How long an unplanned failover waits for a source that was asked to shut down. */
const sourceLimitMs = 10 * 60_000;
const sourcePauseSeconds = 5;

export interface FailoverRequest {
  item: string;
  kind: 'planned' | 'unplanned';
  /** Of an unplanned failover; default `latest`. */
  selector?: PointSelector;
  /** Whether an unplanned failover first asks the source to shut down and to send what is left. */
  asksSource?: boolean;
}

export type FailoverJob = ItemJob & {
  failoverKind: 'planned' | 'unplanned';
  selector: PointSelector;
  asksSource: boolean;
};

interface FailoverKind {
  job: OrchestratedKind;
  operation: Operation;
  event: ProtectionEvent;
  checkTask: string;
}

const kinds = {
  planned: {
    ...{ job: 'plannedFailover', operation: 'PlannedFailover', event: 'plannedFailoverRequested' },
    checkTask: 'PlannedFailoverPreflightChecksTask',
  },
  unplanned: {
    ...{ job: 'unplannedFailover', operation: 'UnplannedFailover', event: 'unplannedFailoverRequested' },
    checkTask: 'UnplannedFailoverPreflightChecksTask',
  },
} as const satisfies Record<FailoverRequest['kind'], FailoverKind>;

/** Throws `ItemBusy`, `OperationNotSupportedInState`. */
export async function startFailover(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  { item, kind, selector = { kind: 'latest' }, asksSource = false }: FailoverRequest,
): Promise<JobRecord> {
  const { job, operation, event } = kinds[kind];
  return beginJob(context, orchestrations, {
    ...{ item, kind: job },
    input: { failoverKind: kind, selector, asksSource: kind === 'planned' || asksSource },
    change: whenAllowed(operation, (record) => ({
      ...record,
      state: transition(record.state, event),
      failover: null,
    })),
  });
}

/** Step 1: the source sees in its assignment whether it is asked to shut down. */
export async function beginFailover(context: ReplicationContext, job: FailoverJob): Promise<void> {
  const { checkTask } = kinds[job.failoverKind];
  await beginStep(context, job.jobId, checkTask);
  const requestedAt = isoNow(context);
  await updateItem(context.storage.items, job.item, (record) =>
    record.failover?.jobId === job.jobId
      ? record
      : {
          ...record,
          failover: {
            ...{ jobId: job.jobId, kind: job.failoverKind, requestedAt, finalCycle: null, point: null },
            source: job.asksSource ? 'asked' : 'notAsked',
            dataLossSeconds: null,
          },
        },
  );
  await endStep(context, job.jobId, checkTask);
}

/**
 * The source says that its machine is off and that `finalCycle` is the last cycle it cut. May be sent again. Throws
 * `OperationNotSupportedInState` when no failover asked for it, `InvalidRequest` for a cycle before the applied one.
 */
export async function reportSourceStopped(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
  finalCycle: number,
): Promise<ItemRecord> {
  const record = await updateItem(context.storage.items, item, (current) => {
    const { failover, appliedCycle, name } = current;
    if (!failover || (failover.source !== 'asked' && failover.source !== 'stopped')) {
      const message = `No failover asks the source of protected item "${name}" to shut down.`;
      throw new LifeboatError('OperationNotSupportedInState', message, { target: item });
    }
    if (finalCycle < appliedCycle) {
      const message = `Cycle ${finalCycle} cannot be the last one: cycle ${appliedCycle} of item ${item} is applied already.`;
      throw new LifeboatError('InvalidRequest', message, { target: 'finalCycle' });
    }
    return { ...current, failover: { ...failover, source: 'stopped', finalCycle } };
  });
  if (record.currentJob !== null) await orchestrations.raiseEvent(record.currentJob, changedEvent);
  return record;
}

/**
 * Step 2, again and again: the source's last changes are here and merged. A planned failover waits for them as long as it
 * takes (it can be cancelled); an unplanned one for ten minutes.
 */
export async function awaitSource(
  context: ReplicationContext,
  job: FailoverJob,
  options: DrainOptions,
): Promise<StepProgress> {
  await beginStep(context, job.jobId, 'ShutdownVmOnPrimary');
  const { outcome } = await drainItem(context, job.item, options);
  const pause: StepProgress = { isDone: false, retryAfterSeconds: sourcePauseSeconds };
  if (outcome === 'busy' || outcome === 'more') return pause;
  const { failover, appliedCycle } = await getItem(context.storage.items, job.item);
  if (failover && failover.source !== 'notAsked') {
    const isComplete = failover.finalCycle !== null && appliedCycle >= failover.finalCycle;
    const isLate = context.clock.now().getTime() - Date.parse(failover.requestedAt) >= sourceLimitMs;
    if (!isComplete && (failover.kind === 'planned' || !isLate)) return pause;
    if (!isComplete) await setFailover(context, job, { source: 'unreachable' });
  }
  await endStep(context, job.jobId, 'ShutdownVmOnPrimary');
  return { isDone: true, retryAfterSeconds: 0 };
}

function setFailover(
  { storage }: ReplicationContext,
  { item, jobId }: ItemJob,
  change: Partial<ItemFailover>,
): Promise<ItemRecord> {
  return updateItem(storage.items, item, (record) =>
    record.failover?.jobId === jobId ? { ...record, failover: { ...record.failover, ...change } } : record,
  );
}

/** Step 3: the recovery point. That of a planned failover is the source's last cycle and no other. */
export async function prepareFailover(context: ReplicationContext, job: FailoverJob): Promise<ErrorRecord[]> {
  await beginStep(context, job.jobId, 'PrepareForFailoverTask');
  const { failover } = await getItem(context.storage.items, job.item);
  const isPlanned = job.failoverKind === 'planned';
  const finalCycle = failover?.finalCycle ?? null;
  const selector: PointSelector =
    isPlanned && finalCycle !== null ? { kind: 'cycle', cycle: finalCycle } : job.selector;
  const choice = {
    selector,
    purpose: 'failover' as const,
    networkId: null,
    marker: null,
    bootLimitSeconds: 0,
  };
  const errors = await prepareRecovery(context, job, choice).catch((error: unknown) => {
    if (!isPlanned || !(error instanceof LifeboatError) || error.code !== 'RecoveryPointMissing') throw error;
    const message = `Cycle ${finalCycle ?? 0}, the last one of the source, has no recovery point, so a planned failover would lose data.`;
    throw new LifeboatError('FinalCycleMissing', message, { target: job.item });
  });
  if (errors.length === 0) await endStep(context, job.jobId, 'PrepareForFailoverTask');
  return errors;
}

/** Step 4, again and again. */
export async function makeFailoverDisks(
  context: ReplicationContext,
  job: ItemJob,
  options: { stopAt: Date },
): Promise<{ isDone: boolean }> {
  return onRepeatedStep(context, job.jobId, 'FailoverTask', () => makeDisks(context, job, options));
}

/** Step 5, again and again. */
export async function makeFailoverMachine(context: ReplicationContext, job: ItemJob): Promise<StepProgress> {
  return onRepeatedStep(context, job.jobId, 'StartVmOnSecondary', () => makeMachine(context, job));
}

/** Step 6: the machine runs; the user decides what comes next. */
export async function finishFailover(context: ReplicationContext, job: FailoverJob): Promise<void> {
  const { point } = await updateRun(context.storage.items, job.item, job.jobId);
  const { failover } = await getItem(context.storage.items, job.item);
  const isPlanned = job.failoverKind === 'planned';
  const requestedAt = new Date(failover?.requestedAt ?? isoNow(context));
  const hasAll = failover?.source === 'stopped' && failover.finalCycle === point.cycle;
  if (isPlanned && !hasAll) {
    const message = `The recovery point is of cycle ${point.cycle}, but the source's last one is ${failover?.finalCycle ?? 'unknown'}.`;
    throw new LifeboatError('FinalCycleMissing', message, { target: job.item });
  }
  const lost = hasAll ? 0 : dataLossSeconds(point, requestedAt);
  const report = await writeReport(context, job, {
    ...{ kind: isPlanned ? 'plannedFailover' : 'unplannedFailover', errors: [] },
  });
  context.fault('failover.afterReport');
  await finishJob(
    context,
    job,
    (record) => ({
      ...record,
      state: transition(record.state, 'failoverCompleted'),
      lastFailoverAt: report.endedAt,
      lastRtoSeconds: report.rtoSeconds,
      failover: record.failover && {
        ...record.failover,
        point: { id: point.id, cycle: point.cycle, takenAt: point.takenAt },
        dataLossSeconds: lost,
      },
    }),
    { dataLossSeconds: lost, rtoSeconds: report.rtoSeconds, recoveryPointId: point.id, cycle: point.cycle },
  );
}

/** A failover that failed or was cancelled: nothing of it stays, and replication goes on. */
export async function abandonFailover(context: ReplicationContext, job: ItemJob, end: BadEnd): Promise<void> {
  await removeAll(context, job);
  await abandonJob(context, job, end, (record) => ({
    ...record,
    state: transition(record.state, 'failoverUndone'),
    failover: null,
  }));
}
