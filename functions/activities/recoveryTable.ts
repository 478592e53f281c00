// The activities of failovers and failback. As table.ts: only which step of lib/recovery a name stands for.
import {
  abandonChange,
  abandonFollowUp,
  finishCommit,
  finishCancel,
  finishChange,
  makeChangedDisks,
  prepareChange,
  removeFailedOverMachine,
  replaceMachine,
  switchPoint,
} from '../../lib/recovery/afterFailover.ts';
import type { ChangePointJob } from '../../lib/recovery/afterFailover.ts';
import {
  abandonFailback,
  awaitApplied,
  beginFailback,
  cutChanges,
  finishReverse,
  mergeChanges,
  stopAndCapture,
} from '../../lib/recovery/failback.ts';
import { awaitCompletion, syncChanges } from '../../lib/recovery/failbackSync.ts';
import {
  abandonFailover,
  awaitSource,
  beginFailover,
  finishFailover,
  makeFailoverDisks,
  makeFailoverMachine,
  prepareFailover,
} from '../../lib/recovery/failover.ts';
import type { FailoverJob } from '../../lib/recovery/failover.ts';
import { removeMachine } from '../../lib/recovery/recoverySteps.ts';
import {
  abandonTest,
  finishDrill,
  finishTestCleanup,
  makeTestDisks,
  makeTestMachine,
  observeTest,
  prepareTest,
  removeTestMachine,
  reportTest,
} from '../../lib/recovery/testFailover.ts';
import type { CleanupJob, TestFailoverJob } from '../../lib/recovery/testFailover.ts';
import type { BadEnd } from '../../lib/protection/itemJobs.ts';
import type { ItemJob } from '../../lib/protection/orchestrations.ts';
import type { RecoveryKind } from '../../lib/recovery/restart.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import { FailedChecks, checked, none } from './outcome.ts';
import type { Activity } from './outcome.ts';

const prepareTestActivity: Activity<TestFailoverJob> = async (context, job, limits) => {
  const { isReady, errors } = await prepareTest(context, job, limits);
  if (errors.length > 0) throw new FailedChecks(errors);
  return { isReady };
};

export const recoveryActivities = {
  prepareTest: prepareTestActivity,
  makeTestDisks: (context, job: ItemJob, limits) => makeTestDisks(context, job, limits),
  makeTestMachine: (context, job: ItemJob) => makeTestMachine(context, job),
  observeTest: (context, job: ItemJob) => observeTest(context, job),
  reportTest: (context, job: TestFailoverJob) => reportTest(context, job),
  removeDrillMachine: (context, job: ItemJob) => removeMachine(context, job),
  finishDrill: (context, job: TestFailoverJob) => checked(finishDrill(context, job)),
  removeTestMachine: (context, job: CleanupJob) => removeTestMachine(context, job),
  finishTestCleanup: (context, job: CleanupJob) => none(finishTestCleanup(context, job)),
  beginFailover: (context, job: FailoverJob) => none(beginFailover(context, job)),
  awaitSource: (context, job: FailoverJob, limits) => awaitSource(context, job, limits),
  prepareFailover: (context, job: FailoverJob) => checked(prepareFailover(context, job)),
  makeFailoverDisks: (context, job: ItemJob, limits) => makeFailoverDisks(context, job, limits),
  makeFailoverMachine: (context, job: ItemJob) => makeFailoverMachine(context, job),
  finishFailover: (context, job: FailoverJob) => none(finishFailover(context, job)),
  prepareChange: (context, job: ChangePointJob) => checked(prepareChange(context, job)),
  makeChangedDisks: (context, job: ItemJob, limits) => makeChangedDisks(context, job, limits),
  replaceMachine: (context, job: ItemJob) => replaceMachine(context, job),
  switchPoint: (context, job: ItemJob) => switchPoint(context, job),
  finishChange: (context, job: ItemJob & { oldJobId: string }) => none(finishChange(context, job)),
  finishCommit: (context, job: ItemJob) => none(finishCommit(context, job)),
  removeFailedOverMachine: (context, job: ItemJob) => removeFailedOverMachine(context, job),
  finishCancel: (context, job: ItemJob) => none(finishCancel(context, job)),
  beginFailback: (context, job: ItemJob) => beginFailback(context, job),
  stopAndCapture: (context, job: ItemJob) => stopAndCapture(context, job),
  syncChanges: (context, job: ItemJob, limits) => syncChanges(context, job, limits),
  awaitCompletion: (context, job: ItemJob) => awaitCompletion(context, job),
  cutChanges: (context, job: ItemJob, limits) => cutChanges(context, job, limits),
  mergeChanges: (context, job: ItemJob, limits) => mergeChanges(context, job, limits),
  awaitApplied: (context, job: ItemJob) => awaitApplied(context, job),
  finishReverse: (context, job: ItemJob) => none(finishReverse(context, job)),
} satisfies Record<string, Activity<never>>;

type Abandon = (context: ReplicationContext, job: ItemJob, end: BadEnd) => Promise<void>;

const abandonments: Record<RecoveryKind, Abandon> = {
  testFailover: abandonTest,
  testFailoverCleanup: abandonFollowUp,
  plannedFailover: abandonFailover,
  unplannedFailover: abandonFailover,
  changeRecoveryPoint: abandonChange,
  commitFailover: abandonFollowUp,
  cancelFailover: abandonFollowUp,
  failback: abandonFailback,
  reverseReplication: abandonFollowUp,
};

/** Puts in order what a failed or cancelled job of these kinds left. */
export async function abandonRecovery(
  context: ReplicationContext,
  kind: RecoveryKind,
  job: ItemJob,
  end: BadEnd,
): Promise<void> {
  await abandonments[kind](context, job, end);
}
