// Enable protection, from the prerequisites to Protected. The job waits for its start time and for the source: it is woken
// when something has changed, and looks.
import type { OrchestrationContext, Task } from 'durable-functions';
import type { ItemJob } from '../lib/protection/orchestrations.ts';
import { callActivity, pause, runJob, untilReady } from './activities.ts';

function* steps(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<ItemJob>();
  yield* callActivity(context, 'checkPrerequisites', job);
  yield* callActivity(context, 'createReplicas', job);
  yield* untilReady(context, 'startInitialReplication', job);
  yield* untilReady(context, 'awaitInitialReplication', job);
  for (;;) {
    const { isMerged } = yield* callActivity<{ isMerged: boolean }>(context, 'mergeQueuedLogs', job);
    if (isMerged) break;
    yield pause(context);
  }
  yield* callActivity(context, 'finalizeProtection', job);
}

export function* enableProtection(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'enableProtection', steps(context));
}
