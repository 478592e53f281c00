// Reading a plan with its members, and the plan's row as its jobs change it.
import { findJob } from '../jobs/jobStore.ts';
import { isOver } from '../jobs/job.ts';
import { LifeboatError } from '../errors.ts';
import { forEachBounded } from '../merge/bounded.ts';
import { findItem } from '../protection/itemStore.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { changeStored, findStored, getStored } from '../vault/collection.ts';
import { plans } from '../vault/recoveryPlans.ts';
import type { PlanRecord } from '../vault/recoveryPlans.ts';
import { belongsTo, itemsOf } from './members.ts';
import type { MemberView } from './members.ts';

const readAtOnce = 16;

export async function getPlan({ storage }: ReplicationContext, name: string): Promise<PlanRecord> {
  return (await getStored(storage.vault, plans, name)).record;
}

export async function findPlan(
  { storage }: ReplicationContext,
  name: string,
): Promise<PlanRecord | undefined> {
  return (await findStored(storage.vault, plans, name))?.record;
}

/** One member as it is now. */
export async function readMember({ storage }: ReplicationContext, item: string): Promise<MemberView> {
  const record = await findItem(storage.items, item);
  const job = record?.currentJob ? await findJob(storage.jobs, record.currentJob) : undefined;
  return { item, record, job };
}

/** All members of the plan, in its order. */
export async function readMembers(
  context: ReplicationContext,
  { groups }: Pick<PlanRecord, 'groups'>,
): Promise<MemberView[]> {
  const views: MemberView[] = [];
  const items = itemsOf(groups).flat();
  await forEachBounded(items.entries(), { concurrency: readAtOnce }, async ([index, item]) => {
    views[index] = await readMember(context, item);
  });
  return views;
}

/** Changes the plan's row if it is still there; see `changeStored`. */
export async function updatePlan(
  { storage }: ReplicationContext,
  name: string,
  change: (plan: PlanRecord) => PlanRecord,
): Promise<void> {
  if (!(await findStored(storage.vault, plans, name))) return;
  await changeStored(storage.vault, plans, { key: name }, (plan) => plan && change(plan));
}

export const planBusy = (plan: string, jobId: string): LifeboatError =>
  new LifeboatError(
    'PlanBusy',
    `Job ${jobId} is running recovery plan "${plan}"; wait for its end, or cancel it.`,
    { target: jobId },
  );

/**
 * Throws `PlanBusy` while a job runs the plan, and while machines wait in it for a turn that only a restart can give or a cancel
 * can end: who changed the plan now would leave them there.
 */
export async function requireAtRest(context: ReplicationContext, plan: PlanRecord): Promise<void> {
  if (plan.currentJob !== null) throw planBusy(plan.name, plan.currentJob);
  if (plan.lastJob === null) return;
  for (const { record, job } of await readMembers(context, plan)) {
    if (!belongsTo(job, plan.name) || isOver(job)) continue;
    const message = `Job ${job.id} of "${record?.machineName ?? ''}" waits in recovery plan "${plan.name}"; restart job ${plan.lastJob}, or cancel the failover of the plan.`;
    throw new LifeboatError('PlanBusy', message, { target: job.id });
  }
}
