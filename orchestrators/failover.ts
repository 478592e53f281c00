// Planned and unplanned failover: the source's last changes, the recovery point, the disks, the machine.
import type { OrchestrationContext, Task } from 'durable-functions';
import type { ItemJob } from '../lib/protection/orchestrations.ts';
import { callActivity, runJob, untilDone, untilReported, untilTurn } from './activities.ts';

function* steps(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<ItemJob>();
  yield* callActivity(context, 'beginFailover', job);
  yield* untilReported(context, 'awaitSource', job);
  yield* untilTurn(context, 'failover', job);
  yield* callActivity(context, 'prepareFailover', job);
  yield* untilDone(context, 'makeFailoverDisks', job);
  yield* untilTurn(context, 'boot', job);
  yield* untilDone(context, 'makeFailoverMachine', job);
  yield* callActivity(context, 'finishFailover', job);
}

export function* plannedFailover(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'plannedFailover', steps(context));
}

export function* unplannedFailover(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'unplannedFailover', steps(context));
}
