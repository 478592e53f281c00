// An outage as a host lives it: ticks that come late, attempts that take their time.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterFailure, isDue, type Failure, type RetryState } from '../../lib/retry/retryState.ts';

const minuteMs = 60_000;
const start = Date.parse('2026-11-24T08:00:00.000Z');
const failure: Failure = { side: 'source', code: 'NetworkUnavailable', message: 'No route.' };
const transient = fc.constantFrom<Failure>(
  failure,
  { side: 'source', code: 'LowDiskSpace', message: 'Full.' },
  { side: 'service', code: 'StorageUnavailable', message: '503.' },
);

/** Written out, not computed: what an administrator reads. */
const ladderMinutes = [1, 2, 4, 8, 10, ...Array.from({ length: 400 }, (_unused, at) => 40 + 30 * at)];

interface Attempt {
  dueMs: number;
  begunMs: number;
  failedMs: number;
}

/** Lives through an outage: at every tick an attempt if one is due, which takes its time and fails. */
function outage(ticksMs: readonly number[], durationsMs: readonly number[], failures: readonly Failure[]) {
  let state: RetryState = afterFailure(null, failure, new Date(start));
  const attempts: Attempt[] = [];
  for (const tick of ticksMs) {
    const begunMs = Math.max(tick, attempts.at(-1)?.failedMs ?? 0);
    if (!isDue(state, new Date(begunMs))) continue;
    const index = attempts.length;
    const failedMs = begunMs + (durationsMs[index % durationsMs.length] ?? 0);
    attempts.push({ dueMs: Date.parse(state.nextAttemptAt ?? ''), begunMs, failedMs });
    state = afterFailure(state, failures[index % failures.length] ?? failure, new Date(failedMs));
  }
  return { attempts, state };
}

/** Ticks every `periodMs`, each late by a jitter. */
const ticksOf = (count: number, periodMs: number, jitters: readonly number[]): number[] =>
  Array.from(
    { length: count },
    (_unused, at) => start + at * periodMs + (jitters[at % jitters.length] ?? 0),
  ).sort((a, b) => a - b);

describe('the ladder', () => {
  it('makes its attempts at exactly those minutes, whatever the jitter of the tick', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: 30_000 }),
        fc.array(fc.nat(20_000), { minLength: 1, maxLength: 20 }),
        fc.array(fc.nat(9_000), { minLength: 1, maxLength: 9 }),
        fc.array(transient, { minLength: 1, maxLength: 9 }),
        (periodMs, jitters, durations, failures) => {
          const ticks = ticksOf(Math.ceil((181 * minuteMs) / periodMs), periodMs, jitters);
          const { attempts } = outage(ticks, durations, failures);
          const due = attempts.map(({ dueMs }) => (dueMs - start) / minuteMs);
          expect(due).toEqual(ladderMinutes.slice(0, due.length));
          expect(due.length).toBeGreaterThanOrEqual(10);
          // Never early, and late only by the tick: the minute in which an attempt begins is its rung's.
          expect(attempts.map(({ begunMs }) => Math.floor((begunMs - start) / minuteMs))).toEqual(due);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('makes at most one attempt for a rung, however rarely and late it is asked', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(100 * minuteMs), { minLength: 1, maxLength: 60 }),
        fc.array(fc.nat(50 * minuteMs), { minLength: 1, maxLength: 9 }),
        fc.array(transient, { minLength: 1, maxLength: 9 }),
        (pauses, durations, failures) => {
          let now = start;
          const ticks = pauses.map((pause) => (now += pause));
          const { attempts, state } = outage(ticks, durations, failures);
          const rungs = attempts.map(({ dueMs }) => (dueMs - start) / minuteMs);
          expect(rungs.every((rung) => ladderMinutes.includes(rung))).toBe(true);
          expect(new Set(rungs).size).toBe(rungs.length);
          attempts.forEach(({ dueMs, begunMs }, index) => {
            expect(begunMs).toBeGreaterThanOrEqual(dueMs);
            // The rung is the next one after the failure before it: none is skipped that was still to come.
            const failedBefore = ((attempts[index - 1]?.failedMs ?? start) - start) / minuteMs;
            expect((dueMs - start) / minuteMs).toBe(ladderMinutes.find((rung) => rung > failedBefore));
          });
          expect(state.attempt).toBe(attempts.length + 1);
          expect(state.firstFailedAt).toBe(new Date(start).toISOString());
        },
      ),
      { numRuns: 500 },
    );
  });
});
