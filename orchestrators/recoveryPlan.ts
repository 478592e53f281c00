// A recovery plan: its steps one after another, each looked at until it is over. The order was decided when the job was made and
// is in its row; members' jobs are orchestrations of their own.
import type { OrchestrationContext, Task } from 'durable-functions';
import { changedEvent } from '../lib/protection/orchestrations.ts';
import type { PlanJob } from '../lib/protection/orchestrations.ts';
import { badEndOf, callActivity, untilDone } from './activities.ts';

interface Look {
  isDone: boolean;
  hasMoved: boolean;
  waitSeconds: number | null;
}

const longestPauseSeconds = 30;

/** Pauses grow while nothing moves; an event ends one early, and an action that waits for a person waits for nothing else. */
function* untilStepDone(context: OrchestrationContext, input: object): Generator<Task, void, never> {
  for (let seconds = 1; ; seconds = Math.min(longestPauseSeconds, seconds * 2)) {
    const { isDone, hasMoved, waitSeconds } = yield* callActivity<Look>(context, 'runPlanStep', input);
    if (isDone) return;
    if (waitSeconds === null) {
      yield context.df.waitForExternalEvent(changedEvent);
      continue;
    }
    if (hasMoved) seconds = 1;
    const now = context.df.currentUtcDateTime.getTime();
    const timer = context.df.createTimer(new Date(now + Math.max(seconds, waitSeconds) * 1000));
    yield context.df.Task.any([context.df.waitForExternalEvent(changedEvent), timer]);
    if (!timer.isCompleted) timer.cancel();
  }
}

function* steps(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<PlanJob>();
  const { steps: count } = yield* callActivity<{ steps: number }>(context, 'beginPlan', job);
  for (let step = 0; step < count; step++) yield* untilStepDone(context, { ...job, step });
  yield* callActivity(context, 'finishPlan', job);
}

export function* recoveryPlan(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<PlanJob>();
  try {
    yield* steps(context);
  } catch (error) {
    const end = badEndOf(error);
    if (end === undefined) return;
    if (end.outcome === 'cancelled') yield* untilDone(context, 'stopPlanMembers', job);
    yield* callActivity(context, 'abandonPlan', { ...job, end });
  }
}
