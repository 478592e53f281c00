// Comparing a recovery point with the source: the request, the source's digests, ours, and the verdict.
import type { OrchestrationContext, Task } from 'durable-functions';
import type { ItemJob } from '../lib/protection/orchestrations.ts';
import { changedEvent } from '../lib/protection/orchestrations.ts';
import { callActivity, runJob } from './activities.ts';

interface Scrubbing {
  isDone: boolean;
  isWaiting: boolean;
}

function* steps(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<ItemJob>();
  yield* callActivity(context, 'requestScrub', job);
  for (;;) {
    const { isDone, isWaiting } = yield* callActivity<Scrubbing>(context, 'scrubPoint', job);
    if (isDone) return;
    if (isWaiting) yield context.df.waitForExternalEvent(changedEvent);
  }
}

export function* scrub(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'scrub', steps(context));
}
