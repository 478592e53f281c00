// Enable protection, from the prerequisites to Protected. The job waits for the source: initial replication ends when the
// source says so (event), or when the reconciliation timer notices that it did.
import type { OrchestrationContext, Task } from 'durable-functions';
import type { ItemJob } from '../lib/protection/orchestrations.ts';
import { initialReplicationCompletedEvent } from '../lib/protection/orchestrations.ts';
import { JobError, activities, callActivity } from './activities.ts';

/** Between two looks at an item whose logs another worker is merging. */
const mergePauseSeconds = 2;

function* run(context: OrchestrationContext, job: ItemJob): Generator<Task, void, never> {
  yield* callActivity(context, activities.checkPrerequisites, job);
  yield* callActivity(context, activities.createReplicas, job);
  yield* callActivity(context, activities.startInitialReplication, job);
  yield context.df.waitForExternalEvent(initialReplicationCompletedEvent);
  for (;;) {
    const { isMerged } = yield* callActivity<{ isMerged: boolean }>(context, activities.mergeQueuedLogs, job);
    if (isMerged) break;
    const now = context.df.currentUtcDateTime.getTime();
    yield context.df.createTimer(new Date(now + mergePauseSeconds * 1000));
  }
  yield* callActivity(context, activities.finalizeProtection, job);
}

export function* enableProtection(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<ItemJob>();
  try {
    yield* run(context, job);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const errors = error instanceof JobError ? error.errors : [{ code: 'InternalError', message }];
    yield* callActivity(context, activities.failProtection, { ...job, errors });
  }
}
