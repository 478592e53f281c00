// Recovery disks, failovers and the machines that they make.
import { entry } from './entry.ts';

export const recoveryErrors = {
  RecoveryPointMissing: entry(
    'invalid',
    409,
    'The recovery point was pruned, or its snapshot was deleted from the container "replicas".',
    'Choose another recovery point of the item; GET …/recoveryPoints lists them.',
  ),
  RecoveryDiskMismatch: entry(
    'transient',
    500,
    'The disk that was made from a recovery point did not hold the bytes of the snapshot when both were compared.',
    'Nothing to do: it is made again. If it stays, the storage account returns wrong bytes, or somebody writes to the container "recovered".',
  ),
  FailoverNotReady: entry(
    'invalid',
    409,
    'The settings of the protected item would make the failover fail.',
    'Correct what the message names (compute and network settings of the item), and run it again.',
  ),
  TestFailoverDue: entry(
    'invalid',
    409,
    'Nobody has tried for half a year whether the machine would come up.',
    'Run a test failover, or schedule drills for the item.',
  ),
  FinalCycleMissing: entry(
    'invalid',
    409,
    'The source shut down, but the recovery point of its last cycle could not be recorded.',
    'Look at the health of the item; run the planned failover again, or an unplanned one to the newest recovery point.',
  ),
  DrillFailed: entry(
    'invalid',
    409,
    'The machine of the drill did not show what it had to within the time limit.',
    'Read the report and the console of the job in the container "evidence".',
  ),
  RecoveryDiskMissing: entry(
    'fatal',
    409,
    'A disk that a failover made was deleted from the container "recovered".',
    'Run the failover again; the recovery point still has the bytes.',
  ),
  ComputeUnavailable: entry(
    'transient',
    503,
    'The place where the machine is made did not answer, or refused because of load or a running operation.',
    'Nothing to do: it is tried again. If it stays, check the service health of the target.',
  ),
  ComputeDenied: entry(
    'fatal',
    500,
    'The app may not make machines in the target: its identity lacks a role, or a policy forbids it.',
    'Give the identity of the app the roles of docs/recovery.md on the resource group of the target.',
  ),
  ComputeFailed: entry(
    'invalid',
    409,
    'The target refused what was asked: quota, size, region, or a setting of the protected item.',
    'Read the message of the target, correct the compute and network settings of the item, and run it again.',
  ),
  TargetNameTaken: entry(
    'invalid',
    409,
    'A machine or disk of that name exists at the target and belongs to somebody else.',
    'Delete or rename it, or give the protected item another target name.',
  ),
  PlanNotReady: entry(
    'invalid',
    409,
    'Machines or actions of the recovery plan would make it fail; or nothing runs the plan any more that a machine waits for.',
    'Correct everything that the message names, then start the plan again.',
  ),
  PlanBusy: entry(
    'invalid',
    409,
    'A job runs the recovery plan, or machines wait in it since a job failed.',
    'Wait for the named job or cancel it; after a failure restart it, or cancel the failover of the plan.',
  ),
  PlanMemberFailed: entry(
    'invalid',
    409,
    'The job of a machine of the recovery plan failed or was cancelled, or could not begin.',
    'Mend what the message says, then restart the job of the plan: it goes on at the step that failed.',
  ),
  PlanActionFailed: entry(
    'invalid',
    409,
    'An action of the recovery plan was refused, had no good answer in its time, or calls an address that the service does not call.',
    'Mend what the action calls, then restart the job of the plan: it goes on with that action.',
  ),
  FailbackDiskTooLarge: entry(
    'invalid',
    409,
    'The recovered machine has written behind the end of the disk that it came from: its disk was made larger, and used.',
    'Make the file systems of the recovered machine fit into the size of the source disk and clear what lies behind, or grow the disk of the source and protect it anew.',
  ),
  FailbackMachineStarted: entry(
    'invalid',
    409,
    'Somebody started the recovered machine while a failback was reading its disks.',
    'Let the machine be off until the failback is over, and run the failback again.',
  ),
};
