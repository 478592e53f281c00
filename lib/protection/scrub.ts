// Scrub: the claim of a recovery point, checked. The source publishes digests of the frozen view that it cuts a cycle from; the
// service computes them over that cycle's snapshots; the verdict stays on the recovery point. Nothing is shipped, nothing is
// paused; a difference marks the disk for resynchronization.
import { plan } from '../agenda/agenda.ts';
import { LifeboatError } from '../errors.ts';
import type { JobRecord } from '../jobs/job.ts';
import { findJob } from '../jobs/jobStore.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { advanceDigestChain, isDigested, startDigestChain } from '../resync/digestChain.ts';
import { deleteManifests } from '../resync/manifests.ts';
import { scrubScopes } from '../resync/names.ts';
import { judgeScrub } from '../resync/scrub.ts';
import type { ScrubVerdict } from '../resync/scrub.ts';
import { findPolicy } from '../vault/policies.ts';
import { allows } from './allowed.ts';
import type { ItemRecord, ItemScrub, RecoveryPointRecord } from './item.ts';
import { findPointOfCycle, getItem, updateItem, updatePoint } from './itemStore.ts';
import { abandonJob, beginJob, beginStep, endStep, finishJob, whenAllowed } from './itemJobs.ts';
import type { BadEnd } from './itemJobs.ts';
import type { ItemJob, OrchestrationClient } from './orchestrations.ts';
import { markForResync, needsResync } from './resyncMarks.ts';

/** Compares the next recovery point with the source. Throws `ItemBusy`, `OperationNotSupportedInState`. */
export async function startScrub(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
): Promise<JobRecord> {
  return beginJob(context, orchestrations, { item, kind: 'scrub', change: whenAllowed('Scrub') });
}

const dayMs = 24 * 3_600_000;

/** The timer's look: scrubs an item whose policy wants it every so many days. See lib/agenda. */
export async function lookAtScrub(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  record: ItemRecord,
): Promise<string | null> {
  const policy = await findPolicy(context.storage.vault, record.policy);
  if (!policy || policy.scrubEveryDays === null) return null;
  const now = context.clock.now().getTime();
  if (!allows(record, 'Scrub')) return new Date(now + 3_600_000).toISOString();
  await startScrub(context, orchestrations, record.item);
  return new Date(now + policy.scrubEveryDays * dayMs).toISOString();
}

/** Step 1: the request that the source sees in its assignment. */
export async function requestScrub(context: ReplicationContext, { item, jobId }: ItemJob): Promise<void> {
  await beginStep(context, jobId, 'RequestDigestsTask');
  const requestedAt = context.clock.now().toISOString();
  await updateItem(context.storage.items, item, (record) =>
    record.scrub?.jobId === jobId
      ? record
      : { ...record, scrub: { scrubId: jobId, jobId, requestedAt, cycle: null, digests: {} } },
  );
}

/** The source has published the digests of every disk, of the view that it cut `cycle` from. May be called again. */
export async function acceptSourceDigests(
  context: ReplicationContext,
  item: string,
  scrubId: string,
  cycle: number,
): Promise<ItemRecord> {
  return updateItem(context.storage.items, item, (record) => {
    if (record.scrub?.scrubId !== scrubId) {
      const message = `Item ${item} is not being compared under "${scrubId}" (any more).`;
      throw new LifeboatError('OperationNotSupportedInState', message, { target: scrubId });
    }
    return record.scrub.cycle === null ? { ...record, scrub: { ...record.scrub, cycle } } : record;
  });
}

export interface ScrubOutcome {
  isDone: boolean;
  /** Waits for the source, or for the cycle to be merged: until the event. */
  isWaiting: boolean;
}

/** Step 2 and 3, again and again: digests of the snapshots, then the verdict. */
export async function scrubPoint(
  context: ReplicationContext,
  job: ItemJob,
  { stopAt }: { stopAt: Date },
): Promise<ScrubOutcome> {
  const record = await getItem(context.storage.items, job.item);
  const { scrub } = record;
  if (scrub?.jobId !== job.jobId) return { isDone: true, isWaiting: false };
  if (scrub.cycle === null || record.appliedCycle < scrub.cycle) {
    requireHope(context, record, scrub);
    return { isDone: false, isWaiting: true };
  }
  await endStep(context, job.jobId, 'RequestDigestsTask');
  await beginStep(context, job.jobId, 'ComputeDigestsTask');
  const point = await findPointOfCycle(context.storage.items, job.item, scrub.cycle);
  if (!point) {
    const message = `Cycle ${scrub.cycle} of item ${job.item} has no recovery point (any more), so there is nothing to compare. Start the comparison again.`;
    throw new LifeboatError('ResourceNotFound', message, { target: job.item });
  }
  // Kept until the verdict is in its row.
  await updatePoint(context.storage.items, job.item, point.cycle, (row) => withPin(row, job.jobId));
  if (await digestOne(context, record, scrub, point, stopAt)) return { isDone: false, isWaiting: false };
  await endStep(context, job.jobId, 'ComputeDigestsTask');
  await beginStep(context, job.jobId, 'CompareTask');
  await judge(context, job, record, point);
  return { isDone: true, isWaiting: false };
}

/** How long a source may take to publish its digests, and its cycle to be merged. */
const longestWaitMs = 24 * 3_600_000;

/** True when waiting any longer is in vain: the cycle cannot be merged, or nobody sends it. */
export function isScrubHopeless(now: Date, record: ItemRecord): boolean {
  const { scrub } = record;
  if (!scrub || (scrub.cycle !== null && record.appliedCycle >= scrub.cycle)) return false;
  return needsResync(record) || now.getTime() - Date.parse(scrub.requestedAt) > longestWaitMs;
}

/** Throws when waiting any longer is in vain: the item is then free for what mends it. */
function requireHope({ clock }: ReplicationContext, record: ItemRecord, scrub: ItemScrub): void {
  if (!isScrubHopeless(clock.now(), record)) return;
  const message = needsResync(record)
    ? `Item ${record.item} must be resynchronized before it can be compared.`
    : `The source of item ${record.item} has not sent digests since ${scrub.requestedAt}.`;
  throw new LifeboatError('OperationNotSupportedInState', message, { target: record.item });
}

function withPin(row: RecoveryPointRecord, jobId: string): RecoveryPointRecord {
  return row.pinnedBy.includes(jobId) ? row : { ...row, pinnedBy: [...row.pinnedBy, jobId] };
}

/** Goes on with the digests of one disk; false when all are there. */
async function digestOne(
  context: ReplicationContext,
  record: ItemRecord,
  scrub: ItemScrub,
  point: RecoveryPointRecord,
  stopAt: Date,
): Promise<boolean> {
  const { item } = record;
  const stateOf = ({ disk, snapshotId }: RecoveryPointRecord['disks'][number]) => {
    const sizeBytes = record.disks.find((row) => row.disk === disk)?.sizeBytes ?? 0;
    const { replica } = scrubScopes(item, disk, scrub.scrubId);
    return scrub.digests[disk] ?? startDigestChain(replica, sizeBytes, { snapshotId }, context.clock.now());
  };
  const next = point.disks.map(stateOf).find((state) => state.diskSizeBytes > 0 && !isDigested(state));
  if (!next) return false;
  const after = await advanceDigestChain(context, next, { deadline: stopAt });
  context.fault('scrub.afterDigests');
  await updateItem(context.storage.items, item, (current) =>
    current.scrub?.scrubId === scrub.scrubId
      ? { ...current, scrub: { ...current.scrub, digests: { ...current.scrub.digests, [next.disk]: after } } }
      : current,
  );
  return true;
}

async function judge(
  context: ReplicationContext,
  job: ItemJob,
  record: ItemRecord,
  point: RecoveryPointRecord,
): Promise<void> {
  const { items, resync } = context.storage;
  const verdicts: Record<string, ScrubVerdict> = {};
  for (const { disk } of point.disks) {
    const row = record.disks.find((each) => each.disk === disk);
    if (!row) continue;
    const scopes = scrubScopes(record.item, disk, job.jobId);
    verdicts[disk] = await judgeScrub(resync, scopes, row.sizeBytes, context.clock.now());
  }
  await updatePoint(items, job.item, point.cycle, (row) => ({
    ...row,
    scrub: verdicts,
    pinnedBy: row.pinnedBy.filter((id) => id !== job.jobId),
  }));
  context.fault('scrub.afterVerdict');
  const different = Object.entries(verdicts).filter(([, { verdict }]) => verdict === 'different');
  for (const [disk, { differingBlocks }] of different) {
    const message = `${differingBlocks} blocks of 256 KiB of recovery point ${point.id} differ from the source.`;
    await markForResync(context, job.item, [disk], 'ScrubFailed', message);
  }
  await endStep(context, job.jobId, 'CompareTask');
  await forgetDigests(context, record, job.jobId);
  const verdict = different.length === 0 ? 'equal' : 'different';
  await finishJob(context, job, (current) => ({ ...current, scrub: null }), {
    ...{ verdict, recoveryPointId: point.id, cycle: point.cycle },
    disks: Object.fromEntries(Object.entries(verdicts).map(([disk, { rootDigest }]) => [disk, rootDigest])),
  });
}

async function forgetDigests(
  context: ReplicationContext,
  record: ItemRecord,
  scrubId: string,
): Promise<void> {
  for (const { disk } of record.disks) {
    const { source, replica } = scrubScopes(record.item, disk, scrubId);
    await deleteManifests(context.storage.resync, source);
    await deleteManifests(context.storage.resync, replica);
  }
}

/** The end of a comparison that could not be made. */
export async function abandonScrub(context: ReplicationContext, job: ItemJob, end: BadEnd): Promise<void> {
  const { storage } = context;
  const record = await getItem(storage.items, job.item);
  await forgetDigests(context, record, job.jobId);
  const cycle = record.scrub?.cycle ?? null;
  const point = cycle === null ? undefined : await findPointOfCycle(storage.items, job.item, cycle);
  if (point?.pinnedBy.includes(job.jobId)) {
    await updatePoint(storage.items, job.item, point.cycle, (row) => ({
      ...row,
      pinnedBy: row.pinnedBy.filter((id) => id !== job.jobId),
    }));
  }
  await abandonJob(context, job, end, (current) => ({ ...current, scrub: null }));
  if ((await findJob(storage.jobs, job.jobId))?.state === 'Failed')
    await plan(context, 'scrub', job.item, new Date(context.clock.now().getTime() + dayMs).toISOString());
}
