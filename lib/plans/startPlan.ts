// How a verb of a plan begins: everything that would make it fail is looked for first and named at once; then the job is recorded
// with all that it will do, the plan's row names it, and its orchestration starts. A death in between is mended by the
// reconciliation timer (reconcilePlans.ts), as for jobs on items.
import { LifeboatError, isLifeboatError, toErrorRecord } from '../errors.ts';
import { newJob } from '../jobs/job.ts';
import type { JobRecord } from '../jobs/job.ts';
import { insertJob, updateJob } from '../jobs/jobStore.ts';
import type { PlanOptions, PlanRun, PlanStep, PlanVerb } from '../jobs/planRun.ts';
import { planOptions } from '../jobs/planRun.ts';
import { failJob } from '../jobs/progress.ts';
import { findCommonMoment } from '../moments/commonMoment.ts';
import { isoNow, newJobId } from '../protection/itemJobs.ts';
import type { OrchestrationClient } from '../protection/orchestrations.ts';
import { planOrchestration } from '../protection/orchestrations.ts';
import { telemetryOf } from '../replication/context.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { changeStored } from '../vault/collection.ts';
import { plans } from '../vault/recoveryPlans.ts';
import type { PlanRecord } from '../vault/recoveryPlans.ts';
import { workOf } from './actions.ts';
import { stepsOfPlan } from './groupTasks.ts';
import { memberProblems, standingOf } from './members.ts';
import type { MemberView } from './members.ts';
import { namesOfGroups, planSteps, runsWith } from './order.ts';
import { getPlan, planBusy, readMembers } from './planStore.ts';
import { verbTable } from './verbs.ts';

export interface PlanRequest {
  plan: string;
  /** ARM id of the plan, for the job. */
  armId: string;
  verb: PlanVerb;
  options?: Partial<PlanOptions>;
}

/** What is wrong with the plan's actions for this verb, as far as can be said before they run. */
function actionProblems({ outbound }: ReplicationContext, { groups }: PlanRecord, verb: PlanVerb): string[] {
  const actions = groups.flatMap((group) => [
    ...(group.startGroupActions ?? []),
    ...(group.endGroupActions ?? []),
  ]);
  return actions
    .filter((action) => runsWith(action, verb))
    .flatMap((action) => {
      const work = workOf(action);
      const about = `Action "${action.actionName}": `;
      if (work.kind === 'impossible') return [about + work.reason];
      if (work.kind !== 'webhook' && work.kind !== 'probe') return [];
      const refusal = outbound
        ? outbound.refusalOf(work.url)
        : 'this service is not set up to call addresses.';
      return refusal === undefined ? [] : [about + refusal];
    });
}

/** Everything that keeps the verb from beginning; empty = it may. */
export function planProblems(
  context: ReplicationContext,
  plan: PlanRecord,
  verb: PlanVerb,
  views: readonly MemberView[],
): string[] {
  return [...memberProblems(plan.name, verb, views), ...actionProblems(context, plan, verb)];
}

function newRun(
  plan: PlanRecord,
  verb: PlanVerb,
  views: readonly MemberView[],
  options: PlanOptions,
): PlanRun {
  const done = new Set(
    views.filter((view) => standingOf(plan.name, verb, view).kind === 'done').map(({ item }) => item),
  );
  const names = namesOfGroups(plan.groups);
  return {
    ...{ plan: plan.name, verb, options, continues: null },
    groups: plan.groups.map(({ groupType }, index) => ({ groupType, name: names[index] ?? '' })),
    members: views.flatMap(({ item, record }) =>
      record === undefined
        ? []
        : [
            {
              ...{ item, name: record.name, armId: record.armId, machineName: record.machineName },
              ...{ jobId: null, turn: null },
              standing: done.has(item) ? ('done' as const) : ('takesPart' as const),
            },
          ],
    ),
    steps: planSteps(plan.groups, verb, (item) => !done.has(item)),
  };
}

function requireReady(problems: readonly string[], { name }: PlanRecord): void {
  if (problems.length === 0) return;
  const message = `Recovery plan "${name}" is not ready. ${problems.join(' ')}`;
  throw new LifeboatError('PlanNotReady', message, { target: name });
}

/** Throws `ResourceNotFound`, `PlanBusy`, and `PlanNotReady` that lists every problem. */
export async function startPlan(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  { plan: name, armId, verb, options = {} }: PlanRequest,
): Promise<JobRecord> {
  const plan = await getPlan(context, name);
  if (plan.currentJob !== null) throw planBusy(plan.name, plan.currentJob);
  const views = await readMembers(context, plan);
  requireReady(planProblems(context, plan, verb, views), plan);
  const run = newRun(plan, verb, views, planOptions.parse(options));
  return beginPlanJob(context, orchestrations, armId, await withMoment(context, plan, run));
}

/** Chooses the newest moment that all machines that take part have a recovery point of, where the request wants one. */
async function withMoment({ storage }: ReplicationContext, plan: PlanRecord, run: PlanRun): Promise<PlanRun> {
  if (run.options.recoveryPoint !== 'latestMultiVm') return run;
  const members = run.members.filter(({ standing }) => standing === 'takesPart');
  const moment = await findCommonMoment(
    storage.items,
    members.map(({ item }) => item),
  );
  const names = members.map(({ machineName }) => machineName).join(', ');
  if (moment === undefined)
    requireReady(
      [`There is no moment of a consistency group that ${names} all have a recovery point of.`],
      plan,
    );
  return { ...run, options: { ...run.options, moment: moment ?? null } };
}

async function beginPlanJob(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  armId: string,
  run: PlanRun,
): Promise<JobRecord> {
  const { storage } = context;
  const kind = verbTable[run.verb].job;
  const job = newJob({
    ...{ id: newJobId(context), kind, createdAt: isoNow(context), run },
    ...{ targetId: armId, targetName: run.plan, steps: stepsOfPlan(kind, run.groups) },
    traceparent: telemetryOf(context).traceparent(),
  });
  await insertJob(storage.jobs, job);
  context.fault('plan.afterInsert');
  try {
    await changeStored(storage.vault, plans, { key: run.plan }, (current) => {
      if (!current) throw new LifeboatError('ResourceNotFound', `Recovery plan "${run.plan}" is gone.`);
      if (current.currentJob !== null) throw planBusy(current.name, current.currentJob);
      if (current.lastJob !== run.continues && run.continues !== null) throw notTheLast(run.plan, current);
      return { ...current, currentJob: job.id, lastJob: job.id };
    });
  } catch (error) {
    // After an unknown outcome the plan may name the job: the reconciliation timer finds out, and starts or ends it.
    if (isLifeboatError(error, 'StorageUnavailable')) throw error;
    await updateJob(storage.jobs, job.id, (current) =>
      failJob(current, [toErrorRecord(error)], isoNow(context)),
    );
    throw error;
  }
  context.fault('plan.afterClaim');
  await startPlanJob(orchestrations, job);
  return job;
}

/** Starts the job's orchestration; no change when it was started before. */
export async function startPlanJob(
  orchestrations: OrchestrationClient,
  { id, run }: JobRecord,
): Promise<void> {
  if (run) await orchestrations.start(planOrchestration, id, { plan: run.plan, jobId: id });
}

const notTheLast = (plan: string, { lastJob }: PlanRecord): LifeboatError =>
  new LifeboatError(
    'OperationNotSupportedInState',
    lastJob === null
      ? `Recovery plan "${plan}" was changed since; start it anew.`
      : `Job ${lastJob} has run recovery plan "${plan}" since; restart that one, or start the plan anew.`,
    { target: plan },
  );

/** The step as a later job goes on with it: what is done stays done. */
function again(step: PlanStep): PlanStep {
  if (step.state === 'Succeeded') return step;
  const fresh = { state: 'NotStarted', startTime: null, endTime: null, errors: [] } as const;
  return step.kind === 'members'
    ? { ...step, ...fresh, errors: [], failed: [] }
    : { ...step, ...fresh, errors: [], attempts: 0, resumedAt: null, observation: null };
}

/** The run of a job that goes on where this one failed. Members whose job failed get a new one. Pure. */
export function runAgain(jobId: string, run: PlanRun): PlanRun {
  const failed = new Set(run.steps.flatMap((step) => (step.kind === 'members' ? step.failed : [])));
  return {
    ...run,
    continues: jobId,
    members: run.members.map((member) => (failed.has(member.item) ? { ...member, jobId: null } : member)),
    steps: run.steps.map(again),
  };
}

/**
 * Goes on with a failed or cancelled job of a plan, as a new job: at the step that failed, and nothing that is done is done again.
 * Throws `OperationNotSupportedInState` when the plan was run again or changed since, `PlanNotReady` when a member is in the way.
 */
export async function restartPlan(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  { id, targetId, run }: JobRecord,
): Promise<JobRecord> {
  if (!run) throw new Error(`Invariant broken: job ${id} is of a plan`);
  const plan = await getPlan(context, run.plan);
  if (plan.lastJob !== id) throw notTheLast(run.plan, plan);
  const left = new Set(
    run.steps.flatMap((step) =>
      step.kind === 'members' && step.state !== 'Succeeded'
        ? step.items.filter((item) => !step.passed.includes(item))
        : [],
    ),
  );
  const views = (await readMembers(context, plan)).filter(({ item }) => left.has(item));
  const blocked = views.map((view) => standingOf(run.plan, run.verb, view));
  requireReady(
    blocked.flatMap((each) => (each.kind === 'blocked' ? [each.reason] : [])),
    plan,
  );
  return beginPlanJob(context, orchestrations, targetId, runAgain(id, run));
}
