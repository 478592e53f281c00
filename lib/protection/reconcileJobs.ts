// Jobs whose start, event or end was lost between two durable steps: the rows say what should have happened, so do it again.
// Looks at the jobs that are not over, and at no others.
import type { JobRecord } from '../jobs/job.ts';
import { findJob, listRunningJobs } from '../jobs/jobStore.ts';
import type { ReplicationContext } from '../replication/context.ts';
import type { ItemRecord } from './item.ts';
import { settlePlanJob } from '../plans/reconcilePlans.ts';
import { findItem } from './itemStore.ts';
import { completeEnd, startJob, stopSuperseded } from './itemJobs.ts';
import { changedEvent } from './orchestrations.ts';
import { isScrubHopeless } from './scrub.ts';
import type { OrchestrationClient } from './orchestrations.ts';

/** Between a job's rows and its orchestration; a job that has not started so long after has lost its start. */
const lostStartMs = 30_000;

const isRunning = (job: JobRecord, taskId: string): boolean =>
  job.steps.some(
    (step) => step.taskId === taskId && (step.state === 'InProgress' || step.state === 'Suspended'),
  );

type MayGoOn = (job: JobRecord, record: ItemRecord, now: Date) => boolean;

/** The source's last cycle is applied. */
const hasLastCycle: MayGoOn = (job, { failover, appliedCycle }) =>
  isRunning(job, 'ShutdownVmOnPrimary') &&
  typeof failover?.finalCycle === 'number' &&
  appliedCycle >= failover.finalCycle;

/** For each kind that waits for an event: whether what it waits for has come. */
const waits: Partial<Record<JobRecord['kind'], MayGoOn>> = {
  enableProtection: (job, { state, startAt }, now) => {
    if (!isRunning(job, 'StartInitialReplicationTask')) return false;
    if (state !== 'EnablingProtection') return state !== 'InitialReplicationInProgress';
    return startAt !== null && Date.parse(startAt) <= now.getTime();
  },
  resynchronize: (job, { resync }) =>
    isRunning(job, 'CompareTask') && (resync?.phase === 'applied' || resync?.isStale === true),
  scrub: (job, record, now) => {
    if (!isRunning(job, 'RequestDigestsTask')) return false;
    const cycle = record.scrub?.cycle ?? null;
    return (cycle !== null && record.appliedCycle >= cycle) || isScrubHopeless(now, record);
  },
  disableProtection: (job, { sourceSnapshot }) =>
    isRunning(job, 'ReleaseSourceTask') && sourceSnapshot === 'none',
  plannedFailover: hasLastCycle,
  unplannedFailover: hasLastCycle,
};

/** What a job waits for has come: its orchestration must look. */
const mayGoOn: MayGoOn = (job, record, now) =>
  job.cancelRequestedAt !== null || (waits[job.kind]?.(job, record, now) ?? false);

/** After cycles of the item were applied: wakes its job if that waits for one of them, so that it need not look by itself. */
export async function wakeJobOf(
  { storage, clock }: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
): Promise<void> {
  const record = await findItem(storage.items, item);
  if (!record || record.currentJob === null) return;
  const job = await findJob(storage.jobs, record.currentJob);
  if (job && mayGoOn(job, record, clock.now())) await orchestrations.raiseEvent(job.id, changedEvent);
}

async function settle(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  job: JobRecord,
): Promise<void> {
  const { storage, clock, log } = context;
  const now = clock.now();
  const isOld = now.getTime() - Date.parse(job.createdAt) > lostStartMs;
  if (job.run) return settlePlanJob(context, orchestrations, job, isOld);
  const record = job.item === null ? undefined : await findItem(storage.items, job.item);
  // The last step of disabling deletes the item before it ends the job; its orchestration goes on by itself.
  if (!record && job.kind === 'disableProtection' && job.state !== 'NotStarted') return;
  if (record?.currentJob !== job.id) {
    if (job.ending !== null) return completeEnd(context, job.id);
    // Between the job's row and the item's, or between the item's and the job's end.
    if (isOld) await stopSuperseded(context, orchestrations, job.id);
    return;
  }
  if (job.state === 'NotStarted' && isOld) {
    log(`job ${job.id} on ${record.item} had not started; starting it again`);
    await startJob(orchestrations, job);
  }
  if (mayGoOn(job, record, now)) await orchestrations.raiseEvent(job.id, changedEvent);
}

/** May be called at any time: starting a running orchestration or raising an event twice changes nothing. */
export async function reconcileJobs(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
): Promise<void> {
  const forgetBefore = new Date(context.clock.now().getTime() - 10 * lostStartMs);
  for await (const job of listRunningJobs(context.storage.jobs, forgetBefore)) {
    try {
      await settle(context, orchestrations, job);
    } catch (error) {
      context.log(
        `looking after job ${job.id} failed: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}
