// How a failback reads the machine's disks and makes the replica equal to them. In slices: a slice compares on from where the
// last one stopped, puts what differs into the logs of the next cycle, and merges that cycle like any other.
//
// The replica itself is the memory of what was done: what is merged differs no more. `comparedTo` only saves reading again,
// so a slice that died at any point is simply done again:
//   died before a log            → nothing has happened
//   between two logs of a cycle  → the cycle is not complete, nobody merges it; its logs are made again under their names
//   after the last log           → a trigger may have merged it; the next slice finds those bytes equal and goes on behind them
// No cycle of a pass leaves a recovery point. When the replica was compared with the machine's disks from end to end and
// found equal, an empty cycle is cut, and that one does: the point exists only if the proof does.
import type { FrozenDisk } from '../compute/port.ts';
import { LifeboatError } from '../errors.ts';
import { buildHrl } from '../hrl/writer.ts';
import { stableGuid } from '../ids.ts';
import type { DiskRecord, FailbackPass, ItemRecord } from '../protection/item.ts';
import { findCycle, getItem, updateItem } from '../protection/itemStore.ts';
import type { ItemJob } from '../protection/orchestrations.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { drainItem } from '../replication/drain.ts';
import type { DrainOptions } from '../replication/drain.ts';
import { withItemLock } from '../replication/itemLock.ts';
import { formatDeltaName, replicaName } from '../replication/names.ts';
import type { ByteRange } from '../storage/ports.ts';
import {
  findBytesFrom,
  findDifferences,
  pageBlobView,
  type Differences,
  type DiskView,
} from './changedBlocks.ts';
import { requireCompute } from './recoverySteps.ts';
import { updateRun } from './recoveryRun.ts';

/** Data of one disk in one cycle: logs are built in memory. */
const logDataBytes = 48 * 1024 * 1024;
/** No recovery point is recorded until this is lowered to the cycle that ends the changes. */
const noCycle = Number.MAX_SAFE_INTEGER;

/** One disk of the machine, held still. */
interface MachineView {
  row: DiskRecord;
  view: DiskView;
  /** Where it may differ from the first pass. */
  changes?: ((window: ByteRange) => Promise<ByteRange[] | undefined>) | undefined;
}

/** Between two slices of the reading. */
export const sliceSeconds = 2;

/** The pass that freezes while the machine runs, and the one when it is off. */
export const passNumber = { sync: 1, final: 2 } as const;

const newPass = (stage: FailbackPass['stage'], isDelta: boolean): FailbackPass => ({
  ...{ stage, isDelta, comparedTo: {}, shippedBytes: 0 },
});

export function failedOverJob({ failover, name }: Pick<ItemRecord, 'failover' | 'name'>): string {
  if (failover) return failover.jobId;
  throw new LifeboatError('OperationNotSupportedInState', `Protected item "${name}" has not failed over.`);
}

/** The pass of the job; throws when the item's failback is another one's. */
export function passOf({ failback, item }: ItemRecord, jobId: string): FailbackPass {
  if (failback?.jobId === jobId) return failback.pass ?? newPass('final', false);
  throw new LifeboatError('InternalError', `Failback ${jobId} is not the one of item ${item}.`);
}

/** Changes the pass of the job; a failback of another job stays as it is. */
export async function updatePass(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
  change: (pass: FailbackPass) => FailbackPass,
): Promise<ItemRecord> {
  return updateItem(context.storage.items, item, (record) => {
    const { failback } = record;
    if (failback?.jobId !== jobId) return record;
    return { ...record, failback: { ...failback, pass: change(passOf(record, jobId)) } };
  });
}

/** The pass of this stage begins, unless it is under way or over. */
export async function beginPass(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
  stage: 'sync' | 'final',
  isDelta: boolean,
): Promise<void> {
  await updateItem(context.storage.items, item, (record) => {
    const { failback } = record;
    const isOpen = failback?.pass === null || (failback?.pass?.stage === 'sync' && stage === 'final');
    if (failback?.jobId !== jobId || !isOpen) return record;
    return { ...record, failback: { ...failback, pass: newPass(stage, isDelta) } };
  });
}

/** Gives `work` the machine's disks: the blobs that they are, or the frozen ones. */
async function withMachineDisks<T>(
  context: ReplicationContext,
  job: ItemJob,
  record: ItemRecord,
  work: (disks: MachineView[]) => Promise<T>,
): Promise<T> {
  const { order } = await updateRun(context.storage.items, record.item, failedOverJob(record));
  const recovered = record.disks.map((row) => {
    const disk = order.disks.find((each) => each.disk === row.disk);
    if (disk) return { row, disk };
    const message = `Disk ${row.disk} of item ${record.item} was not part of the failover, so it cannot fail back.`;
    throw new LifeboatError('DiskNotProtected', message, { target: row.disk });
  });
  const { freezing } = requireCompute(context);
  if (!freezing) {
    const { recovered: port } = context.storage;
    return work(
      recovered.map(({ row, disk: { blobName, blobSizeBytes } }) => ({
        ...{ row, view: pageBlobView(port, blobName, { sizeBytes: blobSizeBytes - 512 }) },
      })),
    );
  }
  const { stage, isDelta } = passOf(record, job.jobId);
  const ids = recovered.map(({ row }) => row.disk);
  const frozen = (pass: number, then: (disks: ReadonlyMap<string, FrozenDisk>) => Promise<T>): Promise<T> =>
    freezing.withFrozenDisks({ order, jobId: job.jobId, pass }, ids, then);
  const viewOf = (disks: ReadonlyMap<string, FrozenDisk>, row: DiskRecord): FrozenDisk => {
    const view = disks.get(row.disk);
    if (view) return view;
    throw new LifeboatError('InternalError', `Disk ${row.disk} was not frozen.`);
  };
  const plain = (disks: ReadonlyMap<string, FrozenDisk>): Promise<T> =>
    work(recovered.map(({ row }) => ({ row, view: viewOf(disks, row) })));
  if (stage === 'sync') return frozen(passNumber.sync, plain);
  // The proof reads everything, whatever the target says of changes.
  if (stage !== 'final' || !isDelta) return frozen(passNumber.final, plain);
  return frozen(passNumber.sync, (first) =>
    frozen(passNumber.final, (last) =>
      work(
        recovered.map(({ row }) => {
          const view = viewOf(last, row);
          return { row, view, changes: (window) => view.listChanges(window, viewOf(first, row)) };
        }),
      ),
    ),
  );
}

/** What the machine wrote behind the end of the source's disk would be lost. */
async function requireFits({ row: { disk, sizeBytes }, view }: MachineView): Promise<void> {
  const at = await findBytesFrom(view, sizeBytes);
  if (at === undefined) return;
  const message = `The machine has bytes at ${at} of disk ${disk}, behind the end of the source's disk (${sizeBytes} bytes).`;
  throw new LifeboatError('FailbackDiskTooLarge', message, { target: disk });
}

function compare(
  { storage, clock }: ReplicationContext,
  item: string,
  { row, view, changes }: MachineView,
  { from, enoughBytes, stopAt }: { from: number; enoughBytes: number; stopAt: Date | undefined },
): Promise<Differences> {
  const { disk, sizeBytes } = row;
  return findDifferences({
    ...{ wanted: view, from, to: sizeBytes, enoughBytes },
    present: pageBlobView(storage.replicas, replicaName(item, disk), { sizeBytes }),
    ...(changes && { candidates: changes }),
    hasTime: () => stopAt === undefined || clock.now() < stopAt,
  });
}

interface Slice {
  differences: Map<string, Differences>;
  isAtEnd: boolean;
}

async function findSlice(
  context: ReplicationContext,
  record: ItemRecord,
  disks: readonly MachineView[],
  pass: FailbackPass,
  stopAt: Date | undefined,
): Promise<Slice> {
  const differences = new Map<string, Differences>();
  for (const disk of disks) {
    const from = pass.comparedTo[disk.row.disk] ?? 0;
    if (from === 0) await requireFits(disk);
    differences.set(
      disk.row.disk,
      await compare(context, record.item, disk, { from, enoughBytes: logDataBytes, stopAt }),
    );
  }
  const isAtEnd = disks.every(
    ({ row: { disk, sizeBytes } }) => (differences.get(disk)?.comparedTo ?? 0) >= sizeBytes,
  );
  return { differences, isAtEnd };
}

const idOfLog = (jobId: string, disk: string, cycle: number): string =>
  stableGuid('failback', jobId, disk, cycle);

/** Puts the log of one disk in a cycle that follows the applied one. */
async function putLog(
  { storage, clock }: ReplicationContext,
  { item, jobId }: ItemJob,
  { cycle, row: { disk, lastLogId } }: { cycle: number; row: DiskRecord },
  data: { view: DiskView; ranges: readonly ByteRange[] } | undefined,
): Promise<void> {
  const writes = [];
  for (const range of data?.ranges ?? [])
    if (data) writes.push({ diskOffset: range.offsetBytes, data: await data.view.read(range) });
  const takenAt = clock.now();
  const bytes = buildHrl(writes, {
    ...{ uniqueId: idOfLog(jobId, disk, cycle), createdAt: takenAt },
    ...(lastLogId === null ? {} : { previousUniqueId: lastLogId }),
  });
  await storage.deltas.put(formatDeltaName({ item, cycle, disk }), bytes, { takenat: takenAt.toISOString() });
}

/** Compares on, and cuts the next cycle of what differs. Under the item's lock. */
async function cutSlice(
  context: ReplicationContext,
  job: ItemJob,
  stopAt: Date | undefined,
): Promise<{ isAtEnd: boolean }> {
  const { items } = context.storage;
  const record = await getItem(items, job.item);
  const pass = passOf(record, job.jobId);
  return withMachineDisks(context, job, record, async (disks) => {
    const { differences, isAtEnd } = await findSlice(context, record, disks, pass, stopAt);
    const all = [...differences.values()].flatMap(({ ranges }) => ranges);
    const cycle = record.appliedCycle + 1;
    if (all.length > 0) {
      // Before the first log is there: a trigger may merge the cycle at once.
      await updateItem(items, job.item, (current) => ({
        ...current,
        consistentFromCycle: noCycle,
        failback: current.failback && {
          ...current.failback,
          firstCycle: current.failback.firstCycle ?? cycle,
        },
      }));
      for (const { row, view } of disks) {
        const ranges = differences.get(row.disk)?.ranges ?? [];
        await putLog(context, job, { cycle, row }, { view, ranges });
        context.fault('failback.afterLog');
      }
    }
    const shippedBytes = all.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    const comparedTo = Object.fromEntries([...differences].map(([disk, found]) => [disk, found.comparedTo]));
    await updatePass(context, job, (current) => ({
      ...{ ...current, comparedTo },
      shippedBytes: current.shippedBytes + shippedBytes,
    }));
    context.fault('failback.afterSlice');
    return { isAtEnd };
  });
}

const isOver = (context: ReplicationContext, stopAt: Date | undefined): boolean =>
  stopAt !== undefined && context.clock.now() >= stopAt;

/** Merges what was cut; true when nothing of it is left. */
async function isMerged(context: ReplicationContext, item: string, options: DrainOptions): Promise<boolean> {
  const { outcome } = await drainItem(context, item, options);
  return outcome === 'idle' || outcome === 'waiting';
}

/** Brings everything of the pass into the replica, as far as the time allows. May be called again at any time. */
export async function bringChanges(
  context: ReplicationContext,
  job: ItemJob,
  options: DrainOptions,
): Promise<{ isDone: boolean }> {
  for (;;) {
    if (!(await isMerged(context, job.item, options))) return { isDone: false };
    const slice = { isAtEnd: false };
    const isLocked = await withItemLock(context, job.item, async () => {
      Object.assign(slice, await cutSlice(context, job, options.stopAt));
    });
    if (!isLocked) return { isDone: false };
    if (slice.isAtEnd) return { isDone: await isMerged(context, job.item, options) };
    if (isOver(context, options.stopAt)) return { isDone: false };
  }
}

/**
 * Compares the replica with the machine's disks from end to end, as far as the time allows. Throws `RecoveryDiskMismatch`
 * when they differ: the changes are then brought again, from everything.
 */
export async function proveReplica(
  context: ReplicationContext,
  job: ItemJob,
  options: DrainOptions,
): Promise<{ isDone: boolean }> {
  const record = await getItem(context.storage.items, job.item);
  const { comparedTo } = passOf(record, job.jobId);
  const found = await withMachineDisks(context, job, record, async (disks) => {
    const differences = new Map<string, Differences>();
    for (const disk of disks) {
      const from = comparedTo[disk.row.disk] ?? 0;
      const about = { from, enoughBytes: 1, stopAt: options.stopAt };
      differences.set(disk.row.disk, await compare(context, job.item, disk, about));
    }
    return differences;
  });
  for (const [disk, { ranges }] of found) {
    if (ranges.length === 0) continue;
    await startOver(context, job);
    const message = `Replica of disk ${disk} does not equal the machine's disk after the merge.`;
    throw new LifeboatError('RecoveryDiskMismatch', message, { target: disk });
  }
  const proven = Object.fromEntries([...found].map(([disk, { comparedTo: to }]) => [disk, to]));
  await updatePass(context, job, (pass) => ({ ...pass, comparedTo: proven }));
  context.fault('failback.afterProof');
  return { isDone: record.disks.every(({ disk, sizeBytes }) => (proven[disk] ?? 0) >= sizeBytes) };
}

/** Back to reading everything of the machine that is off. */
async function startOver(context: ReplicationContext, job: ItemJob): Promise<void> {
  await updateItem(context.storage.items, job.item, (record) => {
    const { failback } = record;
    if (failback?.jobId !== job.jobId) return record;
    return { ...record, failback: { ...failback, sealCycle: null, pass: newPass('final', false) } };
  });
}

/**
 * Cuts the empty cycle that becomes the recovery point of what was proven, and merges it. Undefined while it is not merged.
 * Throws `RecoveryDiskMismatch` when somebody put other logs under its names.
 */
export async function sealChanges(
  context: ReplicationContext,
  job: ItemJob,
  options: DrainOptions,
): Promise<number | undefined> {
  const { items } = context.storage;
  const isLocked = await withItemLock(context, job.item, async () => {
    const record = await updateItem(items, job.item, (current) => {
      const { failback } = current;
      if (failback?.jobId !== job.jobId || failback.sealCycle !== null) return current;
      const sealCycle = current.appliedCycle + 1;
      return { ...current, consistentFromCycle: sealCycle, failback: { ...failback, sealCycle } };
    });
    const cycle = record.failback?.sealCycle ?? noCycle;
    if (record.appliedCycle >= cycle) return;
    for (const row of record.disks) await putLog(context, job, { cycle, row }, undefined);
    context.fault('failback.afterSeal');
  });
  if (!isLocked || !(await isMerged(context, job.item, options))) return undefined;
  const { failback, appliedCycle, disks } = await getItem(items, job.item);
  const cycle = failback?.sealCycle ?? noCycle;
  if (appliedCycle < cycle) return undefined;
  const applied = await findCycle(items, job.item, cycle);
  for (const { disk } of disks) {
    const log = applied?.logs.find((each) => each.disk === disk);
    if (log?.logId === idOfLog(job.jobId, disk, cycle)) continue;
    await startOver(context, job);
    const message = `Cycle ${cycle} of item ${job.item} is not the one that the failback cut for disk ${disk}.`;
    throw new LifeboatError('RecoveryDiskMismatch', message, { target: disk });
  }
  return cycle;
}
