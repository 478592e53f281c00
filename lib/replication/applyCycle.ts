// Merging one checked cycle into the replicas of all disks and recording the recovery point.
//
// Order, and what a crash after each step leaves:
//   1 claim     the item row says which cycle is being applied      → the next attempt cleans up and repeats
//   2 fence     the replica's sequence number is raised             → every late write of an older attempt fails
//   3 merge     pages are written                                   → the pages are written again with the same bytes
//   4 snapshot  one per disk                                        → the snapshots are deleted, new ones are made
//   5 commit    one transaction: recovery point, cycle, item        → the cycle is done; its logs are deleted as stale
import { LifeboatError, assertInvariant } from '../errors.ts';
import { forEachBounded } from '../merge/bounded.ts';
import { isGuid, stableGuid } from '../ids.ts';
import type {
  AppliedLog,
  CycleRecord,
  DiskRecord,
  ItemRecord,
  ItemResync,
  RecoveryPointRecord,
} from '../protection/item.ts';
import { withHealth } from '../protection/health.ts';
import { joinedDisks } from '../protection/item.ts';
import { cycleKey, getItem, hourRow, pointKey, updateItem } from '../protection/itemStore.ts';
import type { HourBucket } from '../rpo/bucket.ts';
import { foldCycle, startSeries } from '../rpo/series.ts';
import type { CycleSample } from '../rpo/series.ts';
import type { RowWrite } from '../storage/ports.ts';
import type { CheckedLog } from './checkCycle.ts';
import { traceIdOf } from '../telemetry/traceparent.ts';
import { telemetryOf } from './context.ts';
import type { ReplicationContext } from './context.ts';
import { replicaName } from './names.ts';
import { raiseFence } from './fence.ts';
import { measuredMerge } from './measured.ts';
import { mergeLog, type MergedLog } from './mergeLog.ts';
import { isSetApart } from './supersede.ts';

/** Disks of one item that are merged at once. The memory of all merges is bounded apart from this (lib/merge/byteBudget.ts). */
const disksAtOnce = 4;

/** One attempt at one cycle: the item as claimed, and the token that the commit must find unchanged. */
interface Attempt {
  cycle: number;
  token: string;
  record: ItemRecord;
}

async function claim(context: ReplicationContext, item: string, cycle: number): Promise<Attempt> {
  const token = context.newId();
  const isRepeated = (await getItem(context.storage.items, item)).applying?.cycle === cycle;
  const record = await updateItem(context.storage.items, item, (current) => {
    const expected = cycle === 0 ? 0 : current.appliedCycle + 1;
    assertInvariant(cycle === expected, `cycle ${cycle} follows ${current.appliedCycle} on ${item}`);
    return { ...current, applying: { cycle, attempt: token } };
  });
  if (isRepeated) await deleteOrphans(context, record, cycle);
  return { cycle, token, record };
}

/** Deletes snapshots that a crashed attempt of this cycle made and no recovery point names. */
async function deleteOrphans(context: ReplicationContext, record: ItemRecord, cycle: number): Promise<void> {
  for (const { disk } of record.disks) {
    const name = replicaName(record.item, disk);
    for (const snapshot of await context.storage.replicas.listSnapshots(name)) {
      if (snapshot.metadata['cycle'] === String(cycle))
        await context.storage.replicas.deleteSnapshot(name, snapshot.id);
    }
  }
}

interface Moment extends Pick<RecoveryPointRecord, 'takenAt' | 'takenAtFrom' | 'consistency' | 'moment'> {
  /** When the last of the logs had arrived. */
  uploadedAt: string;
}

/** Of a policy that does not say. */
const defaultIntervalSeconds = 300;

/** The moment of the group that all logs name; one that says otherwise, or nothing, makes it an ordinary cycle. */
function groupMomentOf(logs: readonly CheckedLog[]): string | null {
  const [moment = '', ...others] = new Set(logs.map(({ blob }) => blob.metadata['moment'] ?? ''));
  return others.length === 0 && isGuid(moment) ? moment.toLowerCase() : null;
}

/** When the source was frozen for this cycle, as far as the uploads say: the latest moment of its logs. */
function momentOf(logs: readonly CheckedLog[]): Moment {
  const stated = logs.map(({ blob }) => new Date(blob.metadata['takenat'] ?? NaN));
  const isStated = stated.every((moment) => !Number.isNaN(moment.getTime()));
  const uploaded = logs.map(({ blob }) => blob.lastModified);
  const latest = (moments: readonly Date[]) =>
    new Date(Math.max(...moments.map((moment) => moment.getTime()))).toISOString();
  return {
    takenAt: latest(isStated ? stated : uploaded),
    uploadedAt: latest(uploaded),
    takenAtFrom: isStated ? 'source' : 'upload',
    moment: groupMomentOf(logs),
    consistency: logs.every(({ blob }) => blob.metadata['consistency'] === 'application')
      ? 'application'
      : 'crash',
  };
}

async function snapshotAll(
  context: ReplicationContext,
  { cycle, record }: Attempt,
  about: Moment,
  included: ReadonlySet<string>,
): Promise<RecoveryPointRecord> {
  // The same id on every attempt, so that a repeated one records the same point.
  const id = stableGuid(record.item, record.createdAt, cycle);
  const disks: RecoveryPointRecord['disks'] = [];
  for (const { disk } of record.disks.filter((row) => included.has(row.disk))) {
    const metadata = { item: record.item, cycle: String(cycle), recoverypoint: id };
    disks.push({
      disk,
      snapshotId: await context.storage.replicas.snapshot(replicaName(record.item, disk), metadata),
    });
    context.fault('apply.afterSnapshot');
  }
  const recordedAt = context.clock.now().toISOString();
  const { takenAt, takenAtFrom, consistency, moment } = about;
  const traceId = traceIdOf(telemetryOf(context).traceparent()) ?? null;
  return {
    ...{ id, cycle, takenAt, takenAtFrom, consistency, moment, recordedAt, traceId, disks },
    ...{ pinnedBy: [], scrub: null, drills: [] },
  };
}

function throwIfLost(signal: AbortSignal, item: string): void {
  if (signal.aborted)
    throw new LifeboatError('FenceLost', `The lock of item ${item} was lost; another worker goes on.`);
}

/** What the cycle changes in a disk's row. */
interface DiskResult {
  disk: string;
  fence: number;
  /** Undefined for the initial copy, which no log brought. */
  log?: AppliedLog;
  isResync: boolean;
  /** A part of a resynchronization that is too large for one log; more of it follows in the next cycle. */
  isPart?: boolean;
}

interface CycleResult {
  moment: Moment;
  disks: DiskResult[];
  point?: RecoveryPointRecord;
}

/** A disk's row after the cycle; what others changed in it meanwhile stays. */
function diskAfter(row: DiskRecord, cycle: number, result: DiskResult): DiskRecord {
  const { fence, log, isResync, isPart = false } = result;
  if (isPart) return { ...row, fence };
  const isMended = isResync || row.resync?.reason === 'LogChainBroken';
  return {
    ...row,
    fence,
    lastLogId: log?.logId ?? row.lastLogId,
    joinedAtCycle: row.joinedAtCycle ?? (isResync ? cycle : null),
    resync: log && isMended ? null : row.resync,
  };
}

/** What runs, after a cycle of it. */
function resyncAfter(resync: ItemResync, { disks }: CycleResult): ItemResync {
  const shipped = disks.reduce((sum, { log, isResync }) => sum + (isResync && log ? log.dataBytes : 0), 0);
  const shippedBytes = resync.shippedBytes + shipped;
  if (disks.every(({ isPart = false }) => !isPart)) return { ...resync, phase: 'applied', shippedBytes };
  // The rest is compared with what the part left, which is what was compared where the part did not write.
  const digests = { ...resync.digests };
  for (const { disk, fence } of disks)
    if (digests[disk]) digests[disk] = { ...digests[disk], sequenceNumber: fence };
  return { ...resync, digests, shippedBytes };
}

/** The item's row after the cycle. Pure. */
function itemAfter(record: ItemRecord, cycle: number, result: CycleResult, recordedAt: Date): ItemRecord {
  const results = new Map(result.disks.map((each) => [each.disk, each]));
  const point = result.point;
  return {
    ...record,
    disks: record.disks.map((row) => {
      const each = results.get(row.disk);
      return each ? diskAfter(row, cycle, each) : row;
    }),
    appliedCycle: cycle,
    applying: null,
    healthErrors: record.healthErrors.filter(({ clearedByCycle }) => clearedByCycle > cycle),
    // Whoever had failed before has succeeded now.
    retry: null,
    resync: record.resync && isSetApart(record) ? resyncAfter(record.resync, result) : record.resync,
    latestPoint: point
      ? {
          ...{ id: point.id, cycle, takenAt: point.takenAt, recordedAt: point.recordedAt },
          consistency: point.consistency,
        }
      : record.latestPoint,
    lastCycleAt: cycle > 0 ? recordedAt.toISOString() : record.lastCycleAt,
  };
}

const isPart = ({ isResync, blob }: CheckedLog): boolean => isResync && blob.metadata['more'] === 'true';

/** The cycle as a sample of the statistics. */
const sampleOf = ({ moment, disks }: CycleResult, recordedAt: Date): CycleSample => ({
  takenAt: moment.takenAt,
  recordedAt: recordedAt.toISOString(),
  bytes: disks.reduce((sum, { log }) => sum + (log?.logBytes ?? 0), 0),
  entryCount: disks.reduce((sum, { log }) => sum + (log?.entryCount ?? 0), 0),
  uploadedAt: moment.uploadedAt,
});

/** Records the cycle in one transaction, unless a newer attempt claimed the item meanwhile (`FenceLost`). */
async function commit(context: ReplicationContext, attempt: Attempt, result: CycleResult): Promise<void> {
  const {
    cycle,
    record: { item },
  } = attempt;
  const now = context.clock.now();
  const rows: RowWrite[] = [];
  if (result.point) rows.push({ kind: 'insert', key: pointKey(cycle), value: result.point });
  if (cycle > 0) {
    const logs = result.disks.flatMap(({ log }) => (log ? [log] : []));
    const value: CycleRecord = { cycle, appliedAt: now.toISOString(), logs };
    rows.push({ kind: 'insert', key: cycleKey(cycle), value });
  }
  let closed: readonly HourBucket[] = [];
  await updateItem(
    context.storage.items,
    item,
    (current) => {
      if (current.applying?.attempt !== attempt.token) {
        throw new LifeboatError('FenceLost', `A newer attempt applies cycle ${cycle} of item ${item}.`);
      }
      const after = itemAfter(current, cycle, result, now);
      if (cycle === 0) return after;
      const interval = context.policy?.replicationIntervalSeconds ?? defaultIntervalSeconds;
      const folded = foldCycle(current.series ?? startSeries(now), sampleOf(result, now), interval);
      closed = folded.closed;
      return withHealth(context, { ...after, series: folded.series });
    },
    // Hours that are over become rows of their own, with the cycle that ended them.
    () => [...rows, ...closed.map(hourRow)],
  );
  context.fault('apply.afterCommit');
}

/**
 * Merges the logs of all disks, several at once: each page blob has limits of its own. The first error stops the others
 * and is thrown when none of them has anything in flight any more.
 */
async function mergeLogs(
  context: ReplicationContext,
  { item, cycle }: { item: string; cycle: number },
  logs: readonly CheckedLog[],
  signal: AbortSignal,
): Promise<MergedLog[]> {
  const merged: MergedLog[] = [];
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  await forEachBounded(logs.entries(), { concurrency: disksAtOnce }, async ([index, log]) => {
    try {
      throwIfLost(signal, item);
      const about = { item, cycle, disk: log.disk.disk, dataBytes: log.verified.dataBytes };
      merged[index] = await measuredMerge(context, about, () => mergeLog(context, item, log, stop));
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  return merged;
}

/**
 * Applies a checked cycle: it must follow the last applied one (assertion). Holds only under the item's lock; `signal`
 * aborts when the lock is lost. After an error nothing is recorded and the cycle may be applied again from the start.
 */
export async function applyCycle(
  context: ReplicationContext,
  item: string,
  cycle: number,
  logs: readonly CheckedLog[],
  signal: AbortSignal,
): Promise<void> {
  const attempt = await claim(context, item, cycle);
  context.fault('apply.afterClaim');
  throwIfLost(signal, item);
  const merged = await mergeLogs(context, { item, cycle }, logs, signal);
  throwIfLost(signal, item);
  const moment = momentOf(logs);
  const result: CycleResult = {
    moment,
    disks: merged.map(({ disk, fence, applied }, index) => ({
      ...{ disk, fence, log: applied },
      isResync: logs[index]?.isResync ?? false,
      isPart: logs[index] ? isPart(logs[index]) : false,
    })),
  };
  // Between the parts of a resynchronization a replica is of no moment at all.
  const isWhole = result.disks.every((each) => !each.isPart);
  if (isWhole && cycle >= attempt.record.consistentFromCycle) {
    const included = new Set(result.disks.map(({ disk }) => disk));
    result.point = await telemetryOf(context).span('lifeboat.cycle.snapshot', { ids: { item, cycle } }, () =>
      snapshotAll(context, attempt, moment, included),
    );
    throwIfLost(signal, item);
  }
  const recorded = {
    ids: { item, cycle },
    attributes: result.point ? { 'lifeboat.recoverypoint': result.point.id } : {},
  };
  await telemetryOf(context).span('lifeboat.cycle.record', recorded, () => commit(context, attempt, result));
  for (const { blob } of logs) {
    await context.storage.deltas.delete(blob.name, blob.etag);
    context.fault('apply.afterLogDelete');
  }
}

/**
 * Records the initial copy itself as recovery point 0: the source vouched that all disks show the moment `takenAt`.
 * Called before cycle 1, under the item's lock.
 */
export async function recordBaseline(
  context: ReplicationContext,
  item: string,
  takenAt: string,
): Promise<void> {
  const attempt = await claim(context, item, 0);
  const disks: DiskResult[] = [];
  for (const row of joinedDisks(attempt.record)) {
    const { sequenceNumber } = await raiseFence(context, item, row);
    disks.push({ disk: row.disk, fence: sequenceNumber, isResync: false });
  }
  const moment: Moment = {
    takenAt,
    takenAtFrom: 'source',
    consistency: 'crash',
    moment: null,
    uploadedAt: takenAt,
  };
  const included = new Set(disks.map(({ disk }) => disk));
  const point = await snapshotAll(context, attempt, moment, included);
  await commit(context, attempt, { moment, disks, point });
}
