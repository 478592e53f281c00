// What health says of a protected machine.
import { entry } from './entry.ts';

export const healthErrors = {
  RpoExceeded: entry(
    'transient',
    409,
    'The source sends more slowly than it changes, or does not send; or merging is behind.',
    'Look at pending bytes and at the retry state of the item; check the bandwidth and the source host.',
  ),
  ReplicationStalled: entry(
    'transient',
    409,
    'The source host is off, cannot reach the service, or its agent has stopped.',
    'Check the agent on the source host and its way to the service.',
  ),
  CyclesMissed: entry(
    'transient',
    409,
    'More than 20 % of the cycles that the policy asks for were not completed in the monitoring interval.',
    'Compare the average latency with the replication interval; choose a longer interval or more bandwidth.',
  ),
  ReplicationPaused: entry(
    'transient',
    409,
    'An administrator paused the replication of the item.',
    'Resume replication; the source then sends what changed meanwhile.',
  ),
  ReplicationRetrying: entry(
    'transient',
    409,
    'The last attempt failed for a reason that can pass.',
    'Nothing to do: it is tried again at the time shown. If it stays, mend the cause that the message names.',
  ),
  ReplicationSuspended: entry(
    'fatal',
    409,
    'Replication failed for a reason that does not pass by itself.',
    'Mend the cause that the message names, then resume replication of the item.',
  ),
  ResyncRequired: entry(
    'divergent',
    409,
    'Changes of the disk are missing, or the replica was found to differ.',
    'Nothing to do: it runs in the resync window of the policy. To have it now, repair replication of the item.',
  ),
  InitialReplicationStalled: entry(
    'transient',
    409,
    'The source stopped copying the disk.',
    'Check the agent on the source host; copying goes on where it stopped.',
  ),
  ProtectionFailed: entry(
    'fatal',
    409,
    'A job on the item failed and left it between two states.',
    'Look at the errors of the job, mend the cause, and restart the job, or disable protection.',
  ),
};
