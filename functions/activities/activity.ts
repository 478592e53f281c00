// How an activity meets its orchestrator: errors that retrying cannot mend come back as data, transient ones are thrown so
// that the retry policy runs the activity again.
import type { InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import { LifeboatError, toErrorRecord } from '../../lib/errors.ts';
import type { ErrorRecord } from '../../lib/errors.ts';
import type { ItemJob } from '../../lib/protection/orchestrations.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import type { ActivityName, ActivityResult } from '../../orchestrators/activities.ts';
import { replicationContext } from '../services.ts';

/** Several errors at once, all of them final. */
export class FailedChecks extends Error {
  readonly errors: readonly ErrorRecord[];

  constructor(errors: readonly ErrorRecord[]) {
    super(errors.map(({ message }) => message).join(' '));
    this.name = 'FailedChecks';
    this.errors = errors;
  }
}

/** What orchestrators pass: the job, and for the activity that ends it in failure why it failed. */
export type ActivityInput = ItemJob & { errors?: ErrorRecord[] };

/** Registers an activity. `work` may run more than once for one call. */
export function registerActivity(
  name: ActivityName,
  work: (context: ReplicationContext, input: ActivityInput) => Promise<object | undefined>,
): void {
  df.app.activity(name, {
    handler: async (
      input: ActivityInput,
      invocation: InvocationContext,
    ): Promise<ActivityResult<object | null>> => {
      try {
        return { ok: true, value: (await work(await replicationContext(invocation), input)) ?? null };
      } catch (error) {
        if (error instanceof LifeboatError && error.kind === 'transient') throw error;
        const errors = error instanceof FailedChecks ? error.errors : [toErrorRecord(error)];
        invocation.error(
          `${name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
        return { ok: false, errors };
      }
    },
  });
}
