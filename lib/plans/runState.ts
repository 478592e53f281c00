// How the run of a plan's job moves: pure changes that may be applied again.
import type { JobRecord } from '../jobs/job.ts';
import type { PlanRun, PlanStep } from '../jobs/planRun.ts';
import { startStep, succeedStep, suspendStep } from '../jobs/progress.ts';
import { groupTask, preflightTask } from './groupTasks.ts';

export function withStep(run: PlanRun, index: number, change: (step: PlanStep) => PlanStep): PlanRun {
  return { ...run, steps: run.steps.map((step, at) => (at === index ? change(step) : step)) };
}

/** The step of the run, of a job that has one. */
export function stepAt({ id, run }: JobRecord, index: number): PlanStep {
  const step = run?.steps[index];
  if (step) return step;
  throw new Error(`Invariant broken: job ${id} has a step ${index}`);
}

/** The group's task runs, and those before it are over: also groups in which there was nothing to do. */
export function enterGroup(job: JobRecord, group: number, at: string): JobRecord {
  let entered = succeedStep(job, preflightTask, at);
  for (let before = 0; before < group; before++) entered = succeedStep(entered, groupTask(before), at);
  return startStep(entered, groupTask(group), at);
}

/** The step runs. One that is over, or waits for a person who has not answered, stays as it is. */
export function beginPlanStep(job: JobRecord, index: number, at: string): JobRecord {
  const step = stepAt(job, index);
  const waits = step.kind === 'action' && step.state === 'Suspended' && step.resumedAt === null;
  const isToBegin = step.state === 'NotStarted' || step.state === 'Suspended';
  if (!job.run || waits || !isToBegin) return job;
  const run = withStep(job.run, index, (each) => ({
    ...each,
    state: 'InProgress',
    startTime: each.startTime ?? at,
  }));
  return enterGroup({ ...job, run }, step.group, at);
}

/** The manual action waits for a person, and so does the job. */
export function suspendPlanStep(job: JobRecord, index: number): JobRecord {
  const { group, state } = stepAt(job, index);
  if (!job.run || state !== 'InProgress') return job;
  const run = withStep(job.run, index, (each) => ({ ...each, state: 'Suspended' }));
  return suspendStep({ ...job, run }, groupTask(group));
}

/** Somebody has done what the waiting action asks for. No change when none waits. */
export function answerManualStep(job: JobRecord, comments: string, at: string): JobRecord {
  if (!job.run) return job;
  const index = job.run.steps.findIndex((step) => step.state === 'Suspended');
  if (index < 0) return job;
  const run = withStep(job.run, index, (step) =>
    step.kind === 'action' && step.resumedAt === null
      ? { ...step, resumedAt: at, observation: comments === '' ? null : comments }
      : step,
  );
  return { ...job, run };
}

/** True when a person has answered the action that the job waits with. */
export const isAnswered = ({ run }: JobRecord): boolean =>
  run?.steps.some(
    (step) => step.kind === 'action' && step.state === 'Suspended' && step.resumedAt !== null,
  ) ?? false;

/** What was running when the job ended badly. */
export function endOpenSteps(job: JobRecord, state: 'Failed' | 'Cancelled', at: string): JobRecord {
  if (!job.run) return job;
  const steps = job.run.steps.map((step) =>
    step.state === 'InProgress' || step.state === 'Suspended' ? { ...step, state, endTime: at } : step,
  );
  return { ...job, run: { ...job.run, steps } };
}
