// Whether the caller may do what the operation does, and how fast.
import { hasRole } from '../auth/caller.ts';
import type { Caller } from '../auth/caller.ts';
import type { Rate } from '../auth/rateLimit.ts';
import { LifeboatError } from '../errors.ts';
import type { ApiContext } from './http.ts';
import type { Operation } from './operation.ts';

/** Refused credentials and calls without any, from one address. */
const strangerRate: Rate = { perSecond: 1, burst: 60 };
const burstFactor = 20;

/** A key for limits and for telling repetitions of one caller from those of another. */
export const callerKey = (caller: Caller): string =>
  caller.kind === 'anonymous' ? 'anonymous' : `${caller.kind}:${caller.id}`;

export class RateExceeded extends LifeboatError {
  readonly waitSeconds: number;

  constructor(waitSeconds: number) {
    super('TooManyRequests', `Too many requests; wait ${waitSeconds} s.`);
    this.waitSeconds = waitSeconds;
  }
}

/** Throws `TooManyRequests` when this address failed to prove itself too often of late. */
export function assertNotLockedOut({ limiter, replication }: ApiContext, address: string): void {
  const wait = limiter.peek(`address:${address}`, strangerRate, replication.clock.now());
  if (wait > 0) throw new RateExceeded(wait);
}

/** Counts a request that proved nothing. */
export function countStranger({ limiter, replication }: ApiContext, address: string): void {
  limiter.take(`address:${address}`, strangerRate, replication.clock.now());
}

/** Throws `TooManyRequests` when the caller used up its share. */
export function takeShare({ limiter, replication, settings }: ApiContext, caller: Caller): void {
  const perSecond = settings.requestsPerSecond;
  const rate = { perSecond, burst: perSecond * burstFactor };
  const wait = limiter.take(callerKey(caller), rate, replication.clock.now());
  if (wait > 0) throw new RateExceeded(wait);
}

/** Throws `Unauthorized` for nobody, `Forbidden` that names the missing role for somebody. */
export function authorize({ access, id }: Pick<Operation, 'access' | 'id'>, caller: Caller): void {
  if (access === 'Anyone') return;
  if (caller.kind === 'anonymous')
    throw new LifeboatError('Unauthorized', 'This request needs a valid key or token.');
  if (access === 'Host' && caller.kind === 'host') return;
  const role = access === 'Host' ? 'Owner' : access;
  if (hasRole(caller, role)) return;
  const has = caller.kind === 'host' ? `is the source host ${caller.name}` : `has the role ${caller.role}`;
  throw new LifeboatError('Forbidden', `${id} needs the role ${role}; the caller ${has}.`, { target: role });
}
