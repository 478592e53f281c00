// The first part of a failback that keeps the machine off for a short time only: what has changed comes while it runs, and then
// the job waits until somebody lets it stop the machine.
import { updateJob } from '../jobs/jobStore.ts';
import { suspendStep } from '../jobs/progress.ts';
import { getItem, updateItem } from '../protection/itemStore.ts';
import { beginStep, endStep, onRepeatedStep } from '../protection/itemJobs.ts';
import type { ItemJob } from '../protection/orchestrations.ts';
import type { ReplicationContext } from '../replication/context.ts';
import type { DrainOptions } from '../replication/drain.ts';
import { beginPass, bringChanges, failedOverJob, passNumber, sliceSeconds } from './failbackPass.ts';
import { progressOf, requireCompute, type StepProgress } from './recoverySteps.ts';
import { updateRun } from './recoveryRun.ts';

/** The step of `syncsFirst`, again and again: what has changed comes while the machine runs. */
export async function syncChanges(
  context: ReplicationContext,
  job: ItemJob,
  options: DrainOptions,
): Promise<StepProgress> {
  const { freezing } = requireCompute(context);
  return onRepeatedStep(context, job.jobId, 'SynchronizeTask', async () => {
    // A machine that works on the blobs themselves cannot be read while it runs: everything comes when it is off.
    if (!freezing) return { isDone: true, retryAfterSeconds: 0 };
    const record = await getItem(context.storage.items, job.item);
    const { order } = await updateRun(context.storage.items, job.item, failedOverJob(record));
    const frozen = await freezing.freeze({ order, jobId: job.jobId, pass: passNumber.sync });
    context.fault('failback.afterFreeze');
    if (!frozen.isDone) return progressOf(frozen);
    await beginPass(context, job, 'sync', false);
    const { isDone } = await bringChanges(context, job, options);
    return { isDone, retryAfterSeconds: isDone ? 0 : sliceSeconds };
  });
}

/** Then the job is suspended until somebody lets it go on. */
export async function awaitCompletion(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
): Promise<{ isReady: boolean }> {
  const { failback } = await getItem(context.storage.items, item);
  const isReady = failback?.jobId === jobId && failback.completeRequestedAt !== null;
  await beginStep(context, jobId, 'AwaitCompletionTask');
  if (isReady) await endStep(context, jobId, 'AwaitCompletionTask');
  else await updateJob(context.storage.jobs, jobId, (row) => suspendStep(row, 'AwaitCompletionTask'));
  return { isReady };
}

/** The user lets the failback stop the machine ("complete failover"). May be repeated; the caller raises the event. */
export async function requestCompletion(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
): Promise<void> {
  const at = context.clock.now().toISOString();
  await updateItem(context.storage.items, item, (record) => {
    const { failback } = record;
    if (failback?.jobId !== jobId || failback.completeRequestedAt !== null) return record;
    return { ...record, failback: { ...failback, completeRequestedAt: at } };
  });
}
