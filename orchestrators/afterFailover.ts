// What may follow a failover: another recovery point, commit, or undoing it.
import type { OrchestrationContext, Task } from 'durable-functions';
import type { ItemJob } from '../lib/protection/orchestrations.ts';
import { callActivity, runJob, untilDone } from './activities.ts';

function* changeSteps(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<ItemJob>();
  yield* callActivity(context, 'prepareChange', job);
  yield* untilDone(context, 'makeChangedDisks', job);
  yield* untilDone(context, 'replaceMachine', job);
  const { oldJobId } = yield* callActivity<{ oldJobId: string }>(context, 'switchPoint', job);
  yield* callActivity(context, 'finishChange', { ...job, oldJobId });
}

export function* changeRecoveryPoint(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'changeRecoveryPoint', changeSteps(context));
}

function* commitSteps(context: OrchestrationContext): Generator<Task, void, never> {
  yield* callActivity(context, 'finishCommit', context.df.getInput<ItemJob>());
}

export function* commitFailover(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'commitFailover', commitSteps(context));
}

function* cancelSteps(context: OrchestrationContext): Generator<Task, void, never> {
  const job = context.df.getInput<ItemJob>();
  yield* untilDone(context, 'removeFailedOverMachine', job);
  yield* callActivity(context, 'finishCancel', job);
}

export function* cancelFailover(context: OrchestrationContext): Generator<Task, void, never> {
  yield* runJob(context, 'cancelFailover', cancelSteps(context));
}
