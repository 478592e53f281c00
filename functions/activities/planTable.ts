// The activities of recovery plans. As table.ts: only which step of lib/plans a name stands for.
import {
  abandonPlan,
  beginPlan,
  finishPlan,
  runPlanStep,
  stopPlanMembers,
} from '../../lib/plans/planSteps.ts';
import { awaitPlanTurn } from '../../lib/plans/turn.ts';
import type { TurnJob } from '../../lib/plans/turn.ts';
import type { BadEnd } from '../../lib/protection/itemJobs.ts';
import type { PlanJob } from '../../lib/protection/orchestrations.ts';
import { FailedChecks, none } from './outcome.ts';
import type { Activity } from './outcome.ts';

const runStep: Activity<PlanJob & { step: number }> = async (context, job, { orchestrations }) => {
  const { errors, ...progress } = await runPlanStep(context, job, orchestrations);
  if (errors.length > 0) throw new FailedChecks(errors);
  return progress;
};

export const planActivities = {
  awaitPlanTurn: (context, job: TurnJob) => awaitPlanTurn(context, job),
  beginPlan: (context, job: PlanJob) => beginPlan(context, job),
  runPlanStep: runStep,
  finishPlan: (context, job: PlanJob) => none(finishPlan(context, job)),
  stopPlanMembers: (context, job: PlanJob, { orchestrations }) =>
    stopPlanMembers(context, job, orchestrations),
  abandonPlan: (context, job: PlanJob & { end: BadEnd }) => none(abandonPlan(context, job, job.end)),
} satisfies Record<string, Activity<never>>;
