// Changing what is known of a protected item while it replicates: its policy, and the machine that a failover will make.
import { LifeboatError } from '../errors.ts';
import { completedJob, newJob } from '../jobs/job.ts';
import type { JobRecord } from '../jobs/job.ts';
import { insertJob } from '../jobs/jobStore.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { isPolicyMapped } from '../vault/mappings.ts';
import { findPolicy } from '../vault/policies.ts';
import { plan } from '../agenda/agenda.ts';
import { requireOperation } from './allowed.ts';
import { getItem, updateItem } from './itemStore.ts';
import { isoNow, newJobId } from './itemJobs.ts';
import { planResync } from './resyncMarks.ts';
import { checkTarget, releaseTargetName, reserveTargetName, targetNameOf } from './target.ts';

export interface ItemUpdate {
  /** Name of another policy that is mapped to the item's container. */
  policy?: string;
  /** Fields of `providerSpecificDetails` that replace the ones of the same name; null removes one. */
  providerInput?: Record<string, unknown>;
}

function merged(before: Record<string, unknown>, changes: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries({ ...before, ...changes }).filter(([, value]) => value !== null);
  return Object.fromEntries(entries);
}

/**
 * Applies the update or refuses it whole. May be repeated. Throws `TargetInvalid`, `InvalidRequest`,
 * `OperationNotSupportedInState`. Returns its job, which is over.
 */
export async function updateProtection(
  context: ReplicationContext,
  item: string,
  { policy, providerInput = {} }: ItemUpdate,
): Promise<JobRecord> {
  const { storage } = context;
  const before = await getItem(storage.items, item);
  requireOperation(before, 'UpdateProtection');
  const found = policy === undefined ? undefined : await findPolicy(storage.vault, policy);
  if (
    policy !== undefined &&
    (!found || !(await isPolicyMapped(storage.vault, before.container, found.name)))
  ) {
    const message = `Policy "${policy}" does not exist or is not mapped to container "${before.container}".`;
    throw new LifeboatError('InvalidRequest', message, { target: 'policy' });
  }
  const changed = { ...before, providerInput: merged(before.providerInput, providerInput) };
  const problems = await checkTarget(storage.vault, changed);
  if (problems.length > 0) {
    const message = problems.map((problem) => problem.message).join(' ');
    throw new LifeboatError('TargetInvalid', message, { target: 'properties' });
  }
  await reserveTargetName(storage.vault, changed);
  const after = await updateItem(storage.items, item, (record) => {
    requireOperation(record, 'UpdateProtection');
    return {
      ...record,
      policy: found?.name ?? record.policy,
      providerInput: merged(record.providerInput, providerInput),
    };
  });
  if (targetNameOf(before) !== targetNameOf(after)) await releaseTargetName(storage.vault, before);
  // What a policy decides is looked at anew.
  if (found && found.name !== before.policy) {
    const now = isoNow(context);
    for (const kind of ['health', 'retention', 'scrub'] as const) await plan(context, kind, item, now);
    await planResync(context, after);
  }
  // Settings of the target may have been what a failover would have failed for.
  await plan(context, 'readiness', item, isoNow(context));
  const at = isoNow(context);
  const about = {
    kind: 'updateProtection',
    targetId: after.armId,
    targetName: after.machineName,
    item,
  } as const;
  const job = completedJob(newJob({ id: newJobId(context), ...about, createdAt: at }), at);
  await insertJob(storage.jobs, job);
  return job;
}
