// Every activity: what it does for which job. The work is in lib; here is only which step a name stands for, and that a step
// first asks whether its job may go on.
import { abandonAddDisk, prepareDisk } from '../../lib/protection/addDiskSteps.ts';
import type { AddDiskJob } from '../../lib/protection/addDiskSteps.ts';
import {
  abandonDisable,
  awaitRelease,
  deleteReplicaData,
  drainBeforeDeletion,
  forgetItem,
} from '../../lib/protection/disable.ts';
import type { DisableJob } from '../../lib/protection/disable.ts';
import {
  abandonEnable,
  awaitInitialReplication,
  checkPrerequisites,
  createTarget,
  finalizeProtection,
  mergeQueuedLogs,
  startInitialReplication,
} from '../../lib/protection/enableSteps.ts';
import type { BadEnd } from '../../lib/protection/itemJobs.ts';
import type { ItemJob, OrchestratedKind } from '../../lib/protection/orchestrations.ts';
import {
  abandonResync,
  awaitResyncLog,
  beginResync,
  completeResync,
  digestReplicas,
} from '../../lib/protection/resyncSteps.ts';
import { abandonScrub, requestScrub, scrubPoint } from '../../lib/protection/scrub.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import type { ActivityName } from '../../orchestrators/activities.ts';
import { isRecoveryKind } from '../../lib/recovery/restart.ts';
import { checked, none } from './outcome.ts';
import type { Activity } from './outcome.ts';
import { planActivities } from './planTable.ts';
import { abandonRecovery, recoveryActivities } from './recoveryTable.ts';

type AbandonInput = ItemJob & { kind: OrchestratedKind; end: BadEnd };

const abandon = async (context: ReplicationContext, input: AbandonInput): Promise<undefined> => {
  const { kind, end } = input;
  if (isRecoveryKind(kind)) return none(abandonRecovery(context, kind, input, end));
  switch (kind) {
    case 'enableProtection':
      return none(abandonEnable(context, input, end));
    case 'disableProtection':
      return none(abandonDisable(context, input, end));
    case 'addDisk':
      return none(abandonAddDisk(context, input as AbandonInput & AddDiskJob, end));
    case 'resynchronize':
      return none(abandonResync(context, input, end));
    case 'scrub':
      return none(abandonScrub(context, input, end));
  }
};

type ResyncJob = ItemJob & { startedBy: 'schedule' | 'user' };

// Each orchestrator gives its activities the input of its own job; the table is where that is known.
export const activityTable: Record<ActivityName, Activity<never>> = {
  checkPrerequisites: (context, job: ItemJob) => checked(checkPrerequisites(context, job)),
  createReplicas: (context, job: ItemJob) => none(createTarget(context, job)),
  startInitialReplication: (context, job: ItemJob) => startInitialReplication(context, job),
  awaitInitialReplication: (context, job: ItemJob) => awaitInitialReplication(context, job),
  mergeQueuedLogs: (context, job: ItemJob, limits) => mergeQueuedLogs(context, job, limits),
  finalizeProtection: (context, job: ItemJob) => checked(finalizeProtection(context, job)),
  awaitRelease: (context, job: DisableJob) => awaitRelease(context, job),
  drainBeforeDeletion: (context, job: DisableJob, limits) => drainBeforeDeletion(context, job, limits),
  deleteReplicaData: (context, job: DisableJob) => deleteReplicaData(context, job),
  forgetItem: (context, job: ItemJob) => none(forgetItem(context, job)),
  prepareDisk: (context, job: AddDiskJob) => checked(prepareDisk(context, job)),
  beginResync: (context, job: ResyncJob) => beginResync(context, job),
  digestReplicas: (context, job: ItemJob, limits) => digestReplicas(context, job, limits),
  awaitResyncLog: (context, job: ItemJob, limits) => awaitResyncLog(context, job, limits),
  completeResync: (context, job: ItemJob) => none(completeResync(context, job)),
  requestScrub: (context, job: ItemJob) => none(requestScrub(context, job)),
  scrubPoint: (context, job: ItemJob, limits) => scrubPoint(context, job, limits),
  ...recoveryActivities,
  ...planActivities,
  abandonJob: (context, input: AbandonInput) => abandon(context, input),
};

/** Steps that run although the job was cancelled or superseded: they put things in order. */
const ungated: ReadonlySet<ActivityName> = new Set([
  'abandonJob',
  'forgetItem',
  'stopPlanMembers',
  'abandonPlan',
]);

/** Steps of a machine's job after which a recovery plan may go on. */
const phaseEnds: ReadonlySet<ActivityName> = new Set([
  ...(['awaitSource', 'makeFailoverDisks', 'finishFailover', 'makeTestDisks', 'reportTest'] as const),
  ...(['finishTestCleanup', 'finishCommit', 'finishCancel', 'awaitApplied', 'finishReverse'] as const),
  'abandonJob',
]);

export const endsPhase = (name: ActivityName): boolean => phaseEnds.has(name);

export const isGated = (name: ActivityName): boolean => !ungated.has(name);
