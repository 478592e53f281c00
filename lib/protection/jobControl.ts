// Cancelling, resuming and restarting jobs.
import { LifeboatError } from '../errors.ts';
import { allowedActions } from '../jobs/job.ts';
import type { JobAction, JobRecord } from '../jobs/job.ts';
import { findJob, updateJob } from '../jobs/jobStore.ts';
import { answerManualStep } from '../plans/runState.ts';
import { restartPlan } from '../plans/startPlan.ts';
import { requestCompletion } from '../recovery/failbackSync.ts';
import { isRecoveryKind, restartRecovery } from '../recovery/restart.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { beginJob, isoNow, requireIdle } from './itemJobs.ts';
import { changedEvent, orchestratedKinds } from './orchestrations.ts';
import type { OrchestratedKind, OrchestrationClient } from './orchestrations.ts';
import { addDisk } from './disks.ts';
import { disableProtection } from './disable.ts';
import { repairReplication } from './resyncRequest.ts';
import { startScrub } from './scrub.ts';
import { findTransition } from './states.ts';

async function getJobFor(context: ReplicationContext, id: string, action: JobAction): Promise<JobRecord> {
  const job = await findJob(context.storage.jobs, id);
  if (!job) throw new LifeboatError('ResourceNotFound', `Job "${id}" does not exist.`, { target: id });
  if (allowedActions(job).includes(action)) return job;
  const message = `Job ${id} (${job.friendlyName}) is ${job.state}: ${action} is not possible.`;
  throw new LifeboatError('OperationNotSupportedInState', message, { target: id });
}

/** Asks the job to stop at its next safe point. Again while it has not stopped: no change. */
export async function cancelJob(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  id: string,
): Promise<JobRecord> {
  const asked = await findJob(context.storage.jobs, id);
  if (!asked?.cancelRequestedAt) await getJobFor(context, id, 'Cancel');
  const at = isoNow(context);
  const job = await updateJob(context.storage.jobs, id, (current) =>
    current.cancelRequestedAt === null ? { ...current, cancelRequestedAt: at } : current,
  );
  context.fault('cancel.afterRow');
  await orchestrations.raiseEvent(id, changedEvent);
  return job;
}

/**
 * Wakes a job that waits for somebody; with a recovery plan's manual action, `comments` say what was done. One that waits for its window starts
 * again outside of it by hand: repair replication.
 */
export async function resumeJob(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  id: string,
  comments = '',
): Promise<JobRecord> {
  const { kind, item } = await getJobFor(context, id, 'Resume');
  if (kind === 'failback' && item !== null) await requestCompletion(context, { item, jobId: id });
  const at = isoNow(context);
  const job = await updateJob(context.storage.jobs, id, (current) => answerManualStep(current, comments, at));
  context.fault('resume.afterRow');
  await orchestrations.raiseEvent(id, changedEvent);
  return job;
}

const isOrchestrated = (kind: string): kind is OrchestratedKind =>
  (orchestratedKinds as readonly string[]).includes(kind);

/** Does again what a failed or cancelled job did, as a new job; what was done already is not done twice. */
export async function restartJob(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  id: string,
): Promise<JobRecord> {
  const job = await getJobFor(context, id, 'Restart');
  if (job.run) return restartPlan(context, orchestrations, job);
  if (job.item === null || !isOrchestrated(job.kind))
    throw new Error(`Invariant broken: job ${id} can be restarted`);
  const { item, kind, input, parentId } = job;
  if (isRecoveryKind(kind)) return restartRecovery(context, orchestrations, kind, { item, input, parentId });
  switch (kind) {
    case 'disableProtection':
      return disableProtection(context, orchestrations, { item, ...input });
    case 'addDisk':
      return addDisk(context, orchestrations, item, String(input['disk']));
    case 'resynchronize':
      return repairReplication(context, orchestrations, item);
    case 'scrub':
      return startScrub(context, orchestrations, item);
    case 'enableProtection':
      return beginJob(context, orchestrations, {
        ...{ item, kind },
        change: (record) => {
          requireIdle(record);
          const again = findTransition(record.state, 'enableAgain');
          const isOpen = record.state === 'InitialReplicationFailed' || record.state === 'EnablingProtection';
          if (again === undefined && !isOpen) {
            const message = `Protected item "${record.name}" is ${record.state}: there is nothing to start again.`;
            throw new LifeboatError('OperationNotSupportedInState', message, { target: record.name });
          }
          return again === undefined ? record : { ...record, state: again };
        },
      });
  }
}
