// One job at a time on an item: how a job begins, how its steps know that they may go on, and how it ends. The item's row
// names the job (`currentJob`); a job that it does not name any more has been superseded and stops.
import { LifeboatError, isLifeboatError, toErrorRecord } from '../errors.ts';
import type { ErrorRecord } from '../errors.ts';
import { isOver, newJob } from '../jobs/job.ts';
import type { JobProgress, JobRecord } from '../jobs/job.ts';
import { recordEvent } from '../events/events.ts';
import { timeOrderedId } from '../jobs/jobId.ts';
import { findJob, insertJob, updateJob } from '../jobs/jobStore.ts';
import {
  cancelJobRecord,
  decideEnd,
  endJob,
  failJob,
  showProgress,
  startStep,
  succeedStep,
} from '../jobs/progress.ts';
import { telemetryOf } from '../replication/context.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { traceIdOf } from '../telemetry/traceparent.ts';
import { requireOperation } from './allowed.ts';
import type { ItemRecord } from './item.ts';
import { findItem, getItem, updateItem } from './itemStore.ts';
import { changedEvent } from './orchestrations.ts';
import type { ItemJob, OrchestratedKind, OrchestrationClient } from './orchestrations.ts';
import type { Operation } from './states.ts';

export const isoNow = ({ clock }: Pick<ReplicationContext, 'clock'>): string => clock.now().toISOString();

export const newJobId = ({ clock, newId }: Pick<ReplicationContext, 'clock' | 'newId'>): string =>
  timeOrderedId(clock.now(), newId());

/** Throws `ItemBusy` while a job runs on the item. */
export function requireIdle(record: ItemRecord): void {
  if (record.currentJob === null) return;
  throw new LifeboatError(
    'ItemBusy',
    `Job ${record.currentJob} is running on protected item "${record.name}"; wait for its end, or cancel it.`,
    { target: record.currentJob },
  );
}

export interface JobRequest {
  item: string;
  kind: OrchestratedKind;
  /** ARM id and name that the job shows; the item's row when absent. */
  target?: Pick<ItemRecord, 'armId' | 'machineName'>;
  input?: Record<string, unknown>;
  /**
   * The item's row as it is when the job has begun, without `currentJob`. Throws when the item is not in a state for it:
   * `whenAllowed`, `requireIdle`, the state machine.
   */
  change: (record: ItemRecord) => ItemRecord;
}

/** The `change` of an operation that waits for a running job and needs its state: throws `ItemBusy`, `OperationNotSupportedInState`. */
export function whenAllowed(
  operation: Operation,
  change: JobRequest['change'] = (record) => record,
): JobRequest['change'] {
  return (record) => {
    requireIdle(record);
    requireOperation(record, operation);
    return change(record);
  };
}

/**
 * Records the job, makes it the item's current one and starts its orchestration. A death in between is mended by the
 * reconciliation timer: a job that its item names is started, one that no item names is cancelled.
 */
export async function beginJob(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  { item, kind, target, input, change }: JobRequest,
): Promise<JobRecord> {
  // A request that is refused leaves no job behind; what changes between here and the claim is refused there.
  const existing = await getItem(context.storage.items, item);
  change(existing);
  const { armId, machineName } = target ?? existing;
  const { onBehalfOf } = context;
  const job = newJob({
    id: newJobId(context),
    ...{ kind, targetId: armId, targetName: machineName, item, createdAt: isoNow(context) },
    ...(input || onBehalfOf ? { input: { ...input, ...(onBehalfOf ? { plan: onBehalfOf.plan } : {}) } } : {}),
    parentId: onBehalfOf?.jobId ?? null,
    traceparent: telemetryOf(context).traceparent(),
  });
  await insertJob(context.storage.jobs, job);
  context.fault('job.afterInsert');
  const superseded: { jobId: string | null } = { jobId: null };
  try {
    await updateItem(context.storage.items, item, (record) => {
      superseded.jobId = record.currentJob;
      return { ...change(record), currentJob: job.id };
    });
  } catch (error) {
    // After an unknown outcome the item may name the job: the reconciliation timer finds out, and starts or cancels it.
    if (isLifeboatError(error, 'StorageUnavailable')) throw error;
    await updateJob(context.storage.jobs, job.id, (current) =>
      failJob(current, [toErrorRecord(error)], isoNow(context)),
    );
    throw error;
  }
  context.fault('job.afterClaim');
  await startJob(orchestrations, job);
  if (superseded.jobId !== null) await stopSuperseded(context, orchestrations, superseded.jobId);
  return job;
}

/** Starts the job's orchestration; no change when it was started before. */
export async function startJob(orchestrations: OrchestrationClient, job: JobRecord): Promise<void> {
  if (job.item === null) return;
  const input: ItemJob = { item: job.item, jobId: job.id };
  await orchestrations.start(job.kind, job.id, { ...job.input, ...input });
}

/** Ends the record of a job whose item names another, and wakes its orchestration so that it sees that and ends. */
export async function stopSuperseded(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  jobId: string,
): Promise<void> {
  if (!(await findJob(context.storage.jobs, jobId))) return;
  await updateJob(context.storage.jobs, jobId, (job) => cancelJobRecord(job, isoNow(context)));
  await orchestrations.raiseEvent(jobId, changedEvent);
}

/** `go`, or why the job must do nothing more. */
export type JobGate = 'go' | 'superseded' | 'cancelled';

/** Of a job, and of the row of what it works on. */
export function gateOf(
  owner: { currentJob: string | null } | undefined,
  job: JobRecord | undefined,
): JobGate {
  if (!job || owner?.currentJob !== job.id || isOver(job)) return 'superseded';
  return job.cancelRequestedAt === null ? 'go' : 'cancelled';
}

/** Asked before every step of a job. */
export async function jobGate({ storage }: ReplicationContext, { item, jobId }: ItemJob): Promise<JobGate> {
  return gateOf(...(await Promise.all([findItem(storage.items, item), findJob(storage.jobs, jobId)])));
}

/** Runs `work` as the step of the job: started before, succeeded after. What it throws leaves the step running. */
export async function onStep<T>(
  context: ReplicationContext,
  jobId: string,
  taskId: string,
  work: () => Promise<T>,
): Promise<T> {
  await beginStep(context, jobId, taskId);
  const value = await work();
  await endStep(context, jobId, taskId);
  return value;
}

/** As `onStep`, of work that is asked again and again: the step succeeds when it says that it is done. */
export async function onRepeatedStep<T extends { isDone: boolean }>(
  context: ReplicationContext,
  jobId: string,
  taskId: string,
  work: () => Promise<T>,
): Promise<T> {
  await beginStep(context, jobId, taskId);
  const progress = await work();
  if (progress.isDone) await endStep(context, jobId, taskId);
  return progress;
}

export async function beginStep(context: ReplicationContext, jobId: string, taskId: string): Promise<void> {
  await updateJob(context.storage.jobs, jobId, (job) => startStep(job, taskId, isoNow(context)));
}

export async function endStep(context: ReplicationContext, jobId: string, taskId: string): Promise<void> {
  await updateJob(context.storage.jobs, jobId, (job) => succeedStep(job, taskId, isoNow(context)));
}

export async function reportProgress(
  context: ReplicationContext,
  jobId: string,
  progress: JobProgress,
): Promise<void> {
  await updateJob(context.storage.jobs, jobId, (job) => showProgress(job, progress));
}

/** Decides the job's end, frees the item, and ends the job: whoever sees that it is over finds the item as it says. */
export async function finishJob(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
  change: (record: ItemRecord) => ItemRecord,
  result: Record<string, unknown> = {},
): Promise<void> {
  await updateJob(context.storage.jobs, jobId, (job) => decideEnd(job, 'Succeeded', { result }));
  context.fault('job.afterDecision');
  await updateItem(context.storage.items, item, (record) =>
    record.currentJob === jobId ? { ...change(record), currentJob: null } : record,
  );
  context.fault('job.afterRelease');
  await completeEnd(context, jobId);
}

/** Ends a job whose end was decided. May be repeated. */
export async function completeEnd(context: ReplicationContext, jobId: string): Promise<void> {
  const ended = await updateJob(context.storage.jobs, jobId, (job) => endJob(job, isoNow(context)));
  if (!isOver(ended)) return;
  const { scenario, state } = ended;
  // Whoever ends it, for instance a timer: the line is of the job's trace.
  const trace = traceIdOf(ended.traceparent ?? undefined);
  telemetryOf(context).record('lifeboat.job.ended', 1, { scenario, state });
  telemetryOf(context).event('job.ended', `${scenario} of ${ended.targetName}: ${state}`, {
    ...{ job: jobId, scenario, state },
    ...(ended.item === null ? {} : { item: ended.item }),
    ...(trace === undefined ? {} : { trace }),
  });
  await recordEvent(context.storage.jobs, {
    at: ended.endTime ?? isoNow(context),
    eventType: 'JobStatus',
    severity: ended.state === 'Failed' ? 'Critical' : ended.state === 'Cancelled' ? 'Warning' : 'OK',
    eventCode: ended.scenario,
    description:
      `${ended.friendlyName}: ${ended.state}. ${ended.errors.map(({ message }) => message).join(' ')}`.trim(),
    ...{ objectName: ended.targetName, objectId: ended.item ?? ended.targetId, fabric: null },
    ...{ jobId: ended.id, jobStatus: ended.state },
  });
}

/** How a job ends that could not reach its goal. */
export type BadEnd = { outcome: 'failed'; errors: readonly ErrorRecord[] } | { outcome: 'cancelled' };

/** Ends a job that failed or was cancelled: `change` says what becomes of the item, which is then free. */
export async function abandonJob(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
  end: BadEnd,
  change: (record: ItemRecord) => ItemRecord,
): Promise<void> {
  const ending = end.outcome === 'failed' ? 'Failed' : 'Cancelled';
  const errors = end.outcome === 'failed' ? end.errors : [];
  await updateJob(context.storage.jobs, jobId, (job) => decideEnd(job, ending, { errors }));
  context.fault('job.afterDecision');
  if (await findItem(context.storage.items, item)) {
    await updateItem(context.storage.items, item, (record) =>
      record.currentJob === jobId ? { ...change(record), currentJob: null } : record,
    );
  }
  context.fault('job.afterRelease');
  await completeEnd(context, jobId);
}
