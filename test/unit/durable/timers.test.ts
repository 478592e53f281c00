// Timers on a fake clock: never early, never twice, also beyond what setTimeout can count.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TimerService } from '../../../local/durable/timers.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

test('a timer fires once, at its time, even when armed twice', () => {
  const timers = new TimerService();
  const firedAtMs: number[] = [];
  for (let i = 0; i < 2; i++) timers.arm('i', 1, 500, () => firedAtMs.push(Date.now()));
  vi.advanceTimersByTime(499);
  expect(firedAtMs).toEqual([]);
  vi.advanceTimersByTime(10_000);
  expect(firedAtMs).toEqual([500]);
});

test('a timer of 60 days fires after 60 days', () => {
  const timers = new TimerService();
  const dueMs = 60 * 86_400_000;
  const firedAtMs: number[] = [];
  timers.arm('i', 1, dueMs, () => firedAtMs.push(Date.now()));
  vi.advanceTimersByTime(2 * dueMs);
  expect(firedAtMs).toEqual([dueMs]);
});

test('cancelled timers do not fire, others do; nothing is left on the clock', () => {
  const timers = new TimerService();
  const fired: string[] = [];
  for (const instanceId of ['a', 'b'])
    for (const taskId of [1, 2])
      timers.arm(instanceId, taskId, 10, () => fired.push(`${instanceId}${taskId}`));
  timers.cancel('a', 1);
  timers.cancelAllOf('b');
  vi.advanceTimersByTime(10);
  expect(fired).toEqual(['a2']);
  timers.arm('c', 1, 1000, () => fired.push('c1'));
  timers.cancelAll();
  expect(vi.getTimerCount()).toBe(0);
});
