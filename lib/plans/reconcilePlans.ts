// Jobs of plans whose start, event or end was lost: as reconcileJobs.ts does for jobs on items.
import type { JobRecord } from '../jobs/job.ts';
import { completeEnd, stopSuperseded } from '../protection/itemJobs.ts';
import { changedEvent } from '../protection/orchestrations.ts';
import type { OrchestrationClient } from '../protection/orchestrations.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { findPlan } from './planStore.ts';
import { isAnswered } from './runState.ts';
import { startPlanJob } from './startPlan.ts';

/** `isOld`: its start, if it was not lost, was long ago. May be called at any time. */
export async function settlePlanJob(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  job: JobRecord,
  isOld: boolean,
): Promise<void> {
  const plan = await findPlan(context, job.run?.plan ?? '');
  if (plan?.currentJob !== job.id) {
    if (job.ending !== null) return completeEnd(context, job.id);
    // Between the job's row and the plan's.
    if (isOld) await stopSuperseded(context, orchestrations, job.id);
    return;
  }
  if (job.state === 'NotStarted' && isOld) {
    context.log(`job ${job.id} of plan ${plan.name} had not started; starting it again`);
    await startPlanJob(orchestrations, job);
  }
  if (job.cancelRequestedAt !== null || isAnswered(job))
    await orchestrations.raiseEvent(job.id, changedEvent);
}
