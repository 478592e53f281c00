// The kinds of job: names as Site Recovery's clients know them, steps as people read them, and what may be done with one.
import { configurationKinds } from './configurationKinds.ts';
import { planKinds } from './planKinds.ts';
import type { JobKindName } from './job.ts';

export interface JobKind {
  scenario: string;
  friendlyName: string;
  targetType: string;
  steps: readonly { taskId: string; name: string; friendlyName: string }[];
  /** It can be stopped at a safe point. */
  isCancellable: boolean;
  /** A failed or cancelled one can be started again with the same input. */
  isRestartable: boolean;
}

const step = (taskId: string, name: string, friendlyName: string) => ({ taskId, name, friendlyName });

/** A change of configuration, done when it is answered. */
const immediate = (
  scenario: string,
  friendlyName: string,
  targetType: string,
  taskId: string,
  taskName: string,
): JobKind => ({
  ...{ scenario, friendlyName, targetType, isCancellable: false, isRestartable: false },
  steps: [step(taskId, scenario, taskName)],
});

/** Of both failovers, after their checks. */
const failoverSteps = [
  step('ShutdownVmOnPrimary', 'VmShutdownVmOnPrimary', 'Shutting down the virtual machine'),
  step('PrepareForFailoverTask', 'VmPrepareForFailover', 'Preparing for failover'),
  step('FailoverTask', 'VmFailover', 'Creating the disks'),
  step('StartVmOnSecondary', 'VmFoStartVmOnSecondary', 'Starting the virtual machine'),
];

const protectionEntity = { targetType: 'ProtectionEntity', isCancellable: true, isRestartable: true };

export const jobKinds = {
  enableProtection: {
    ...protectionEntity,
    scenario: 'EnableDr',
    friendlyName: 'Enable replication',
    steps: [
      step(
        'EnableProtectionPreflightChecksTask',
        'EnableProtectionPrerequisitesCheck',
        'Prerequisites check for enabling protection',
      ),
      step('CreateProtectionTargetTask', 'CreateProtectionTarget', 'Identifying the replication target'),
      step('EnableProtectionTask', 'EnableProtection', 'Enabling protection'),
      step('StartInitialReplicationTask', 'VmStartInitialReplication', 'Initial replication'),
      step('MergeQueuedLogsTask', 'MergeQueuedLogs', 'Merging the changes logged meanwhile'),
      step('FinalizeProtectionTask', 'FinalizeProtection', 'Finalizing protection'),
    ],
  },
  disableProtection: {
    ...protectionEntity,
    isCancellable: false,
    scenario: 'DisableDr',
    friendlyName: 'Disable replication',
    steps: [
      step(
        'DisableProtectionPreflightChecksTask',
        'DisableProtectionPrerequisitesCheck',
        'Prerequisites check',
      ),
      step('ReleaseSourceTask', 'ReleaseSource', 'Releasing the source machine'),
      step('DrainLogsTask', 'DrainLogs', 'Merging what has arrived'),
      step('DeleteReplicaTask', 'DeleteReplica', 'Deleting replica data'),
      step('UpdateDraStateTask', 'UpdateDraState', 'Forgetting the protected item'),
    ],
  },
  updateProtection: {
    ...protectionEntity,
    isCancellable: false,
    scenario: 'UpdateVmProperties',
    friendlyName: 'Update the virtual machine properties',
    steps: [step('UpdateVmPropertiesTask', 'UpdateVmProperties', 'Updating the properties')],
  },
  addDisk: {
    ...protectionEntity,
    scenario: 'AddDisks',
    friendlyName: 'Add a disk to replication',
    steps: [
      step('AddDisksPreflightChecksTask', 'AddDisksPrerequisitesCheck', 'Prerequisites check'),
      step('CreateProtectionTargetTask', 'CreateProtectionTarget', 'Creating the replica of the disk'),
      step('StartInitialReplicationTask', 'VmStartInitialReplication', 'Opening the replica for the source'),
    ],
  },
  growDisk: {
    ...protectionEntity,
    isCancellable: false,
    scenario: 'ResizeDisks',
    friendlyName: 'Grow a replicated disk',
    steps: [step('ResizeDisksTask', 'ResizeDisks', 'Growing the replica')],
  },
  removeDisk: {
    ...protectionEntity,
    isCancellable: false,
    scenario: 'RemoveDisks',
    friendlyName: 'Remove a disk from replication',
    steps: [step('RemoveDisksTask', 'RemoveDisks', 'Removing the disk')],
  },
  resynchronize: {
    ...protectionEntity,
    scenario: 'RepairReplication',
    friendlyName: 'Resynchronize',
    steps: [
      step('BeginResyncTask', 'BeginResync', 'Setting the replica apart'),
      step('ComputeDigestsTask', 'ComputeDigests', 'Computing digests of the replica'),
      step('CompareTask', 'Compare', 'The source compares and sends the difference'),
      step('CompleteResyncTask', 'CompleteResync', 'Resuming replication'),
    ],
  },
  scrub: {
    ...protectionEntity,
    scenario: 'VerifyReplica',
    friendlyName: 'Compare the replica with the source',
    steps: [
      step('RequestDigestsTask', 'RequestDigests', 'Waiting for digests of the source'),
      step('ComputeDigestsTask', 'ComputeDigests', 'Computing digests of the recovery point'),
      step('CompareTask', 'Compare', 'Comparing'),
    ],
  },
  testFailover: {
    ...protectionEntity,
    scenario: 'TestFailover',
    friendlyName: 'Test failover',
    steps: [
      step(
        'TestFailoverPreflightChecksTask',
        'VmTfoPrerequisitesCheck',
        'Prerequisites check for test failover',
      ),
      step('BeginTestFailoverTask', 'VmTfoInitiateFailover', 'Creating test disks'),
      step('PrepareTestProtectedEntitiesTask', 'VmTfoPrepareTestVm', 'Creating test virtual machine'),
      step('BootTestProtectedEntitiesTask', 'VmTfoBootTestVm', 'Starting the virtual machine'),
    ],
  },
  testFailoverCleanup: {
    ...protectionEntity,
    isCancellable: false,
    scenario: 'TestFailoverCleanup',
    friendlyName: 'Test failover cleanup',
    steps: [
      step('TestFailoverCleanupPreflightChecksTask', 'VmTfoCleanupPreflightsCheck', 'Prerequisites check'),
      step('EndTestFailoverTask', 'VmTfoEndFailover', 'Deleting the test virtual machine'),
      step('CleanupTestProtectedEntitiesTask', 'VmTfoDeleteTestVm', 'Deleting the test disks'),
    ],
  },
  plannedFailover: {
    ...protectionEntity,
    scenario: 'PlannedFailover',
    friendlyName: 'Planned failover',
    steps: [
      step(
        'PlannedFailoverPreflightChecksTask',
        'VmPfoPrerequisitesCheck',
        'Prerequisites check for failover',
      ),
      ...failoverSteps,
    ],
  },
  unplannedFailover: {
    ...protectionEntity,
    scenario: 'UnplannedFailover',
    friendlyName: 'Failover',
    steps: [
      step(
        'UnplannedFailoverPreflightChecksTask',
        'VmUfoPrerequisitesCheck',
        'Prerequisites check for failover',
      ),
      ...failoverSteps,
    ],
  },
  changeRecoveryPoint: {
    ...protectionEntity,
    isCancellable: false,
    scenario: 'ChangePit',
    friendlyName: 'Change recovery point',
    steps: [
      step('PrepareForFailoverTask', 'VmPrepareForFailover', 'Choosing the recovery point'),
      step('FailoverTask', 'VmFailover', 'Creating the disks'),
      step('DeletePreviousVmTask', 'VmDeletePrevious', 'Deleting the virtual machine of the earlier choice'),
      step('StartVmOnSecondary', 'VmFoStartVmOnSecondary', 'Starting the virtual machine'),
    ],
  },
  commitFailover: {
    ...protectionEntity,
    isCancellable: false,
    scenario: 'CommitFailover',
    friendlyName: 'Commit',
    steps: [step('CommitFailoverTask', 'VmCommitFailover', 'Committing the failover')],
  },
  cancelFailover: {
    ...protectionEntity,
    isCancellable: false,
    scenario: 'CancelFailover',
    friendlyName: 'Cancel failover',
    steps: [
      step('DeleteVmTask', 'VmDeleteFailedOverVm', 'Deleting the virtual machine'),
      step('DeleteDisksTask', 'VmDeleteDisks', 'Deleting the disks'),
    ],
  },
  failback: {
    ...protectionEntity,
    scenario: 'Failback',
    friendlyName: 'Failback',
    steps: [
      step('FailbackPreflightChecksTask', 'VmFailbackPrerequisitesCheck', 'Prerequisites check for failback'),
      step('SynchronizeTask', 'VmSynchronize', 'Copying changes while the virtual machine runs'),
      step('AwaitCompletionTask', 'VmAwaitCompletion', 'Waiting to be let go on (resume the job)'),
      step('ShutdownVmOnSecondary', 'VmShutdownVmOnSecondary', 'Shutting down the virtual machine'),
      step('CaptureChangesTask', 'VmCaptureChanges', 'Collecting the changes'),
      step('ApplyOnPrimaryTask', 'VmApplyOnPrimary', 'The source writes the changes'),
    ],
  },
  reverseReplication: {
    ...protectionEntity,
    isCancellable: false,
    scenario: 'ReverseReplicate',
    friendlyName: 'Reverse replicate',
    steps: [
      step('DeleteVmTask', 'VmDeleteFailedOverVm', 'Deleting the virtual machine'),
      step('DeleteDisksTask', 'VmDeleteDisks', 'Deleting the disks'),
      step('ReverseReplicationTask', 'VmReverseReplication', 'Resuming replication'),
    ],
  },
  createSite: immediate('CreateSite', 'Create a site', 'Server', 'CreateSiteTask', 'Creating the site'),
  createPolicy: immediate(
    ...(['AddProtectionProfile', 'Create replication policy', 'ProtectionProfile'] as const),
    ...(['AddProtectionProfileTask', 'Creating the replication policy'] as const),
  ),
  associatePolicy: immediate(
    ...(['AssociateProtectionProfile', 'Associate replication policy', 'ProtectionProfile'] as const),
    ...(['PairCloudTask', 'Associating the replication policy'] as const),
  ),
  ...planKinds,
  ...configurationKinds,
} satisfies Record<string, JobKind>;

export const kindOf = (name: JobKindName): JobKind => jobKinds[name];
