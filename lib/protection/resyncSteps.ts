// The steps of a resynchronization. Its parts in the item's row: the marks on the disks, `resync` (what runs), and the
// generation, which names the digests and the logs that belong to it.
//
// From the first step to the log of the source, the marked replicas are not written: what is compared stays as it is. Logs
// that were cut before the comparison may not be merged any more (they would come from another moment than the log that the
// source will send): they go to `quarantine`, where nothing is lost.
import { LifeboatError } from '../errors.ts';
import type { DrainOptions } from '../replication/drain.ts';
import { drainItem } from '../replication/drain.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { raiseFence } from '../replication/fence.ts';
import { replicaName } from '../replication/names.ts';
import { dropLostPoints } from '../replication/lostPoints.ts';
import { disksWithWaitingLogs, supersedeLogs } from '../replication/supersede.ts';
import { withItemLock } from '../replication/itemLock.ts';
import { advanceDigestChain, isDigested, startDigestChain } from '../resync/digestChain.ts';
import { deleteManifests } from '../resync/manifests.ts';
import { progressOf } from '../resync/progress.ts';
import { isInWindow, nextOpening } from '../schedule/resyncWindow.ts';
import { plan } from '../agenda/agenda.ts';
import { findPolicy } from '../vault/policies.ts';
import { updateJob } from '../jobs/jobStore.ts';
import { suspendStep } from '../jobs/progress.ts';
import type { ItemRecord, ItemResync } from './item.ts';
import { getItem, updateItem } from './itemStore.ts';
import { abandonJob, beginStep, endStep, finishJob, isoNow, reportProgress } from './itemJobs.ts';
import type { BadEnd } from './itemJobs.ts';
import type { ItemJob } from './orchestrations.ts';
import { markForResync, markedDisks, needsResync, planResync } from './resyncMarks.ts';
import { releaseResyncSlot } from './resyncSlots.ts';

const scopeOf = (record: Pick<ItemRecord, 'item'>, disk: string, generation: number) => ({
  item: record.item,
  disk,
  generation: String(generation),
});

/** Step 1, under the item's lock: fences, the generation, and everything that waits set aside. */
export async function beginResync(
  context: ReplicationContext,
  { item, jobId, startedBy }: ItemJob & { startedBy: 'schedule' | 'user' },
): Promise<{ isReady: boolean }> {
  await beginStep(context, jobId, 'BeginResyncTask');
  const done = await withItemLock(context, item, async () => {
    const record = await getItem(context.storage.items, item);
    if (record.resync?.jobId === jobId) return;
    // A disk whose waiting logs are set aside has lost changes, too: it is compared with the others.
    const waiting = await disksWithWaitingLogs(context, record);
    await markForResync(
      context,
      item,
      waiting,
      'LogLost',
      'Its waiting logs are set aside by a resynchronization.',
    );
    const marked = await getItem(context.storage.items, item);
    const started = await setApart(context, marked, { jobId, startedBy });
    context.fault('resync.afterBegin');
    await supersedeLogs(context, started);
  });
  if (!done) return { isReady: false };
  await endStep(context, jobId, 'BeginResyncTask');
  return { isReady: true };
}

async function setApart(
  context: ReplicationContext,
  record: ItemRecord,
  { jobId, startedBy }: Pick<ItemResync, 'jobId' | 'startedBy'>,
): Promise<ItemRecord> {
  const generation = record.resyncGeneration + 1;
  const startedAt = context.clock.now();
  const digests: ItemResync['digests'] = {};
  const fences = new Map<string, number>();
  for (const row of markedDisks(record)) {
    // What storage has is compared, however old it is: the recorded fence does not count any more.
    const { sequenceNumber } = await raiseFence(context, record.item, { ...row, fence: 0 });
    fences.set(row.disk, sequenceNumber);
    const scope = scopeOf(record, row.disk, generation);
    digests[row.disk] = startDigestChain(scope, row.sizeBytes, { sequenceNumber }, startedAt);
    if (row.resync?.reason === 'ReplicaRolledBack')
      await dropLostPoints(context, record.item, replicaName(record.item, row.disk), row.disk);
  }
  return updateItem(context.storage.items, record.item, (current) => ({
    ...current,
    disks: current.disks.map((row) => ({ ...row, fence: fences.get(row.disk) ?? row.fence })),
    applying: null,
    resyncGeneration: generation,
    resync: {
      ...{ generation, jobId, startedBy, startedAt: startedAt.toISOString(), phase: 'digesting' as const },
      ...{ isPaused: false, isStale: false, digests, comparedBytes: 0, differingBytes: 0, shippedBytes: 0 },
    },
  }));
}

/** True, and shown as suspended, while a resync that a timer began is outside its window and the policy says to pause. */
async function pauseOutsideWindow(
  context: ReplicationContext,
  record: ItemRecord,
  jobId: string,
  taskId: string,
): Promise<boolean> {
  const { resync } = record;
  const policy = await findPolicy(context.storage.vault, record.policy);
  const now = context.clock.now();
  const pauses =
    resync?.startedBy === 'schedule' &&
    policy?.resyncWindow.pauseAtEnd === true &&
    !isInWindow(policy.resyncWindow, now);
  if (resync && resync.isPaused !== pauses) {
    await updateItem(context.storage.items, record.item, (current) =>
      current.resync ? { ...current, resync: { ...current.resync, isPaused: pauses } } : current,
    );
  }
  if (!pauses) return false;
  await plan(context, 'resync', record.item, nextOpening(policy.resyncWindow, now).toISOString());
  await updateJob(context.storage.jobs, jobId, (job) => suspendStep(job, taskId));
  return true;
}

export interface DigestOutcome {
  isDone: boolean;
  /** Outside the window: wait for the event. */
  isPaused: boolean;
}

/** Step 2, again and again: digests of the marked replicas, as far as the time allows. */
export async function digestReplicas(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
  { stopAt }: { stopAt: Date },
): Promise<DigestOutcome> {
  const record = await getItem(context.storage.items, item);
  const { resync } = record;
  if (resync?.jobId !== jobId) return { isDone: true, isPaused: false };
  if (await pauseOutsideWindow(context, record, jobId, 'ComputeDigestsTask'))
    return { isDone: false, isPaused: true };
  await beginStep(context, jobId, 'ComputeDigestsTask');
  const next = Object.entries(resync.digests).find(([, state]) => !isDigested(state));
  if (next) {
    const [disk, before] = next;
    const after = await advanceDigestChain(context, before, { deadline: stopAt });
    context.fault('resync.afterDigests');
    const changed = await updateItem(context.storage.items, item, (current) =>
      current.resync?.generation === resync.generation
        ? { ...current, resync: { ...current.resync, digests: { ...current.resync.digests, [disk]: after } } }
        : current,
    );
    await reportDigests(context, jobId, changed.resync);
    return { isDone: false, isPaused: false };
  }
  await updateItem(context.storage.items, item, (current) =>
    current.resync?.generation === resync.generation && current.resync.phase === 'digesting'
      ? { ...current, resync: { ...current.resync, phase: 'comparing' } }
      : current,
  );
  await endStep(context, jobId, 'ComputeDigestsTask');
  await beginStep(context, jobId, 'CompareTask');
  return { isDone: true, isPaused: false };
}

async function reportDigests(
  context: ReplicationContext,
  jobId: string,
  resync: ItemResync | null,
): Promise<void> {
  const chains = Object.values(resync?.digests ?? {});
  const sum = (of: (chain: (typeof chains)[number]) => number) =>
    chains.reduce((total, chain) => total + of(chain), 0);
  const done = sum(({ nextSegment }) => nextSegment);
  const total = sum(({ segmentCount }) => segmentCount);
  const { remainingMs } = progressOf({
    done,
    total: Math.max(1, total),
    activeMs: sum(({ activeMs }) => activeMs),
  });
  const totalBytes = sum(({ diskSizeBytes }) => diskSizeBytes);
  await reportProgress(context, jobId, {
    doneBytes: Math.floor((totalBytes * done) / Math.max(1, total)),
    totalBytes,
    remainingSeconds: remainingMs === undefined ? null : Math.ceil(remainingMs / 1000),
  });
}

/** Step 3: whether the source's log is applied. Drains, in case its trigger was lost. */
export async function awaitResyncLog(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
  options: DrainOptions,
): Promise<{ isReady: boolean }> {
  const record = await getItem(context.storage.items, item);
  const isApplied = record.resync?.phase === 'applied';
  if (!isApplied && (await pauseOutsideWindow(context, record, jobId, 'CompareTask')))
    return { isReady: false };
  await beginStep(context, jobId, 'CompareTask');
  await drainItem(context, item, options);
  const { resync } = await getItem(context.storage.items, item);
  if (resync?.isStale) {
    const message = `A replica of item ${item} was written while it was compared.`;
    throw new LifeboatError('ReplicaChanged', message, { target: item });
  }
  if (resync && resync.phase !== 'applied') return { isReady: false };
  await endStep(context, jobId, 'CompareTask');
  return { isReady: true };
}

/** Step 4: replication goes on as before. */
export async function completeResync(context: ReplicationContext, job: ItemJob): Promise<void> {
  const { storage } = context;
  await beginStep(context, job.jobId, 'CompleteResyncTask');
  const record = await getItem(storage.items, job.item);
  const chains = Object.values(record.resync?.digests ?? {});
  for (const { item, disk, generation } of chains)
    await deleteManifests(storage.resync, { item, disk, generation });
  context.fault('resync.afterManifests');
  await releaseResyncSlot(storage, job.item);
  const diskBytes = chains.reduce((total, { diskSizeBytes }) => total + diskSizeBytes, 0);
  const shippedBytes = record.resync?.shippedBytes ?? 0;
  await endStep(context, job.jobId, 'CompleteResyncTask');
  const freed = (current: ItemRecord): ItemRecord => ({ ...current, resync: null });
  const result = record.resync
    ? { comparedBytes: diskBytes, shippedBytes, savedBytes: diskBytes - shippedBytes }
    : {};
  await finishJob(context, job, freed, result);
  await planResync(context, await getItem(storage.items, job.item));
}

/** A resync that failed or was cancelled: the marks stay, and the item is looked at again. */
export async function abandonResync(context: ReplicationContext, job: ItemJob, end: BadEnd): Promise<void> {
  const { storage } = context;
  const record = await getItem(storage.items, job.item);
  for (const { item, disk, generation } of Object.values(record.resync?.digests ?? {}))
    await deleteManifests(storage.resync, { item, disk, generation });
  await releaseResyncSlot(storage, job.item);
  const isByUser = end.outcome === 'cancelled';
  await abandonJob(context, job, end, (current) => ({ ...current, resync: null }));
  const after = await getItem(storage.items, job.item);
  if (!needsResync(after)) return;
  // Not at once again: a cause that stays would make it run for ever.
  const retryMs = isByUser ? 24 * 3_600_000 : 1_800_000;
  await plan(context, 'resync', job.item, new Date(Date.parse(isoNow(context)) + retryMs).toISOString());
}
