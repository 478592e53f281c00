// The steps that every failover shares: choose the point and the machine, make the disks, make the machine, look at it, and
// remove all of it again. Each may be repeated; a job that died anywhere is continued, or removed, by what its rows say.
import { computeDone } from '../compute/port.ts';
import type { ComputeProgress, ComputeProvider } from '../compute/port.ts';
import { LifeboatError } from '../errors.ts';
import type { ErrorRecord } from '../errors.ts';
import { updateJob } from '../jobs/jobStore.ts';
import { findMachine } from '../inventory/inventory.ts';
import { forEachBounded } from '../merge/bounded.ts';
import type { RecoveryPointRecord } from '../protection/item.ts';
import { getItem, listRecoveryPoints, updatePoint } from '../protection/itemStore.ts';
import { isoNow, reportProgress } from '../protection/itemJobs.ts';
import type { ItemJob } from '../protection/orchestrations.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { choosePoint, type PointSelector } from './choosePoint.ts';
import { spansOf } from './diskDigest.ts';
import { evidenceNames, keepEvidence } from './evidence.ts';
import { parseRecoveredDiskName, recoveredFolder } from './names.ts';
import { failoverReadiness } from './readiness.ts';
import { estimateRto } from './rtoEstimate.ts';
import { deleteRecoveryDisk, makeRecoveryDisk } from './recoveryDisk.ts';
import { listRecoveryDisks } from './recoveryDiskRecord.ts';
import { findRun, recoveryRunKey, updateRun, type RecoveryRun } from './recoveryRun.ts';
import { machineOrderOf, siteMappings } from './targetSettings.ts';

/** Disks of one machine that are made at once. */
const disksAtOnce = 2;

/** The provider of the app. Throws `ComputeFailed` where none is configured. */
export function requireCompute({ compute }: ReplicationContext): ComputeProvider {
  if (compute) return compute;
  throw new LifeboatError('ComputeFailed', 'No compute provider is configured; set LIFEBOAT_COMPUTE.');
}

export interface RecoveryChoice {
  selector: PointSelector;
  purpose: 'test' | 'failover';
  /** Network that a test was asked to run in. */
  networkId: string | null;
  marker: string | null;
  bootLimitSeconds: number;
}

const withPin = (row: RecoveryPointRecord, jobId: string): RecoveryPointRecord =>
  row.pinnedBy.includes(jobId) ? row : { ...row, pinnedBy: [...row.pinnedBy, jobId] };

/** Chooses the point, keeps it from being pruned, and stores the run. Returns what would make the failover fail. */
export async function prepareRecovery(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
  choice: RecoveryChoice,
): Promise<ErrorRecord[]> {
  const { storage, clock } = context;
  if (await findRun(storage.items, item, jobId)) return [];
  const record = await getItem(storage.items, item);
  const point = await choosePoint(storage.items, record, choice.selector);
  const machine = await findMachine(storage.inventory, record.fabric, record.machine);
  const mappings = await siteMappings(storage.vault, record.fabric);
  const about = { record, machine, point, jobId, mappings };
  const order = machineOrderOf({ ...about, purpose: choice.purpose, testNetworkId: choice.networkId });
  const issues = failoverReadiness({
    failover: order,
    test: machineOrderOf({ ...about, purpose: 'test', testNetworkId: choice.networkId }),
    provider: requireCompute(context).kind,
  });
  const errors = issues.filter(({ severity }) => severity === 'Error');
  if (errors.length > 0) return errors.map(({ message }) => ({ code: 'FailoverNotReady', message }));
  // From here on the point stays; should it have been pruned just now, this says so.
  await updatePoint(storage.items, item, point.cycle, (row) => withPin(row, jobId));
  context.fault('recovery.afterPin');
  const { estimatedRtoSeconds, estimatedRtoFrom } = estimateRto(record, requireCompute(context).kind);
  await updateJob(storage.jobs, jobId, (job) => ({
    ...job,
    result: { ...job.result, estimatedRtoSeconds, estimatedRtoFrom },
  }));
  const sizes = new Map(record.disks.map(({ disk, sizeBytes }) => [disk, sizeBytes]));
  const run: RecoveryRun = {
    order: {
      ...order,
      disks: [...order.disks],
      nics: [...order.nics],
      placement: { ...order.placement, tags: { ...order.placement.tags } },
    },
    point: {
      ...{ id: point.id, cycle: point.cycle, takenAt: point.takenAt, consistency: point.consistency },
      disks: point.disks
        .filter(({ disk }) => sizes.has(disk))
        .map(({ disk, snapshotId }) => ({ disk, snapshotId, sizeBytes: sizes.get(disk) ?? 0 })),
    },
    requestedAt: clock.now().toISOString(),
    estimatedRtoSeconds,
    ...{ marker: choice.marker, bootLimitSeconds: choice.bootLimitSeconds, startedAt: null, boot: null },
  };
  await storage.items.transact(item, [{ kind: 'put', key: recoveryRunKey(jobId), value: run }]);
  context.fault('recovery.afterRun');
  return [];
}

/** Makes the disks, as far as the time allows. */
export async function makeDisks(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
  { stopAt }: { stopAt: Date },
): Promise<{ isDone: boolean }> {
  const { point } = await updateRun(context.storage.items, item, jobId);
  let isDone = true;
  await forEachBounded(point.disks, { concurrency: disksAtOnce }, async ({ disk, snapshotId, sizeBytes }) => {
    const made = await makeRecoveryDisk(context, { item, jobId, disk, snapshotId, sizeBytes }, { stopAt });
    if (made.madeAt === null) isDone = false;
  });
  let [doneBytes, totalBytes] = [0, 0];
  for await (const { blobSizeBytes, spans } of listRecoveryDisks(context.storage.items, item, jobId)) {
    totalBytes += blobSizeBytes;
    doneBytes += Math.floor((blobSizeBytes * spans.length) / spansOf(blobSizeBytes).length);
  }
  await reportProgress(context, jobId, { doneBytes, totalBytes, remainingSeconds: null });
  return { isDone };
}

export interface StepProgress {
  isDone: boolean;
  retryAfterSeconds: number;
}

/** What an orchestrator reads of it. */
export const progressOf = (progress: ComputeProgress): StepProgress => ({
  isDone: progress.isDone,
  retryAfterSeconds: progress.isDone ? 0 : progress.retryAfterSeconds,
});

/** Makes and starts the machine, one look at a time. */
export async function makeMachine(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
): Promise<StepProgress> {
  const compute = requireCompute(context);
  const { order, startedAt } = await updateRun(context.storage.items, item, jobId);
  if (startedAt !== null) return { isDone: true, retryAfterSeconds: 0 };
  const prepared = progressOf(await compute.prepareDisks(order));
  context.fault('recovery.afterPrepare');
  if (!prepared.isDone) return prepared;
  const made = progressOf(await compute.createMachine(order));
  context.fault('recovery.afterMachine');
  if (!made.isDone) return made;
  const at = isoNow(context);
  await updateRun(context.storage.items, item, jobId, (run) => ({ ...run, startedAt: run.startedAt ?? at }));
  return made;
}

const observePauseSeconds = 2;

/** Looks at the console until it shows what is wanted, the machine stops, or the time is up; then keeps what was seen. */
export async function observeMachine(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
): Promise<StepProgress> {
  const compute = requireCompute(context);
  const { order, startedAt, boot, marker, bootLimitSeconds } = await updateRun(
    context.storage.items,
    item,
    jobId,
  );
  if (boot !== null) return { isDone: true, retryAfterSeconds: 0 };
  const seen = await compute.observeBoot(order, marker);
  const limitMs = Date.parse(startedAt ?? isoNow(context)) + bootLimitSeconds * 1000;
  if (seen.verdict === 'pending' && context.clock.now().getTime() < limitMs)
    return { isDone: false, retryAfterSeconds: observePauseSeconds };
  const names = evidenceNames(item, jobId);
  const { screenshot } = await compute.observeBoot(order, marker, { wantsScreenshot: true });
  if (seen.consoleText !== '') await keepEvidence(context, names.console, seen.consoleText, 'text/plain');
  if (screenshot) await keepEvidence(context, names.screenshot, screenshot.bytes, screenshot.mediaType);
  context.fault('recovery.afterEvidence');
  const { verdict, evidenceLine } = seen;
  await updateRun(context.storage.items, item, jobId, (run) => ({
    ...run,
    boot: run.boot ?? { verdict, evidenceLine },
  }));
  return { isDone: true, retryAfterSeconds: 0 };
}

/** Removes the machine, but not its disks in `recovered`. */
export async function removeMachine(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
): Promise<StepProgress> {
  // Where no provider is configured, none has made anything.
  const progress = progressOf((await context.compute?.deleteAll({ item, jobId })) ?? computeDone);
  context.fault('recovery.afterRemoveMachine');
  return progress;
}

/** Removes the disks and rows of the job, and frees its recovery point. */
export async function removeDisks(context: ReplicationContext, { item, jobId }: ItemJob): Promise<void> {
  const { storage } = context;
  const disks = new Set<string>();
  for await (const { disk } of listRecoveryDisks(storage.items, item, jobId)) disks.add(disk);
  for await (const name of storage.recovered.listNames(recoveredFolder(item, jobId))) {
    const parsed = parseRecoveredDiskName(name);
    if (parsed) disks.add(parsed.disk);
  }
  for (const disk of disks) await deleteRecoveryDisk(context, { item, jobId, disk });
  await releasePoint(context, { item, jobId });
  context.fault('recovery.afterUnpin');
  const row = await storage.items.find(item, recoveryRunKey(jobId));
  if (row) await storage.items.transact(item, [{ kind: 'delete', key: row.key, etag: row.etag }]);
}

/** The job needs its recovery point no longer. */
export async function releasePoint({ storage }: ReplicationContext, { item, jobId }: ItemJob): Promise<void> {
  const run = await findRun(storage.items, item, jobId);
  // A death between the pin and the run leaves a pin that no run names; it is on the newest points.
  for await (const point of listRecoveryPoints(storage.items, item)) {
    if (run && point.cycle !== run.point.cycle) continue;
    if (!point.pinnedBy.includes(jobId)) continue;
    await updatePoint(storage.items, item, point.cycle, (row) => ({
      ...row,
      pinnedBy: row.pinnedBy.filter((id) => id !== jobId),
    }));
  }
}

/** Removes everything of the job; throws `ComputeUnavailable` while the machine is still going: call again. */
export async function removeAll(context: ReplicationContext, job: ItemJob): Promise<void> {
  const { isDone } = await removeMachine(context, job);
  if (!isDone)
    throw new LifeboatError('ComputeUnavailable', `The machine of job ${job.jobId} is still being deleted.`);
  await removeDisks(context, job);
}
