// A failure that goes on, as it is stored with the item: what failed, since when, and when it is tried again.
import * as z from 'zod';
import { errorCatalogue, type ErrorCode, type ErrorRecord } from '../errors.ts';
import { nextRungMs } from './ladder.ts';

/** Who failed: the source to produce or send, or the service to merge. */
export const retrySide = z.enum(['source', 'service']);
export type RetrySide = z.infer<typeof retrySide>;

export const retryState = z.object({
  side: retrySide,
  code: z.custom<ErrorCode>((code) => typeof code === 'string' && Object.hasOwn(errorCatalogue, code), {
    error: ({ input }) => `${JSON.stringify(input)} is not an error code`,
  }),
  message: z.string(),
  /** Where the ladder hangs. */
  firstFailedAt: z.iso.datetime(),
  /** Attempts that failed, the first one included. */
  attempt: z.int().min(1),
  lastFailedAt: z.iso.datetime(),
  /** Null: never by itself, an administrator (or a resynchronization) must act. */
  nextAttemptAt: z.iso.datetime().nullable(),
});
export type RetryState = z.infer<typeof retryState>;

export interface Failure extends ErrorRecord {
  side: RetrySide;
}

const isRetried = (code: ErrorCode): boolean => errorCatalogue[code].kind === 'transient';

/** What `failure` says, hung on the ladder of `since`. */
function failedAt(failure: Failure, since: string, attempt: number, at: Date): RetryState {
  const nextAttempt = isRetried(failure.code) ? nextRungMs(Date.parse(since), at.getTime()) : null;
  return {
    side: failure.side,
    code: failure.code,
    message: failure.message,
    firstFailedAt: since,
    attempt,
    lastFailedAt: at.toISOString(),
    nextAttemptAt: nextAttempt === null ? null : new Date(nextAttempt).toISOString(),
  };
}

/**
 * The state after an attempt that failed at `at`; `state` is null when the attempt before had succeeded.
 *
 * - Another transient code, or the other side, keeps the ladder: it is the same time without replication.
 * - A failure that is not transient ends the attempts, and stays: a transient one after it counts but hides nothing.
 * - A report that comes late or twice (`at` not after the last failure) changes nothing, unless it ends the attempts.
 */
export function afterFailure(state: RetryState | null, failure: Failure, at: Date): RetryState {
  if (state === null) return failedAt(failure, at.toISOString(), 1, at);
  const last = new Date(Math.max(at.getTime(), Date.parse(state.lastFailedAt)));
  const isNews = at.getTime() > Date.parse(state.lastFailedAt);
  const attempt = isNews ? state.attempt + 1 : state.attempt;
  if (!isRetried(failure.code))
    return isNews || state.nextAttemptAt !== null
      ? failedAt(failure, state.firstFailedAt, attempt, last)
      : state;
  if (!isNews) return state;
  if (state.nextAttemptAt === null) return { ...state, attempt, lastFailedAt: last.toISOString() };
  return failedAt(failure, state.firstFailedAt, attempt, last);
}

/** The state after `side` succeeded: null, unless it is the other side that fails. May be called again. */
export function afterSuccess(state: RetryState | null, side: RetrySide): RetryState | null {
  return state?.side === side ? null : state;
}

/** Whether an attempt is to be made at `at`. Without a failure, or after one that is not retried, never. */
export function isDue(state: RetryState | null, at: Date): boolean {
  const next = state?.nextAttemptAt;
  return next !== null && next !== undefined && Date.parse(next) <= at.getTime();
}
