// Adding a disk to a protected machine: the checks, and its empty replica.
import type { OrchestrationContext, Task } from 'durable-functions';
import type { ItemJob } from '../lib/protection/orchestrations.ts';
import { callActivity, runJob } from './activities.ts';

function* steps(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<ItemJob>();
  yield* callActivity(context, 'prepareDisk', job);
}

export function* addDisk(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'addDisk', steps(context));
}
