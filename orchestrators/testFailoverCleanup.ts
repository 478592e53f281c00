// Cleaning up a test failover: the machine, then its disks and rows.
import type { OrchestrationContext, Task } from 'durable-functions';
import type { ItemJob } from '../lib/protection/orchestrations.ts';
import { callActivity, runJob, untilDone } from './activities.ts';

function* steps(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<ItemJob>();
  yield* untilDone(context, 'removeTestMachine', job);
  yield* callActivity(context, 'finishTestCleanup', job);
}

export function* testFailoverCleanup(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'testFailoverCleanup', steps(context));
}
