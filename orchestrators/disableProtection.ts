// Disable protection: release the source, merge what has arrived if the replica is kept, delete, forget.
import type { OrchestrationContext, Task } from 'durable-functions';
import type { ItemJob } from '../lib/protection/orchestrations.ts';
import { changedEvent } from '../lib/protection/orchestrations.ts';
import { callActivity, pause, runJob, untilUnlocked } from './activities.ts';

/** Waits for the source's release, or until it has had its time. */
function* release(context: OrchestrationContext, job: ItemJob): Generator<Task, void, never> {
  for (;;) {
    const { isReady, until } = yield* callActivity<{ isReady: boolean; until: string }>(
      context,
      'awaitRelease',
      job,
    );
    if (isReady) return;
    const timer = context.df.createTimer(new Date(until));
    yield context.df.Task.any([context.df.waitForExternalEvent(changedEvent), timer]);
    if (!timer.isCompleted) timer.cancel();
  }
}

function* steps(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<ItemJob>();
  yield* release(context, job);
  for (;;) {
    const { isMerged } = yield* callActivity<{ isMerged: boolean }>(context, 'drainBeforeDeletion', job);
    if (isMerged) break;
    yield pause(context);
  }
  yield* untilUnlocked(context, 'deleteReplicaData', job);
  yield* callActivity(context, 'forgetItem', job);
}

export function* disableProtection(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'disableProtection', steps(context));
}
