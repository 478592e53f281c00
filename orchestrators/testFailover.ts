// Test failover: the choice, the disks, the machine, a look at it, the report. A drill cleans up after itself.
import type { OrchestrationContext, Task } from 'durable-functions';
import type { ItemJob } from '../lib/protection/orchestrations.ts';
import { callActivity, runJob, untilDone, untilTurn, untilUnlocked } from './activities.ts';

function* steps(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<ItemJob>();
  yield* untilUnlocked(context, 'prepareTest', job);
  yield* untilDone(context, 'makeTestDisks', job);
  yield* untilTurn(context, 'boot', job);
  yield* untilDone(context, 'makeTestMachine', job);
  yield* untilDone(context, 'observeTest', job);
  const { isDrill } = yield* callActivity<{ isDrill: boolean }>(context, 'reportTest', job);
  if (!isDrill) return;
  yield* untilDone(context, 'removeDrillMachine', job);
  yield* callActivity(context, 'finishDrill', job);
}

export function* testFailover(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'testFailover', steps(context));
}
