// How an activity meets its orchestrator: errors that retrying cannot mend come back as data, transient ones are thrown so
// that the retry policy runs the activity again, and a job that must stop is told so.
import { LifeboatError, toErrorRecord } from '../../lib/errors.ts';
import type { ErrorRecord } from '../../lib/errors.ts';
import { findJob } from '../../lib/jobs/jobStore.ts';
import { jobGate } from '../../lib/protection/itemJobs.ts';
import type { ItemJob, PlanJob } from '../../lib/protection/orchestrations.ts';
import { planGate } from '../../lib/plans/planSteps.ts';
import { telemetryOf } from '../../lib/replication/context.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import type { ActivityName, ActivityResult } from '../../orchestrators/activities.ts';
import { FailedChecks } from './outcome.ts';
import type { ActivityLimits } from './outcome.ts';
import { activityTable, endsPhase, isGated } from './table.ts';
import { wakePlan } from '../../lib/plans/wake.ts';

type ActivityInput = (ItemJob & { plan?: unknown }) | PlanJob;

interface Ran {
  name: ActivityName;
  input: ActivityInput;
  value: object | null;
}

/** A machine of a recovery plan has got through a phase: the plan may go on. */
async function wakeParent(
  context: ReplicationContext,
  { orchestrations }: ActivityLimits,
  { name, input, value }: Ran,
): Promise<void> {
  if (!('item' in input) || typeof input.plan !== 'string' || !endsPhase(name)) return;
  const isUnfinished = value !== null && 'isDone' in value && value.isDone === false;
  if (!isUnfinished) await wakePlan(context, orchestrations, input.plan);
}

/** Runs one activity, in the trace of what began its job. Throws transient errors only. */
export async function runActivity(
  context: ReplicationContext,
  name: ActivityName,
  input: ActivityInput,
  limits: ActivityLimits,
): Promise<ActivityResult<object | null>> {
  const job = input.jobId;
  const options = {
    ids: idsOf(input),
    attributes: { activity: name },
    causes: await causesOf(context, job),
  };
  return telemetryOf(context).span('lifeboat.activity', options, () => run(context, name, input, limits));
}

const idsOf = (input: ActivityInput) => ({
  ...('item' in input ? { item: input.item } : {}),
  job: input.jobId,
});

/** A job that cannot be read now is the work's trouble, not that of its telemetry. */
async function causesOf({ storage }: ReplicationContext, jobId: string): Promise<string[]> {
  const job = await findJob(storage.jobs, jobId).catch(() => undefined);
  return typeof job?.traceparent === 'string' ? [job.traceparent] : [];
}

async function run(
  context: ReplicationContext,
  name: ActivityName,
  input: ActivityInput,
  limits: ActivityLimits,
): Promise<ActivityResult<object | null>> {
  try {
    if (isGated(name)) {
      const gate = await ('item' in input ? jobGate(context, input) : planGate(context, input));
      if (gate !== 'go') return { ok: false, stop: gate };
    }
    const value = (await activityTable[name](context, input as never, limits)) ?? null;
    await wakeParent(context, limits, { name, input, value });
    return { ok: true, value };
  } catch (error) {
    return { ok: false, errors: errorsOf(context, name, input, error) };
  }
}

/** What the orchestrator is told. Throws transient errors: the activity runs again. */
function errorsOf(
  context: ReplicationContext,
  name: ActivityName,
  input: ActivityInput,
  error: unknown,
): readonly ErrorRecord[] {
  if (error instanceof LifeboatError && error.kind === 'transient') {
    const { code } = error;
    telemetryOf(context).record('lifeboat.retry', 1, { code });
    telemetryOf(context).event('work.retried', `${name} will be tried again`, { ...idsOf(input), code });
    throw error;
  }
  context.log(`${name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return error instanceof FailedChecks ? error.errors : [toErrorRecord(error)];
}
