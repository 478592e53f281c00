// How an activity meets its orchestrator: errors that retrying cannot mend come back as data, transient ones are thrown so
// that the retry policy runs the activity again, and a job that must stop is told so.
import { LifeboatError, toErrorRecord } from '../../lib/errors.ts';
import { jobGate } from '../../lib/protection/itemJobs.ts';
import type { ItemJob, PlanJob } from '../../lib/protection/orchestrations.ts';
import { planGate } from '../../lib/plans/planSteps.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import type { ActivityName, ActivityResult } from '../../orchestrators/activities.ts';
import { FailedChecks } from './outcome.ts';
import type { ActivityLimits } from './outcome.ts';
import { activityTable, isGated } from './table.ts';

/** Runs one activity. Throws transient errors only. */
export async function runActivity(
  context: ReplicationContext,
  name: ActivityName,
  input: ItemJob | PlanJob,
  limits: ActivityLimits,
): Promise<ActivityResult<object | null>> {
  try {
    if (isGated(name)) {
      const gate = await ('item' in input ? jobGate(context, input) : planGate(context, input));
      if (gate !== 'go') return { ok: false, stop: gate };
    }
    return { ok: true, value: (await activityTable[name](context, input as never, limits)) ?? null };
  } catch (error) {
    if (error instanceof LifeboatError && error.kind === 'transient') throw error;
    context.log(`${name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    const errors = error instanceof FailedChecks ? error.errors : [toErrorRecord(error)];
    return { ok: false, errors };
  }
}
