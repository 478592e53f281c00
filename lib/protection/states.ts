// The protection state machine as data. A state changes only through `transition`, which names an event; an event
// that does not fit the state is refused, so a late or doubled event can never move an item backwards.
import { LifeboatError } from '../errors.ts';

/** Site Recovery's names. */
export const protectionStates = [
  'EnablingProtection',
  'EnablingFailed',
  'InitialReplicationInProgress',
  'InitialReplicationCompletedOnPrimary',
  'Protected',
] as const;
export type ProtectionState = (typeof protectionStates)[number];

interface Transition {
  from: readonly ProtectionState[];
  to: ProtectionState;
}

export const transitions = {
  /** PUT again after a failed attempt. */
  enableAgain: { from: ['EnablingFailed'], to: 'EnablingProtection' },
  enablingFailed: { from: ['EnablingProtection'], to: 'EnablingFailed' },
  /** The replicas exist; the source may write them. */
  initialReplicationStarted: { from: ['EnablingProtection'], to: 'InitialReplicationInProgress' },
  /** Every disk arrived and is sealed under our lease; logs may be merged. */
  initialReplicationCompleted: {
    from: ['InitialReplicationInProgress'],
    to: 'InitialReplicationCompletedOnPrimary',
  },
  protectionFinalized: { from: ['InitialReplicationCompletedOnPrimary'], to: 'Protected' },
} as const satisfies Record<string, Transition>;
export type ProtectionEvent = keyof typeof transitions;

/** What people read for each state. */
export const stateDescriptions: Record<ProtectionState, string> = {
  EnablingProtection: 'Enabling protection',
  EnablingFailed: 'Enabling protection failed',
  InitialReplicationInProgress: 'Initial replication in progress',
  InitialReplicationCompletedOnPrimary: 'Waiting for finalize protection',
  Protected: 'Protected',
};

/** The state after the event. Throws `OperationNotSupportedInState` when the event does not fit. */
export function transition(state: ProtectionState, event: ProtectionEvent): ProtectionState {
  const { from, to }: Transition = transitions[event];
  if (!from.includes(state)) {
    throw new LifeboatError(
      'OperationNotSupportedInState',
      `${event} needs state ${from.join(' or ')}, but the item is ${state}.`,
    );
  }
  return to;
}

/** True when logs may be merged: all disks are here and under our lease. */
export function mayMerge(state: ProtectionState): boolean {
  return state === 'InitialReplicationCompletedOnPrimary' || state === 'Protected';
}
