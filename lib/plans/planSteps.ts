// The activities of a plan's job. Each may be repeated; what was done is in the job's row.
import type { ErrorRecord } from '../errors.ts';
import { isOver } from '../jobs/job.ts';
import { findJob, updateJob } from '../jobs/jobStore.ts';
import type { PlanVerb } from '../jobs/planRun.ts';
import { decideEnd, startStep } from '../jobs/progress.ts';
import { completeEnd, gateOf, isoNow } from '../protection/itemJobs.ts';
import type { BadEnd, JobGate } from '../protection/itemJobs.ts';
import { cancelJob } from '../protection/jobControl.ts';
import type { OrchestrationClient, PlanJob } from '../protection/orchestrations.ts';
import { isLifeboatError } from '../errors.ts';
import type { ReplicationContext } from '../replication/context.ts';
import type { PlanRecord } from '../vault/recoveryPlans.ts';
import { preflightTask } from './groupTasks.ts';
import { belongsTo } from './members.ts';
import { findPlan, updatePlan } from './planStore.ts';
import { advanceAction } from './runAction.ts';
import { advanceMembers } from './runMembers.ts';
import { beginPlanStep, endOpenSteps, enterGroup, stepAt } from './runState.ts';

/** Asked before every step: as `jobGate`, of the plan's row. */
export async function planGate(context: ReplicationContext, { plan, jobId }: PlanJob): Promise<JobGate> {
  return gateOf(...(await Promise.all([findPlan(context, plan), findJob(context.storage.jobs, jobId)])));
}

/** How many steps there are. */
export async function beginPlan(context: ReplicationContext, { jobId }: PlanJob): Promise<{ steps: number }> {
  const at = isoNow(context);
  const { run } = await updateJob(context.storage.jobs, jobId, (job) => startStep(job, preflightTask, at));
  return { steps: run?.steps.length ?? 0 };
}

export interface PlanStepProgress {
  isDone: boolean;
  hasMoved: boolean;
  /** When a further look makes sense; null = when an event comes. */
  waitSeconds: number | null;
  errors: ErrorRecord[];
}

/** One look at a step, again and again until it is over. `errors`: it has failed, and so has the plan. */
export async function runPlanStep(
  context: ReplicationContext,
  { jobId, step: index }: PlanJob & { step: number },
  orchestrations: OrchestrationClient,
): Promise<PlanStepProgress> {
  const at = isoNow(context);
  const begun = await updateJob(context.storage.jobs, jobId, (job) => beginPlanStep(job, index, at));
  context.fault('plan.afterStep');
  const done = { isDone: true, hasMoved: true, waitSeconds: 0 };
  const before = stepAt(begun, index);
  if (before.state === 'Succeeded') return { ...done, errors: [] };
  if (before.state === 'Failed') return { ...done, errors: before.errors };
  const { job, hasMoved, waitSeconds } =
    before.kind === 'members'
      ? { waitSeconds: 1, ...(await advanceMembers(context, orchestrations, { jobId, index })) }
      : { hasMoved: false, ...(await advanceAction(context, begun, index)) };
  const after = stepAt(job, index);
  if (after.state === 'Succeeded') return { ...done, errors: [] };
  if (after.state === 'Failed') return { ...done, errors: after.errors };
  return { isDone: false, hasMoved, waitSeconds, errors: [] };
}

const lastTimes: Partial<Record<PlanVerb, (at: string) => Partial<PlanRecord>>> = {
  testFailover: (at) => ({ lastTestFailoverAt: at }),
  plannedFailover: (at) => ({ lastPlannedFailoverAt: at }),
  unplannedFailover: (at) => ({ lastUnplannedFailoverAt: at }),
};

/** Frees the plan, then ends its job: whoever sees that the job is over finds the plan as it says. */
async function release(
  context: ReplicationContext,
  { plan, jobId }: PlanJob,
  change: Partial<PlanRecord>,
): Promise<void> {
  context.fault('plan.afterDecision');
  await updatePlan(context, plan, (record) =>
    record.currentJob === jobId ? { ...record, ...change, currentJob: null } : record,
  );
  context.fault('plan.afterRelease');
  await completeEnd(context, jobId);
}

/** All steps have succeeded. */
export async function finishPlan(context: ReplicationContext, job: PlanJob): Promise<void> {
  const at = isoNow(context);
  const { run } = await updateJob(context.storage.jobs, job.jobId, (current) => {
    if (!current.run) return current;
    // Behind the last group: every task is over.
    const over = enterGroup(current, current.run.groups.length, at);
    const done = current.run.members.filter(({ standing }) => standing !== 'done').length;
    return decideEnd(over, 'Succeeded', { result: { machines: done } });
  });
  await release(context, job, (run && lastTimes[run.verb]?.(at)) ?? {});
}

/**
 * After a cancel, again and again: jobs of members that run are asked to stop, and their end is waited for. Those that are through
 * stay as they are.
 */
export async function stopPlanMembers(
  context: ReplicationContext,
  { jobId }: PlanJob,
  orchestrations: OrchestrationClient,
): Promise<{ isDone: boolean; retryAfterSeconds: number }> {
  const job = await findJob(context.storage.jobs, jobId);
  let isDone = true;
  for (const member of job?.run?.members ?? []) {
    if (member.jobId === null) continue;
    const each = await findJob(context.storage.jobs, member.jobId);
    if (!each || isOver(each) || !belongsTo(each, job?.run?.plan ?? '')) continue;
    isDone = false;
    if (each.cancelRequestedAt !== null) continue;
    await cancelJob(context, orchestrations, each.id).catch((error: unknown) => {
      // It can only be waited for: it cannot be stopped, or has just ended.
      if (!isLifeboatError(error, 'OperationNotSupportedInState')) throw error;
    });
  }
  return { isDone, retryAfterSeconds: 2 };
}

/** A job that failed or was cancelled. What its members have reached stays; a restart goes on from there. */
export async function abandonPlan(context: ReplicationContext, job: PlanJob, end: BadEnd): Promise<void> {
  const ending = end.outcome === 'failed' ? 'Failed' : 'Cancelled';
  const errors = end.outcome === 'failed' ? end.errors : [];
  const at = isoNow(context);
  await updateJob(context.storage.jobs, job.jobId, (current) =>
    decideEnd(endOpenSteps(current, ending, at), ending, { errors }),
  );
  await release(context, job, {});
}
