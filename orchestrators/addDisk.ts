// Adding a disk to a protected machine: its empty replica, its copy by the source, and its first cycle.
import type { OrchestrationContext, Task } from 'durable-functions';
import type { ItemJob } from '../lib/protection/orchestrations.ts';
import { callActivity, runJob, untilReady } from './activities.ts';

function* steps(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<ItemJob>();
  yield* callActivity(context, 'prepareDisk', job);
  yield* untilReady(context, 'awaitDisk', job);
}

export function* addDisk(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'addDisk', steps(context));
}
