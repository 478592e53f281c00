// Whether the agent and the service speak of the same past.
import { LifeboatError } from '../../lib/errors.ts';
import type { Assignment } from '../serviceClient.ts';
import type { ItemContext } from './itemContext.ts';

/**
 * Throws `TrackingLost` when the service has applied other cycles than the agent remembers: its reference would be of another
 * state than the replica.
 */
export function requireSameHistory(
  { state }: ItemContext,
  { appliedCycle, disks, resync }: Assignment,
): void {
  const { reference, pending, appliedCycle: known } = state.current;
  if (resync || pending !== null) return;
  if (reference !== null && appliedCycle === known) return;
  const why =
    reference === null
      ? 'This agent has no record of the state that the replica shows'
      : `The service has applied cycle ${appliedCycle}, and this agent knows of cycle ${known}`;
  throw new LifeboatError('TrackingLost', `${why} (${disks.length} disks).`);
}
