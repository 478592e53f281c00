// An invocation that takes too long, on a clock the test moves.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FunctionTimeoutError } from '../../../local/worker/functionTimeout.ts';
import { TrackedWorker } from '../../../local/worker/trackedWorker.ts';
import type { LoadedFunction } from '../../../local/worker/types.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

/** A worker whose only function takes `runMs`; `lines` is its log. */
function create(
  runMs: number,
  timeoutMs: number | undefined,
  type = 'timerTrigger',
): { worker: TrackedWorker; lines: string[] } {
  const trigger = { name: 't', type, direction: 'in' as const };
  const loaded: LoadedFunction = { name: 'slow', functionId: 'slow', trigger, bindings: [trigger] };
  const lines: string[] = [];
  const worker = new TrackedWorker({
    worker: {
      functions: [loaded],
      invoke: async () => {
        await new Promise((resolve) => setTimeout(resolve, runMs));
        return { outputs: new Map(), returnValue: { string: 'done' } };
      },
      terminate: () => Promise.resolve(),
    },
    timeoutMs,
    log: (level, category, message) => lines.push(`${level} ${category} ${message}`),
    provideInput: () => undefined,
  });
  return { worker, lines };
}

it('fails after the limit, says so once, and counts as running until its handler ends', async () => {
  const { worker, lines } = create(5000, 1000);
  const failed = worker.invoke({ functionId: 'slow', trigger: undefined }).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(1000);
  const error = await failed;
  expect(error).toBeInstanceOf(FunctionTimeoutError);
  expect(String(error)).toContain('Timeout value of 1 s was exceeded by function: slow.');
  expect(lines.filter((line) => line.startsWith('critical Host.Executor'))).toHaveLength(1);
  expect(worker.running()).toBe(1);
  await vi.advanceTimersByTimeAsync(4000);
  expect(worker.running()).toBe(0);
  expect(lines.at(-1)).toContain('slow ended after its timeout');
});

it.each([
  ['within the limit', 900, 1000, 'timerTrigger'],
  ['without a limit', 10_000_000, undefined, 'timerTrigger'],
  ['with a limit beyond what a timer can count', 5000, 2 ** 40, 'timerTrigger'],
  ['as an orchestrator', 5000, 1000, 'orchestrationTrigger'],
])('succeeds %s', async (_what, runMs, timeoutMs, type) => {
  const { worker } = create(runMs, timeoutMs, type);
  const done = worker.invoke({ functionId: 'slow', trigger: undefined });
  await vi.advanceTimersByTimeAsync(runMs);
  expect((await done).returnValue).toEqual({ string: 'done' });
  expect(worker.running()).toBe(0);
});
