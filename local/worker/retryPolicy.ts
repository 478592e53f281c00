// Runs an invocation under the function's retry policy, as the host does (not the worker): the handler is
// called again with a retry context until it succeeds or the policy ends.
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostLog, Invocation, InvocationResult, RetryContext, RetryOptions, Worker } from './types.ts';

/** An increment varies by this share of itself. */
const randomization = 0.2;

export interface RetryPolicyRun {
  worker: Worker;
  invocation: Invocation;
  retry: RetryOptions | undefined;
  log: HostLog;
  /** Aborting ends the waiting between attempts; the last error is then thrown. */
  signal: AbortSignal;
}

/** Rejects with the error of the last attempt. Without a policy there is one attempt. */
export async function invokeWithRetry(run: RetryPolicyRun): Promise<InvocationResult> {
  const { worker, retry, log, signal } = run;
  let invocation = run.invocation;
  for (let attempt = 0; ; attempt++) {
    try {
      return await worker.invoke(invocation);
    } catch (error) {
      if (retry === undefined || isExhausted(retry, attempt)) throw error;
      const delayMs = delayAfter(retry, attempt);
      log(
        'warning',
        'Host.Retry',
        `${invocation.functionId} failed; retry ${attempt + 1} follows in ${delayMs} ms.`,
      );
      await sleep(delayMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) throw error;
      invocation = { ...run.invocation, retryContext: toRetryContext(retry, attempt + 1, error) };
    }
  }
}

function isExhausted({ maxRetryCount }: RetryOptions, attempt: number): boolean {
  return maxRetryCount >= 0 && attempt >= maxRetryCount;
}

/**
 * Delay after the given attempt (0-based). Exponential back-off is the WebJobs SDK's: the minimum, then the minimum
 * plus an increment that doubles and varies by up to a fifth, at most the maximum.
 */
export function delayAfter(
  { strategy, delayMs, maximumDelayMs }: RetryOptions,
  attempt: number,
  random: () => number = Math.random,
): number {
  if (strategy === 'fixedDelay') return delayMs;
  const variation = 1 + randomization * (2 * random() - 1);
  const incrementMs = attempt === 0 ? 0 : delayMs * variation * 2 ** (attempt - 1);
  return Math.min(maximumDelayMs, Math.round(delayMs + incrementMs));
}

function toRetryContext({ maxRetryCount }: RetryOptions, retryCount: number, error: unknown): RetryContext {
  const message = error instanceof Error ? error.message : String(error);
  const stackTrace = error instanceof Error ? (error.stack ?? '') : '';
  return { retryCount, maxRetryCount, exception: { message, source: '', stackTrace } };
}
