// What can be done with a recovery plan: for each verb the job of the plan, the job of its members, and Site Recovery's words.
import type { JobKindName } from '../jobs/job.ts';
import type { PlanPhase, PlanVerb } from '../jobs/planRun.ts';
import type { OrchestratedKind } from '../protection/orchestrations.ts';
import type { Operation, ProtectionState } from '../protection/states.ts';

export interface VerbRow {
  job: JobKindName;
  memberJob: OrchestratedKind;
  /** What every member must allow. */
  operation: Operation;
  /** Words of `failoverTypes`: an action with one of them runs. */
  failoverTypes: readonly string[];
  direction: 'PrimaryToRecovery' | 'RecoveryToPrimary';
  /** The members go through these, all of them through each before any enters the next. */
  phases: readonly PlanPhase[];
  /** A member that is in one of them has been through it already. */
  doneStates: readonly ProtectionState[];
  /** A member that does not allow the operation is left out instead of being a problem: there is nothing to do for it. */
  skipsOthers: boolean;
  /** Kinds of member job that a failed plan may have left waiting, and that this verb undoes. */
  undoes: readonly OrchestratedKind[];
}

const failedOver = [
  'PlannedFailoverCompleted',
  'UnplannedFailoverCompleted',
  'CommitFailoverCompleted',
] as const;
const toRecovery = 'PrimaryToRecovery' as const;
const toPrimary = 'RecoveryToPrimary' as const;
const failover = { direction: toRecovery, doneStates: failedOver, skipsOthers: false, undoes: [] } as const;
const followUp = { phases: ['whole'], doneStates: [], skipsOthers: true, undoes: [] } as const;

export const verbTable: Readonly<Record<PlanVerb, VerbRow>> = {
  testFailover: {
    ...{ job: 'planTestFailover', memberJob: 'testFailover', operation: 'TestFailover' },
    ...{ failoverTypes: ['TestFailover'], ...failover, doneStates: [] },
    phases: ['failover', 'boot'],
  },
  plannedFailover: {
    ...{ job: 'planPlannedFailover', memberJob: 'plannedFailover', operation: 'PlannedFailover' },
    ...{ failoverTypes: ['PlannedFailover'], ...failover },
    phases: ['shutdown', 'failover', 'boot'],
  },
  unplannedFailover: {
    ...{ job: 'planUnplannedFailover', memberJob: 'unplannedFailover', operation: 'UnplannedFailover' },
    ...{ failoverTypes: ['UnplannedFailover'], ...failover },
    phases: ['shutdown', 'failover', 'boot'],
  },
  testFailoverCleanup: {
    ...{ job: 'planTestFailoverCleanup', memberJob: 'testFailoverCleanup', operation: 'TestFailoverCleanup' },
    ...{ failoverTypes: ['TestFailoverCleanup'], direction: toRecovery, ...followUp },
    undoes: ['testFailover'],
  },
  failoverCommit: {
    ...{ job: 'planCommit', memberJob: 'commitFailover', operation: 'Commit' },
    ...{ failoverTypes: ['Commit'], direction: toRecovery, ...followUp },
  },
  failoverCancel: {
    ...{ job: 'planCancel', memberJob: 'cancelFailover', operation: 'CancelFailover' },
    ...{ failoverTypes: ['CancelFailover'], direction: toRecovery, ...followUp },
    undoes: ['plannedFailover', 'unplannedFailover'],
  },
  failback: {
    ...{ job: 'planFailback', memberJob: 'failback', operation: 'Failback' },
    ...{ failoverTypes: ['Failback', 'PlannedFailover'], direction: toPrimary, ...followUp },
    ...{ doneStates: ['FailbackCompleted'], skipsOthers: false },
  },
  reProtect: {
    ...{ job: 'planReprotect', memberJob: 'reverseReplication', operation: 'ReverseReplicate' },
    ...{ failoverTypes: ['ReverseReplicate'], direction: toPrimary, ...followUp },
  },
};
