// The trace of a cycle (W3C Trace Context): begun where the source is frozen, carried by every log of the cycle, and gone on with
// by the service until the recovery point.
import { randomBytes } from 'node:crypto';
import { formatTraceparent } from '../../lib/telemetry/traceparent.ts';

/** A `traceparent` of a new trace. One a cycle, stored with it: what is sent again is of the same trace. */
export function newCycleTrace(): string {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return formatTraceparent({ traceId, spanId, isSampled: true });
}
