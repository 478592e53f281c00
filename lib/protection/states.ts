// The protection state machine as data: one row a state. An event that a row does not name is refused, so a late or
// doubled event can never move an item backwards; every row but the last has a way out. docs/lifecycle.md shows the
// table as a diagram.
import { LifeboatError } from '../errors.ts';

/** Site Recovery's names. An item that is not protected has no row. */
export const protectionStates = [
  'EnablingProtection',
  'EnablingFailed',
  'InitialReplicationInProgress',
  'InitialReplicationCompletedOnPrimary',
  'InitialReplicationFailed',
  'Protected',
  'PlannedFailoverInitiated',
  'PlannedFailoverCompleted',
  'UnplannedFailoverInitiated',
  'UnplannedFailoverCompleted',
  'CommitFailoverCompleted',
  'FailbackInitiated',
  'FailbackCompleted',
  'DisablingProtection',
  'DisablingFailed',
] as const;
export type ProtectionState = (typeof protectionStates)[number];

/** What happens to an item. */
export const protectionEvents = [
  'enableAgain',
  'enablingFailed',
  'initialReplicationStarted',
  'initialReplicationCompleted',
  'initialReplicationFailed',
  'protectionFinalized',
  'plannedFailoverRequested',
  'unplannedFailoverRequested',
  'failoverCompleted',
  'failoverUndone',
  'failoverCommitted',
  'failbackRequested',
  'failbackCompleted',
  'failbackUndone',
  'replicationReversed',
  'disableRequested',
  'disablingFailed',
] as const;
export type ProtectionEvent = (typeof protectionEvents)[number];

/** What a user may ask for: Site Recovery's words and order, then our own. */
export const operations = [
  'PlannedFailover',
  'UnplannedFailover',
  'DisableProtection',
  'TestFailover',
  'TestFailoverCleanup',
  'Commit',
  'ChangePit',
  'CancelFailover',
  'Failback',
  'ReverseReplicate',
  'RepairReplication',
  'UpdateProtection',
  'ChangeDisks',
  'PauseReplication',
  'Scrub',
] as const;
export type Operation = (typeof operations)[number];

/** What the source host has to do. */
export type SourcePhase =
  | 'enabling'
  | 'failed'
  | 'initialReplication'
  | 'deltas'
  /** Shut the machine down and send what is left. */
  | 'shuttingDown'
  /** The machine runs elsewhere: it must not run here, and nothing is sent. */
  | 'failedOver'
  /** The machine comes back: write the changes to its disks. */
  | 'failback'
  | 'disabling';

interface StateRow {
  /** What people read. */
  description: string;
  on: Partial<Record<ProtectionEvent, ProtectionState>>;
  allows: readonly Operation[];
  /** Logs may be merged into replicas that have arrived. */
  merges: boolean;
  source: SourcePhase;
}

export const stateTable = {
  EnablingProtection: {
    description: 'Enabling protection',
    on: {
      initialReplicationStarted: 'InitialReplicationInProgress',
      enablingFailed: 'EnablingFailed',
      disableRequested: 'DisablingProtection',
    },
    allows: ['DisableProtection'],
    merges: false,
    source: 'enabling',
  },
  EnablingFailed: {
    description: 'Enabling protection failed',
    on: { enableAgain: 'EnablingProtection', disableRequested: 'DisablingProtection' },
    allows: ['DisableProtection'],
    merges: false,
    source: 'failed',
  },
  InitialReplicationInProgress: {
    description: 'Initial replication in progress',
    on: {
      initialReplicationCompleted: 'InitialReplicationCompletedOnPrimary',
      initialReplicationFailed: 'InitialReplicationFailed',
      disableRequested: 'DisablingProtection',
    },
    allows: ['DisableProtection', 'UpdateProtection'],
    merges: false,
    source: 'initialReplication',
  },
  InitialReplicationCompletedOnPrimary: {
    description: 'Waiting for finalize protection',
    on: {
      protectionFinalized: 'Protected',
      initialReplicationFailed: 'InitialReplicationFailed',
      disableRequested: 'DisablingProtection',
    },
    allows: ['DisableProtection', 'UpdateProtection'],
    merges: true,
    source: 'deltas',
  },
  InitialReplicationFailed: {
    description: 'Initial replication failed',
    // What has arrived stays: replication goes on where it stopped.
    on: {
      initialReplicationStarted: 'InitialReplicationInProgress',
      disableRequested: 'DisablingProtection',
    },
    allows: ['DisableProtection'],
    merges: false,
    source: 'failed',
  },
  Protected: {
    description: 'Protected',
    on: {
      plannedFailoverRequested: 'PlannedFailoverInitiated',
      unplannedFailoverRequested: 'UnplannedFailoverInitiated',
      disableRequested: 'DisablingProtection',
    },
    allows: [
      'PlannedFailover',
      'UnplannedFailover',
      'DisableProtection',
      'TestFailover',
      'TestFailoverCleanup',
      'RepairReplication',
      'UpdateProtection',
      'ChangeDisks',
      'PauseReplication',
      'Scrub',
    ],
    merges: true,
    source: 'deltas',
  },
  PlannedFailoverInitiated: {
    description: 'Planned failover in progress',
    on: {
      failoverCompleted: 'PlannedFailoverCompleted',
      failoverUndone: 'Protected',
      disableRequested: 'DisablingProtection',
    },
    allows: ['DisableProtection'],
    // The last changes of the source.
    merges: true,
    source: 'shuttingDown',
  },
  PlannedFailoverCompleted: {
    description: 'Planned failover finished, waiting for commit',
    on: {
      failoverCommitted: 'CommitFailoverCompleted',
      failoverUndone: 'Protected',
      disableRequested: 'DisablingProtection',
    },
    allows: ['DisableProtection', 'Commit', 'ChangePit', 'CancelFailover'],
    merges: false,
    source: 'failedOver',
  },
  UnplannedFailoverInitiated: {
    description: 'Failover in progress',
    on: {
      failoverCompleted: 'UnplannedFailoverCompleted',
      failoverUndone: 'Protected',
      disableRequested: 'DisablingProtection',
    },
    allows: ['DisableProtection'],
    merges: true,
    source: 'shuttingDown',
  },
  UnplannedFailoverCompleted: {
    description: 'Failover finished, waiting for commit',
    on: {
      failoverCommitted: 'CommitFailoverCompleted',
      failoverUndone: 'Protected',
      disableRequested: 'DisablingProtection',
    },
    allows: ['DisableProtection', 'Commit', 'ChangePit', 'CancelFailover'],
    merges: false,
    source: 'failedOver',
  },
  CommitFailoverCompleted: {
    description: 'Failover committed',
    on: { failbackRequested: 'FailbackInitiated', disableRequested: 'DisablingProtection' },
    allows: ['DisableProtection', 'Failback'],
    merges: false,
    source: 'failedOver',
  },
  FailbackInitiated: {
    description: 'Failback in progress',
    on: {
      failbackCompleted: 'FailbackCompleted',
      failbackUndone: 'CommitFailoverCompleted',
      disableRequested: 'DisablingProtection',
    },
    allows: ['DisableProtection'],
    // The changes of the recovered disks become a cycle like any other.
    merges: true,
    source: 'failback',
  },
  FailbackCompleted: {
    description: 'Failed back, waiting for reverse replication',
    on: { replicationReversed: 'Protected', disableRequested: 'DisablingProtection' },
    allows: ['DisableProtection', 'ReverseReplicate'],
    merges: false,
    source: 'failedOver',
  },
  DisablingProtection: {
    description: 'Disabling protection',
    on: { disablingFailed: 'DisablingFailed', disableRequested: 'DisablingProtection' },
    allows: ['DisableProtection'],
    merges: true,
    source: 'disabling',
  },
  DisablingFailed: {
    description: 'Disabling protection failed',
    on: { disableRequested: 'DisablingProtection' },
    allows: ['DisableProtection'],
    merges: false,
    source: 'disabling',
  },
} as const satisfies Record<ProtectionState, StateRow>;

const rowOf = (state: ProtectionState): StateRow => stateTable[state];

/** What people read for the state. */
export const describeState = (state: ProtectionState): string => rowOf(state).description;

/** The state after the event, or undefined when the state does not know it. */
export function findTransition(state: ProtectionState, event: ProtectionEvent): ProtectionState | undefined {
  return rowOf(state).on[event];
}

/** The state after the event. Throws `OperationNotSupportedInState` when the event does not fit. */
export function transition(state: ProtectionState, event: ProtectionEvent): ProtectionState {
  const next = findTransition(state, event);
  if (next !== undefined) return next;
  const fitting = protectionStates.filter((each) => rowOf(each).on[event] !== undefined);
  throw new LifeboatError(
    'OperationNotSupportedInState',
    `${event} needs state ${fitting.join(' or ')}, but the item is ${state}.`,
  );
}

/** True when the state lets logs be merged. */
export const mergesIn = (state: ProtectionState): boolean => rowOf(state).merges;

export const sourcePhaseOf = (state: ProtectionState): SourcePhase => rowOf(state).source;

/** True when the state allows the operation; what else the item is doing is not looked at. */
export const stateAllows = (state: ProtectionState, operation: Operation): boolean =>
  rowOf(state).allows.includes(operation);
