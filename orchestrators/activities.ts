// The activities as orchestrators see them: names, inputs, and one retry policy. An activity returns errors that retrying
// cannot mend as data, and throws the others.
import { RetryOptions } from 'durable-functions';
import type { OrchestrationContext, Task } from 'durable-functions';

interface ErrorData {
  code: string;
  message: string;
}

/** What every activity returns. */
export type ActivityResult<T> = { ok: true; value: T } | { ok: false; errors: readonly ErrorData[] };

export const activities = {
  checkPrerequisites: 'checkPrerequisites',
  createReplicas: 'createReplicas',
  startInitialReplication: 'startInitialReplication',
  mergeQueuedLogs: 'mergeQueuedLogs',
  finalizeProtection: 'finalizeProtection',
  failProtection: 'failProtection',
} as const;
export type ActivityName = keyof typeof activities;

/** Ends the job; carries the errors as data from the activity that returned them to the one that records them. */
export class JobError extends Error {
  readonly errors: readonly ErrorData[];

  constructor(errors: readonly ErrorData[]) {
    super(errors.map(({ message }) => message).join(' '));
    this.name = 'JobError';
    this.errors = errors;
  }
}

const firstRetryMs = 5_000;
const longestRetryMs = 30 * 60_000;
/** With the pauses above, about nine days of an unreachable storage account. */
const attempts = 450;

/**
 * Runs the activity with retries and returns its value; throws JobError for errors that it returned. Use with `yield*`.
 * `input` is an object: plain values do not survive the protocol unchanged.
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
  if (!result.ok) throw new JobError(result.errors);
  return result.value;
}
