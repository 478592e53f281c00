// The activities as orchestrators see them: names, inputs, and one retry policy. An activity returns errors that retrying
// cannot mend as data, and so does it when its job must stop; it throws the others.
import { RetryOptions } from 'durable-functions';
import type { OrchestrationContext, Task } from 'durable-functions';
import { changedEvent } from '../lib/protection/orchestrations.ts';

interface ErrorData {
  code: string;
  message: string;
}

/** What every activity returns. `stop`: the job was cancelled, or its item is not its own any more. */
export type ActivityResult<T> =
  | { ok: true; value: T }
  | { ok: false; errors: readonly ErrorData[] }
  | { ok: false; stop: 'cancelled' | 'superseded' };

export const activityNames = [
  'checkPrerequisites',
  'createReplicas',
  'startInitialReplication',
  'awaitInitialReplication',
  'mergeQueuedLogs',
  'finalizeProtection',
  'awaitRelease',
  'drainBeforeDeletion',
  'deleteReplicaData',
  'forgetItem',
  'prepareDisk',
  'beginResync',
  'digestReplicas',
  'awaitResyncLog',
  'completeResync',
  'requestScrub',
  'scrubPoint',
  'prepareTest',
  'makeTestDisks',
  'makeTestMachine',
  'observeTest',
  'reportTest',
  'removeDrillMachine',
  'finishDrill',
  'removeTestMachine',
  'finishTestCleanup',
  'beginFailover',
  'awaitSource',
  'prepareFailover',
  'makeFailoverDisks',
  'makeFailoverMachine',
  'finishFailover',
  'prepareChange',
  'makeChangedDisks',
  'replaceMachine',
  'switchPoint',
  'finishChange',
  'finishCommit',
  'removeFailedOverMachine',
  'finishCancel',
  'beginFailback',
  'syncChanges',
  'awaitCompletion',
  'stopAndCapture',
  'cutChanges',
  'mergeChanges',
  'awaitApplied',
  'finishReverse',
  'awaitPlanTurn',
  'beginPlan',
  'runPlanStep',
  'finishPlan',
  'stopPlanMembers',
  'abandonPlan',
  'abandonJob',
] as const;
export type ActivityName = (typeof activityNames)[number];

/** Ends the job in failure; carries the errors as data from the activity that returned them to the one that records them. */
class JobError extends Error {
  readonly errors: readonly ErrorData[];

  constructor(errors: readonly ErrorData[]) {
    super(errors.map(({ message }) => message).join(' '));
    this.name = 'JobError';
    this.errors = errors;
  }
}

/** Ends the job because it was told to. */
class JobStopped extends Error {
  readonly reason: 'cancelled' | 'superseded';

  constructor(reason: 'cancelled' | 'superseded') {
    super(`The job was ${reason}.`);
    this.name = 'JobStopped';
    this.reason = reason;
  }
}

const firstRetryMs = 5_000;
const longestRetryMs = 30 * 60_000;
/** With the pauses above, about nine days of an unreachable storage account. */
const attempts = 450;

/**
 * Runs the activity with retries and returns its value; throws JobError for errors that it returned, JobStopped when the job
 * must end. Use with `yield*`. `input` is an object: plain values do not survive the protocol unchanged.
 */
export function* callActivity<T = null>(
  context: OrchestrationContext,
  name: ActivityName,
  input: object,
): Generator<Task, T, ActivityResult<T>> {
  const retry = new RetryOptions(firstRetryMs, attempts);
  retry.backoffCoefficient = 2;
  retry.maxRetryIntervalInMilliseconds = longestRetryMs;
  const result = yield context.df.callActivityWithRetry(name, retry, input);
  if (result.ok) return result.value;
  if ('stop' in result) throw new JobStopped(result.stop);
  throw new JobError(result.errors);
}

/** Repeats the activity, woken by the event, until it says that it is ready. */
export function* untilReady(
  context: OrchestrationContext,
  name: ActivityName,
  input: object,
): Generator<Task, void, never> {
  for (;;) {
    const { isReady } = yield* callActivity<{ isReady: boolean }>(context, name, input);
    if (isReady) return;
    yield context.df.waitForExternalEvent(changedEvent);
  }
}

/** Between two tries at an item that another worker holds for a moment. */
const lockPauseSeconds = 2;

/** A short pause; seconds, because timers have no finer times. */
export function pause(context: OrchestrationContext, seconds = lockPauseSeconds): Task {
  const now = context.df.currentUtcDateTime.getTime();
  return context.df.createTimer(new Date(now + seconds * 1000));
}

/** Repeats the activity with short pauses until it says that it is ready: for locks, which nobody announces. */
export function* untilUnlocked(
  context: OrchestrationContext,
  name: ActivityName,
  input: object,
): Generator<Task, void, never> {
  for (;;) {
    const { isReady } = yield* callActivity<{ isReady: boolean }>(context, name, input);
    if (isReady) return;
    yield pause(context);
  }
}

interface StepProgress {
  isDone: boolean;
  retryAfterSeconds?: number;
}

/** Repeats the activity until it says that it is done, after the pauses that it asks for. */
export function* untilDone(
  context: OrchestrationContext,
  name: ActivityName,
  input: object,
): Generator<Task, void, never> {
  for (;;) {
    const progress = yield* callActivity<StepProgress>(context, name, input);
    if (progress.isDone) return;
    // Nothing to wait for but the next invocation: the activity's time was up.
    if (progress.retryAfterSeconds === undefined) continue;
    yield pause(context, Math.max(1, progress.retryAfterSeconds));
  }
}

/** As `untilDone`; an event ends a pause early, for what somebody reports. The pauses grow up to a minute. */
export function* untilReported(
  context: OrchestrationContext,
  name: ActivityName,
  input: object,
): Generator<Task, void, never> {
  for (let seconds = 5; ; seconds = Math.min(60, seconds * 2)) {
    const { isDone } = yield* callActivity<StepProgress>(context, name, input);
    if (isDone) return;
    const now = context.df.currentUtcDateTime.getTime();
    const timer = context.df.createTimer(new Date(now + seconds * 1000));
    yield context.df.Task.any([context.df.waitForExternalEvent(changedEvent), timer]);
    if (!timer.isCompleted) timer.cancel();
  }
}

/** Of a failover that a recovery plan began: waits until the plan lets it into the phase. Another one does not wait. */
export function* untilTurn(
  context: OrchestrationContext,
  phase: 'failover' | 'boot',
  job: object & { plan?: unknown },
): Generator<Task, void, never> {
  if (typeof job.plan === 'string') yield* untilReported(context, 'awaitPlanTurn', { ...job, phase });
}

/** How a job ends after this error; undefined = it was superseded, and leaves everything to its successor. */
export function badEndOf(
  error: unknown,
): { outcome: 'cancelled' } | { outcome: 'failed'; errors: readonly ErrorData[] } | undefined {
  if (error instanceof JobStopped)
    return error.reason === 'superseded' ? undefined : { outcome: 'cancelled' };
  const message = error instanceof Error ? error.message : String(error);
  const errors = error instanceof JobError ? error.errors : [{ code: 'InternalError', message }];
  return { outcome: 'failed', errors };
}

/**
 * Runs the steps of a job. When they fail or are cancelled, the job and what it left are put in order by `abandonJob`; a job
 * that was superseded leaves everything to its successor.
 */
export function* runJob(
  context: OrchestrationContext,
  kind: string,
  steps: Generator<Task, void, never>,
): Generator<Task, void, never> {
  const job = context.df.getInput<object>();
  try {
    yield* steps;
  } catch (error) {
    const end = badEndOf(error);
    if (end === undefined) return;
    yield* callActivity(context, 'abandonJob', { ...job, kind, end });
  }
}
