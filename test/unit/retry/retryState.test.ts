import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../../lib/errors.ts';
import {
  afterFailure,
  afterSuccess,
  isDue,
  retryState,
  type Failure,
  type RetryState,
} from '../../../lib/retry/retryState.ts';

const start = Date.parse('2026-11-24T08:00:00.000Z');
const at = (minutes: number): Date => new Date(start + minutes * 60_000);
const failure = (code: ErrorCode, side: Failure['side'] = 'source'): Failure => ({
  side,
  code,
  message: `${code} happened.`,
});
const network = failure('NetworkUnavailable');

/** The state after failures at these minutes. */
const failedAt = (...minutes: number[]): RetryState | null =>
  minutes.reduce<RetryState | null>((state, minute) => afterFailure(state, network, at(minute)), null);

const nextMinute = (state: RetryState | null): number | null =>
  state?.nextAttemptAt ? (Date.parse(state.nextAttemptAt) - start) / 60_000 : null;

describe('a transient failure', () => {
  it('is stored whole', () => {
    const state = failedAt(0);
    expect(state).toEqual({
      side: 'source',
      code: 'NetworkUnavailable',
      message: 'NetworkUnavailable happened.',
      firstFailedAt: '2026-11-24T08:00:00.000Z',
      attempt: 1,
      lastFailedAt: '2026-11-24T08:00:00.000Z',
      nextAttemptAt: '2026-11-24T08:01:00.000Z',
    });
    expect(retryState.parse(state)).toEqual(state);
  });

  it('is tried again after 1, 2, 4, 8 and 10 minutes, then every 30', () => {
    const minutes: number[] = [];
    let state = failedAt(0);
    while (minutes.length < 8) {
      minutes.push(nextMinute(state) ?? NaN);
      state = afterFailure(state, network, at(minutes.at(-1) ?? NaN));
    }
    expect(minutes).toEqual([1, 2, 4, 8, 10, 40, 70, 100]);
    expect(state?.attempt).toBe(9);
  });

  it('keeps its ladder when attempts are late or slow, and makes up for none', () => {
    expect(nextMinute(failedAt(0, 1.9))).toBe(2);
    expect(nextMinute(failedAt(0, 2))).toBe(4);
    expect(nextMinute(failedAt(0, 9))).toBe(10);
    expect(nextMinute(failedAt(0, 185))).toBe(190);
    expect(nextMinute(failedAt(0, 190))).toBe(220);
  });

  it('keeps its ladder when code and side change', () => {
    const state = afterFailure(failedAt(0, 1, 2), failure('StorageUnavailable', 'service'), at(4));
    expect(state).toMatchObject({ side: 'service', code: 'StorageUnavailable', attempt: 4 });
    expect(state.firstFailedAt).toBe(at(0).toISOString());
    expect(nextMinute(state)).toBe(8);
  });

  it('is counted once when it is reported late or twice', () => {
    const state = failedAt(0, 1);
    expect(afterFailure(state, network, at(1))).toEqual(state);
    expect(afterFailure(state, failure('LowMemory'), at(0.5))).toEqual(state);
  });
});

describe('a failure that is not transient', () => {
  it.each<ErrorCode>([
    'BrokenVhdChain',
    'InvalidReplicaState',
    'NetworkAuthenticationFailed',
    'AuthenticationFailed',
    'VmNotFound',
    'TrackingLost',
    'DiskChangedOffline',
    'LogDataCorrupt',
  ])('%s is never tried again', (code) => {
    for (const before of [null, failedAt(0, 1)]) {
      const state = afterFailure(before, failure(code), at(2));
      expect(state).toMatchObject({ code, nextAttemptAt: null });
      expect(isDue(state, at(1_000_000))).toBe(false);
    }
  });

  it('stays when a transient one follows, and gives way to another fatal one', () => {
    const fatal = afterFailure(failedAt(0), failure('VmNotFound'), at(1));
    const after = afterFailure(fatal, network, at(3));
    expect(after).toMatchObject({ code: 'VmNotFound', attempt: 3, nextAttemptAt: null });
    expect(after.lastFailedAt).toBe(at(3).toISOString());
    expect(afterFailure(after, failure('BrokenVhdChain'), at(5))).toMatchObject({ code: 'BrokenVhdChain' });
  });

  it('ends the attempts even when its report comes late', () => {
    const state = afterFailure(failedAt(0, 4), failure('VmNotFound'), at(2));
    expect(state).toMatchObject({ code: 'VmNotFound', attempt: 2, nextAttemptAt: null });
    expect(state.lastFailedAt).toBe(at(4).toISOString());
  });
});

describe('success', () => {
  it('resets the ladder of its side only', () => {
    const state = failedAt(0, 1);
    expect(afterSuccess(state, 'source')).toBeNull();
    expect(afterSuccess(state, 'service')).toEqual(state);
    expect(afterSuccess(null, 'source')).toBeNull();
  });

  it('lets the next failure begin a new ladder', () => {
    const state = afterFailure(afterSuccess(failedAt(0, 1, 2), 'source'), network, at(3));
    expect(state.attempt).toBe(1);
    expect(nextMinute(state)).toBe(4);
  });
});

it('an attempt is due from its minute on', () => {
  const state = failedAt(0);
  expect([at(0.999), at(1), at(60)].map((moment) => isDue(state, moment))).toEqual([false, true, true]);
  expect(isDue(null, at(1))).toBe(false);
});

it('the schema refuses a code that is none', () => {
  expect(retryState.safeParse({ ...failedAt(0), code: 'toString' }).error?.issues[0]?.message).toBe(
    '"toString" is not an error code',
  );
});
