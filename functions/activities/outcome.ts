// What the tables of activities share: the shape of an activity, and how problems that it returns become its failure.
import type { ErrorRecord } from '../../lib/errors.ts';
import type { ItemJob, OrchestrationClient, PlanJob } from '../../lib/protection/orchestrations.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';

/** Several errors at once, all of them final. */
export class FailedChecks extends Error {
  readonly errors: readonly ErrorRecord[];

  constructor(errors: readonly ErrorRecord[]) {
    super(errors.map(({ message }) => message).join(' '));
    this.name = 'FailedChecks';
    this.errors = errors;
  }
}

/** What an activity is given beside its input. */
export interface ActivityLimits {
  /** When it must have returned, so that it fits into one function invocation. */
  stopAt: Date;
  /** For the jobs of recovery plans, which begin others. */
  orchestrations: OrchestrationClient;
}

/** One step of a job. May run more than once for one call. Returns what its orchestrator reads; undefined = nothing. */
export type Activity<Input extends ItemJob | PlanJob = ItemJob> = (
  context: ReplicationContext,
  input: Input,
  limits: ActivityLimits,
) => Promise<object | undefined>;

export const none = async (work: Promise<void>): Promise<undefined> => {
  await work;
  return undefined;
};

/** Turns returned problems into the failure of the job. */
export async function checked(problems: Promise<readonly ErrorRecord[]>): Promise<undefined> {
  const errors = await problems;
  if (errors.length > 0) throw new FailedChecks(errors);
  return undefined;
}
