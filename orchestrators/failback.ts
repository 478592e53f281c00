// Failback: the machine's changes become cycles, the source writes them; then replication goes its old way again.
import type { OrchestrationContext, Task } from 'durable-functions';
import type { ItemJob } from '../lib/protection/orchestrations.ts';
import type { FailbackJob } from '../lib/recovery/failback.ts';
import { callActivity, runJob, untilDone, untilReady, untilReported, untilUnlocked } from './activities.ts';

function* steps(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<FailbackJob>();
  yield* untilUnlocked(context, 'beginFailback', job);
  if (job.syncsFirst === true) {
    yield* untilDone(context, 'syncChanges', job);
    yield* untilReady(context, 'awaitCompletion', job);
  }
  yield* untilDone(context, 'stopAndCapture', job);
  yield* untilUnlocked(context, 'cutChanges', job);
  yield* untilDone(context, 'mergeChanges', job);
  yield* untilReported(context, 'awaitApplied', job);
}

export function* failback(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'failback', steps(context));
}

function* reverseSteps(context: OrchestrationContext): Generator<Task, void, never> {
  yield* callActivity(context, 'finishReverse', context.df.getInput<ItemJob>());
}

export function* reverseReplication(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'reverseReplication', reverseSteps(context));
}
