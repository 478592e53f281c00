// When a timer function runs, on a clock the test moves.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { parseSchedule } from '../../../local/timer/ncrontab.ts';
import { TimerListener } from '../../../local/timer/timerListener.ts';
import type { LoadedFunction, Worker } from '../../../local/worker/types.ts';

beforeEach(
  () =>
    void vi.useFakeTimers({
      toFake: ['Date', 'setTimeout', 'clearTimeout'],
      now: new Date('2026-11-24T10:00:00.500Z'),
    }),
);
afterEach(() => void vi.useRealTimers());

/** Runs the schedule for `seconds` with a handler that takes `runMs`; returns the seconds at which runs began. */
async function runsOf(
  expression: string,
  seconds: number,
  runMs: number,
  trigger: Record<string, unknown> = {},
): Promise<number[]> {
  const startedAt: number[] = [];
  const worker: Worker = {
    functions: [],
    invoke: async () => {
      startedAt.push(Math.round(Date.now() / 100) / 10 - new Date('2026-11-24T10:00:00Z').getTime() / 1000);
      await new Promise((resolve) => setTimeout(resolve, runMs));
      if (runMs % 2 === 1) throw new Error('an odd run fails');
      return { outputs: new Map() };
    },
    terminate: () => Promise.resolve(),
  };
  const binding = { name: 't', type: 'timerTrigger', direction: 'in' as const, ...trigger };
  const loaded: LoadedFunction = { name: 'f', functionId: 'f', trigger: binding, bindings: [binding] };
  const log = (): void => undefined;
  const listener = new TimerListener({
    loaded,
    schedule: parseSchedule(expression),
    worker,
    log,
    statusBlob: undefined,
  });
  await listener.start();
  await vi.advanceTimersByTimeAsync(seconds * 1000);
  listener.stop();
  await vi.advanceTimersByTimeAsync(100_000);
  return startedAt.map((at) => Math.round(at * 10) / 10);
}

it('runs once at each occurrence, and no more after stop', async () => {
  expect(await runsOf('* * * * * *', 5, 10)).toEqual([1, 2, 3, 4, 5]);
});

it('goes on after a failed run', async () => {
  expect(await runsOf('*/2 * * * * *', 6, 11)).toEqual([2, 4, 6]);
});

it('never overlaps: occurrences missed during a run become one run after it', async () => {
  expect(await runsOf('* * * * * *', 7, 2500)).toEqual([1, 3.5, 6]);
});

it('runs at the start when it is told to', async () => {
  expect(await runsOf('0 * * * * *', 61, 10, { runOnStartup: true })).toEqual([0.5, 60]);
});

it('waits longer than one timeout can', async () => {
  vi.setSystemTime(new Date('2026-11-24T10:00:00Z'));
  const days = 40;
  expect(await runsOf('0 0 10 3 1 *', days * 86_400 + 1, 10)).toEqual([days * 86_400]);
});
