// Failback: the machine comes home with what it changed. Its disks are compared with the replicas; the differences become
// the next cycles, [MS-HRL] logs like any other, so that the replica, its recovery points and the chain of logs go on without
// a break. The source writes the same differences to its disks and proves with a digest that they equal the recovery point;
// only then does replication go its old way again. The source's disks are written by the source alone, and last.
//
//   1 stop      the machine stops, its disks are captured           → nothing else has changed yet
//   2 cut       differences → logs under the next cycle numbers     → cut again, the same bytes under the same names
//   3 merge     as every cycle                                      → recovery point = the machine's disks, compared
//   4 source    reads the differences from that point, reports      → may be repeated from its start at any time
import { LifeboatError } from '../errors.ts';
import type { JobRecord } from '../jobs/job.ts';
import { buildHrl } from '../hrl/writer.ts';
import { stableGuid } from '../ids.ts';
import type { ItemRecord } from '../protection/item.ts';
import { findPointOfCycle, getItem, updateItem, updatePoint } from '../protection/itemStore.ts';
import { abandonJob, beginJob, beginStep, endStep, finishJob, whenAllowed } from '../protection/itemJobs.ts';
import type { BadEnd } from '../protection/itemJobs.ts';
import type { ItemJob, OrchestrationClient } from '../protection/orchestrations.ts';
import { changedEvent } from '../protection/orchestrations.ts';
import { transition } from '../protection/states.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { drainItem } from '../replication/drain.ts';
import type { DrainOptions } from '../replication/drain.ts';
import { withItemLock } from '../replication/itemLock.ts';
import { formatDeltaName, replicaName } from '../replication/names.ts';
import { supersedeLogs } from '../replication/supersede.ts';
import type { ByteRange } from '../storage/ports.ts';
import { differences } from './changedBlocks.ts';
import { removeDisks, removeMachine, requireCompute, type StepProgress } from './recoverySteps.ts';
import { updateRun } from './recoveryRun.ts';

/** Data of one disk in one cycle: logs are built in memory. */
const logDataBytes = 48 * 1024 * 1024;
const waitSeconds = 10;

/** Throws `ItemBusy`, `OperationNotSupportedInState`. */
export async function startFailback(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
): Promise<JobRecord> {
  return beginJob(context, orchestrations, {
    item,
    kind: 'failback',
    change: whenAllowed('Failback', (record) => ({
      ...record,
      state: transition(record.state, 'failbackRequested'),
      failback: null,
    })),
  });
}

function failedOverJob({ failover, name }: ItemRecord): string {
  if (failover) return failover.jobId;
  throw new LifeboatError('OperationNotSupportedInState', `Protected item "${name}" has not failed over.`);
}

/** Step 1: logs that the source cut after the failover are of another history; they are kept in `quarantine`. */
export async function beginFailback(
  context: ReplicationContext,
  job: ItemJob,
): Promise<{ isReady: boolean }> {
  const { items } = context.storage;
  await beginStep(context, job.jobId, 'FailbackPreflightChecksTask');
  const record = await updateItem(items, job.item, (current) =>
    current.failback?.jobId === job.jobId
      ? current
      : { ...current, failback: { jobId: job.jobId, cycles: null, appliedDisks: [] } },
  );
  if (record.failback?.cycles === null) {
    const isDone = await withItemLock(context, job.item, () => supersedeLogs(context, record));
    if (!isDone) return { isReady: false };
  }
  await endStep(context, job.jobId, 'FailbackPreflightChecksTask');
  return { isReady: true };
}

/** Step 2, again and again: the machine is off, and its disks are what lies in `recovered`. */
export async function stopAndCapture(context: ReplicationContext, job: ItemJob): Promise<StepProgress> {
  const compute = requireCompute(context);
  await beginStep(context, job.jobId, 'ShutdownVmOnSecondary');
  const jobId = failedOverJob(await getItem(context.storage.items, job.item));
  const { order } = await updateRun(context.storage.items, job.item, jobId);
  for (const step of [compute.stopMachine.bind(compute), compute.captureDisks.bind(compute)]) {
    const progress = await step(order);
    if (!progress.isDone) return { isDone: false, retryAfterSeconds: progress.retryAfterSeconds };
    context.fault('failback.afterStop');
  }
  await endStep(context, job.jobId, 'ShutdownVmOnSecondary');
  return { isDone: true, retryAfterSeconds: 0 };
}

interface DiskChanges {
  disk: string;
  blobName: string;
  parts: ByteRange[][];
}

/** The differences of every disk, cut so that each part fits into one log. */
async function changesOf(context: ReplicationContext, record: ItemRecord): Promise<DiskChanges[]> {
  const { storage } = context;
  const { order } = await updateRun(storage.items, record.item, failedOverJob(record));
  const changes: DiskChanges[] = [];
  for (const { disk, sizeBytes } of record.disks) {
    const recovered = order.disks.find((each) => each.disk === disk);
    if (!recovered) {
      const message = `Disk ${disk} of item ${record.item} was not part of the failover, so it cannot fail back.`;
      throw new LifeboatError('DiskNotProtected', message, { target: disk });
    }
    const { blobName } = recovered;
    const found = await differences(
      { port: storage.recovered, name: blobName },
      { port: storage.replicas, name: replicaName(record.item, disk) },
      sizeBytes,
    );
    changes.push({ disk, blobName, parts: cut(found) });
  }
  return changes;
}

function cut(ranges: readonly ByteRange[]): ByteRange[][] {
  const parts: ByteRange[][] = [];
  let partBytes = Infinity;
  for (const range of ranges) {
    if (partBytes + range.lengthBytes > logDataBytes) {
      parts.push([]);
      partBytes = 0;
    }
    parts.at(-1)?.push(range);
    partBytes += range.lengthBytes;
  }
  return parts;
}

/** Step 3: the differences as logs of the next cycles. Only the last of them leaves consistent disks. */
export async function cutChanges(context: ReplicationContext, job: ItemJob): Promise<{ isReady: boolean }> {
  await beginStep(context, job.jobId, 'CaptureChangesTask');
  // Under the item's lock: no drain sees half of the logs, or changes what they are differences to.
  const isReady = await withItemLock(context, job.item, () => cutUnderLock(context, job));
  return { isReady };
}

async function cutUnderLock(context: ReplicationContext, job: ItemJob): Promise<void> {
  const { storage } = context;
  const record = await getItem(storage.items, job.item);
  if (record.failback?.cycles !== null) return;
  const changes = await changesOf(context, record);
  const count = Math.max(1, ...changes.map(({ parts }) => parts.length));
  const first = record.appliedCycle + 1;
  const last = record.appliedCycle + count;
  // Before the first log is there: a trigger may merge it at once.
  await updateItem(storage.items, job.item, (current) => ({ ...current, consistentFromCycle: last }));
  const ids = new Map(record.disks.map(({ disk, lastLogId }) => [disk, lastLogId]));
  for (let cycle = first; cycle <= last; cycle++) {
    for (const { disk, blobName, parts } of changes) {
      const uniqueId = stableGuid('failback', job.jobId, disk, cycle);
      await putLog(
        context,
        { item: job.item, cycle, disk, blobName, uniqueId, previousUniqueId: ids.get(disk) ?? null },
        parts[cycle - first] ?? [],
      );
      ids.set(disk, uniqueId);
      context.fault('failback.afterLog');
    }
  }
  await updateItem(storage.items, job.item, (current) => ({
    ...current,
    failback: current.failback && { ...current.failback, cycles: { first, last } },
  }));
}

interface LogPlace {
  item: string;
  cycle: number;
  disk: string;
  blobName: string;
  uniqueId: string;
  previousUniqueId: string | null;
}

async function putLog(
  { storage, clock }: ReplicationContext,
  { item, cycle, disk, blobName, uniqueId, previousUniqueId }: LogPlace,
  ranges: readonly ByteRange[],
): Promise<void> {
  const writes = [];
  for (const range of ranges)
    writes.push({ diskOffset: range.offsetBytes, data: await storage.recovered.read(blobName, range) });
  const takenAt = clock.now();
  const bytes = buildHrl(writes, {
    ...{ uniqueId, createdAt: takenAt },
    ...(previousUniqueId === null ? {} : { previousUniqueId }),
  });
  await storage.deltas.put(formatDeltaName({ item, cycle, disk }), bytes, { takenat: takenAt.toISOString() });
}

/** Step 4, again and again: merged, and the replicas equal the machine's disks. */
export async function mergeChanges(
  context: ReplicationContext,
  job: ItemJob,
  options: DrainOptions,
): Promise<StepProgress> {
  const { storage } = context;
  const { outcome } = await drainItem(context, job.item, options);
  const record = await getItem(storage.items, job.item);
  const last = record.failback?.cycles?.last ?? Infinity;
  if (outcome === 'busy' || outcome === 'more' || record.appliedCycle < last)
    return { isDone: false, retryAfterSeconds: 2 };
  for (const { disk, parts } of await changesOf(context, record)) {
    if (parts.length === 0) continue;
    const message = `Replica of disk ${disk} does not equal the recovered disk after the merge.`;
    throw new LifeboatError('RecoveryDiskMismatch', message, { target: disk });
  }
  await updatePoint(storage.items, job.item, last, (row) =>
    row.pinnedBy.includes(job.jobId) ? row : { ...row, pinnedBy: [...row.pinnedBy, job.jobId] },
  );
  await endStep(context, job.jobId, 'CaptureChangesTask');
  await beginStep(context, job.jobId, 'ApplyOnPrimaryTask');
  return { isDone: true, retryAfterSeconds: 0 };
}

/** What the source has to write, disk by disk. */
export interface FailbackDisk {
  disk: string;
  sizeBytes: number;
  /** The recovery point whose bytes the disk must have. */
  snapshotId: string;
  isApplied: boolean;
}

/** Undefined while the source has nothing to do. */
export async function failbackWork(
  { storage }: ReplicationContext,
  record: ItemRecord,
): Promise<{ cycle: number; disks: FailbackDisk[] } | undefined> {
  const { failback } = record;
  const last = failback?.cycles?.last;
  if (!failback || last === undefined || record.appliedCycle < last) return undefined;
  const point = await findPointOfCycle(storage.items, record.item, last);
  if (!point) return undefined;
  const disks = record.disks.flatMap(({ disk, sizeBytes }) => {
    const snapshotId = point.disks.find((each) => each.disk === disk)?.snapshotId;
    const isApplied = failback.appliedDisks.includes(disk);
    return snapshotId === undefined ? [] : [{ disk, sizeBytes, snapshotId, isApplied }];
  });
  return { cycle: last, disks };
}

/**
 * The source has written a disk and read it back: it equals the recovery point of `cycle`. May be sent again. Throws
 * `OperationNotSupportedInState` when no failback waits for it.
 */
export async function reportFailbackApplied(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
  { disk, cycle }: { disk: string; cycle: number },
): Promise<ItemRecord> {
  const record = await updateItem(context.storage.items, item, (current) => {
    const { failback } = current;
    if (failback?.cycles?.last !== cycle || !current.disks.some((row) => row.disk === disk)) {
      const message = `No failback of item ${item} waits for disk ${disk} at cycle ${cycle}.`;
      throw new LifeboatError('OperationNotSupportedInState', message, { target: disk });
    }
    if (failback.appliedDisks.includes(disk)) return current;
    return { ...current, failback: { ...failback, appliedDisks: [...failback.appliedDisks, disk] } };
  });
  if (record.currentJob !== null) await orchestrations.raiseEvent(record.currentJob, changedEvent);
  return record;
}

/** Step 5, again and again: whether the source has written every disk; then the failback is complete. */
export async function awaitApplied(context: ReplicationContext, job: ItemJob): Promise<StepProgress> {
  const { disks, failback } = await getItem(context.storage.items, job.item);
  const isDone = disks.every(({ disk }) => failback?.appliedDisks.includes(disk) === true);
  if (!isDone) return { isDone, retryAfterSeconds: waitSeconds };
  await endStep(context, job.jobId, 'ApplyOnPrimaryTask');
  await finishJob(context, job, (record) => ({
    ...record,
    state: transition(record.state, 'failbackCompleted'),
  }));
  return { isDone, retryAfterSeconds: 0 };
}

/** A failback that failed or was cancelled: the recovered machine is the one that counts, and can be started again. */
export async function abandonFailback(context: ReplicationContext, job: ItemJob, end: BadEnd): Promise<void> {
  const { storage } = context;
  const record = await getItem(storage.items, job.item);
  const last = record.failback?.cycles?.last;
  if (last !== undefined && (await findPointOfCycle(storage.items, job.item, last))) {
    await updatePoint(storage.items, job.item, last, (row) => ({
      ...row,
      pinnedBy: row.pinnedBy.filter((id) => id !== job.jobId),
    }));
  }
  if (record.failover) {
    const { order } = await updateRun(storage.items, job.item, record.failover.jobId);
    const { isDone } = await requireCompute(context).startMachine(order);
    if (!isDone)
      throw new LifeboatError('ComputeUnavailable', 'The failed-over machine is being started again.');
  }
  await abandonJob(context, job, end, (current) => ({
    ...current,
    state: transition(current.state, 'failbackUndone'),
    failback: null,
  }));
}

/** The source's machine runs again; replication goes its old way. Throws `ItemBusy`, `OperationNotSupportedInState`. */
export async function startReverse(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
): Promise<JobRecord> {
  return beginJob(context, orchestrations, {
    item,
    kind: 'reverseReplication',
    change: whenAllowed('ReverseReplicate'),
  });
}

/** The last step of reversing: the disks of the failover go, and the next cycle is the source's. */
export async function finishReverse(context: ReplicationContext, job: ItemJob): Promise<void> {
  const { storage } = context;
  await beginStep(context, job.jobId, 'DeleteDisksTask');
  const record = await getItem(storage.items, job.item);
  if (record.failover) {
    const failedOver = { item: job.item, jobId: record.failover.jobId };
    const { isDone } = await removeMachine(context, failedOver);
    if (!isDone)
      throw new LifeboatError('ComputeUnavailable', 'The failed-over machine is still being deleted.');
    await removeDisks(context, failedOver);
  }
  const last = record.failback?.cycles?.last;
  if (record.failback && last !== undefined && (await findPointOfCycle(storage.items, job.item, last))) {
    const failbackJob = record.failback.jobId;
    await updatePoint(storage.items, job.item, last, (row) => ({
      ...row,
      pinnedBy: row.pinnedBy.filter((id) => id !== failbackJob),
    }));
  }
  await endStep(context, job.jobId, 'DeleteDisksTask');
  await beginStep(context, job.jobId, 'ReverseReplicationTask');
  await endStep(context, job.jobId, 'ReverseReplicationTask');
  await finishJob(context, job, (current) => ({
    ...current,
    ...{ state: transition(current.state, 'replicationReversed'), failover: null, failback: null },
  }));
}
