// Resynchronization: the replica set apart, digests of it in short activities, the wait for the source's log, and replication
// as before. Outside its window it waits to be woken.
import type { OrchestrationContext, Task } from 'durable-functions';
import type { ItemJob } from '../lib/protection/orchestrations.ts';
import { changedEvent } from '../lib/protection/orchestrations.ts';
import { callActivity, runJob, untilReady, untilUnlocked } from './activities.ts';

interface Digesting {
  isDone: boolean;
  isPaused: boolean;
}

function* steps(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<ItemJob>();
  yield* untilUnlocked(context, 'beginResync', job);
  for (;;) {
    const { isDone, isPaused } = yield* callActivity<Digesting>(context, 'digestReplicas', job);
    if (isDone) break;
    if (isPaused) yield context.df.waitForExternalEvent(changedEvent);
  }
  yield* untilReady(context, 'awaitResyncLog', job);
  yield* callActivity(context, 'completeResync', job);
}

export function* resynchronize(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'resynchronize', steps(context));
}
