// The limit on an invocation (`functionTimeout` of host.json). Azure ends the whole worker process on a timeout;
// this host shares its process with the app, so it fails the invocation towards its trigger and lets the handler
// run on: what it still does, it does unobserved.
import type { HostLog, InvocationResult } from './types.ts';

/** setTimeout takes no more; a longer limit is no limit. */
const maximumTimeoutMs = 2 ** 31 - 1;

export class FunctionTimeoutError extends Error {
  constructor(functionName: string, timeoutMs: number) {
    super(`Timeout value of ${timeoutMs / 1000} s was exceeded by function: ${functionName}.`);
    this.name = 'FunctionTimeoutError';
  }
}

export interface TimedInvocation {
  functionName: string;
  /** Undefined or infinite means no limit. */
  timeoutMs: number | undefined;
  log: HostLog;
  invoke: () => Promise<InvocationResult>;
  /** Called when the handler has really ended, in time or not. */
  onEnded: () => void;
}

/** Result of `invoke`; rejects with FunctionTimeoutError when it takes too long. */
export async function invokeWithin(call: TimedInvocation): Promise<InvocationResult> {
  const { functionName, timeoutMs, log } = call;
  const running = call.invoke().finally(call.onEnded);
  if (timeoutMs === undefined || timeoutMs > maximumTimeoutMs) return running;
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const error = new FunctionTimeoutError(functionName, timeoutMs);
      log(
        'critical',
        'Host.Executor',
        `${error.message} It failed for its trigger; its handler may still run, and Azure would have ended the process.`,
      );
      const sayEnded = (): void =>
        log('warning', 'Host.Executor', `${functionName} ended after its timeout.`);
      running.then(sayEnded, sayEnded);
      reject(error);
    }, timeoutMs);
  });
  try {
    return await Promise.race([running, expired]);
  } finally {
    clearTimeout(timer);
  }
}
