// Draining an item: everything under deltas/<item>/ is applied in cycle order, one cycle at a time, under the item's lock.
// Triggers may come late, twice, out of order or not at all: what is done depends only on what lies in storage.
import { LifeboatError, errorCatalogue } from '../errors.ts';
import { baselineOf, withHealthError } from '../protection/item.ts';
import type { HealthError, ItemRecord } from '../protection/item.ts';
import { findItem, getItem, pointKey, updateItem } from '../protection/itemStore.ts';
import { mergesIn } from '../protection/states.ts';
import { markForResync } from '../protection/resyncMarks.ts';
import type { BlobInfo } from '../storage/ports.ts';
import { findPolicy } from '../vault/policies.ts';
import { applyCycle, recordBaseline } from './applyCycle.ts';
import { checkCycle, settleStaleLog } from './checkCycle.ts';
import type { ReplicationContext } from './context.ts';
import { formatDeltaName, parseDeltaName, replicaName } from './names.ts';
import { measuredCycle } from './measured.ts';
import { listPendingLogs, missingLogs, versionOf } from './pending.ts';
import type { PendingLogs } from './pending.ts';
import { notePendingBytes } from './pendingBytes.ts';
import { isComparisonStale } from './staleComparison.ts';
import { isSetApart, supersedeLog } from './supersede.ts';
import { refuseLog } from './refuse.ts';

export interface DrainOptions {
  /** Stop between cycles after this time, so that the work fits into one function invocation. */
  stopAt?: Date;
  signal?: AbortSignal;
}

/**
 * Why draining ended: `idle` nothing is left; `busy` another worker drains the item and will see what is there;
 * `unknown` there is no such item; `notReady` initial replication is not complete; `waiting` a cycle lacks logs;
 * `refused` a log was quarantined; `more` the time was up; `blocked` a disk must be resynchronized first.
 */
export type DrainOutcome =
  'idle' | 'busy' | 'unknown' | 'notReady' | 'waiting' | 'refused' | 'more' | 'blocked';

export interface DrainReport {
  outcome: DrainOutcome;
  appliedCycles: number[];
}

/** Keeps the health error `LogsMissing` equal to what the listing says. */
async function showMissing(
  context: ReplicationContext,
  record: ItemRecord,
  pending: PendingLogs,
): Promise<void> {
  const next = record.appliedCycle + 1;
  const missing = missingLogs(pending, record, next);
  const isOutrun = [...pending.waiting.keys()].some((cycle) => cycle > next);
  await updateItem(context.storage.items, record.item, (current) => {
    const others = current.healthErrors.filter(({ code }) => code !== 'LogsMissing');
    const shown = current.healthErrors.find(({ code }) => code === 'LogsMissing');
    if (!isOutrun || missing.length === 0) return shown ? { ...current, healthErrors: others } : current;
    const error: HealthError = {
      code: 'LogsMissing',
      level: 'Warning',
      message: `Cycle ${next} waits for ${missing.join(', ')}; later cycles have arrived. Upload the named logs.`,
      subject: record.item,
      raisedAt: context.clock.now().toISOString(),
      clearedByCycle: next,
    };
    return shown?.message === error.message
      ? current
      : { ...current, healthErrors: withHealthError(others, error) };
  });
}

/**
 * A log of the old chain that came while its item is compared. Of a disk that is not compared it takes changes along: the
 * comparison must begin anew, with that disk in it.
 */
async function supersedeLate(context: ReplicationContext, record: ItemRecord, blob: BlobInfo): Promise<void> {
  const disk = parseDeltaName(blob.name)?.disk ?? '';
  const row = record.disks.find((each) => each.disk === disk);
  if (row && row.resync === null && row.joinedAtCycle !== null) {
    const message = `${blob.name} came while the item was compared, and was set aside.`;
    await markForResync(context, record.item, [disk], 'LogLost', message);
    await updateItem(context.storage.items, record.item, (current) =>
      current.resync ? { ...current, resync: { ...current.resync, isStale: true } } : current,
    );
  }
  await supersedeLog(context, blob);
}

async function settleOddities(
  context: ReplicationContext,
  record: ItemRecord,
  pending: PendingLogs,
): Promise<void> {
  for (const blob of pending.stale) await settleStaleLog(context, record.item, blob);
  for (const blob of pending.superseded) await supersedeLate(context, record, blob);
  for (const blob of pending.unexpected) {
    const expected = formatDeltaName({ item: record.item, cycle: record.appliedCycle + 1, disk: '<disk>' });
    const disks = record.disks.map(({ disk }) => disk).join(' or ');
    const message =
      parseDeltaName(blob.name) && record.disks.some(({ disk }) => blob.name.endsWith(`/${disk}.hrl`))
        ? `${blob.name} is not what the assignment asks for: a disk that was added joins with a log of kind "resync" when it has arrived, and one that is resynchronized takes no other.`
        : `${blob.name} is not the name of a log of this item; names look like ${expected} with disk ${disks}.`;
    await refuseLog(context, record.item, blob, new LifeboatError('LogUnexpected', message));
  }
}

/** What keeps the replica from being written must be seen, however often the drain is tried again. */
async function showReplicaError(
  context: ReplicationContext,
  item: string,
  error: LifeboatError,
): Promise<void> {
  await updateItem(context.storage.items, item, (record) => ({
    ...record,
    healthErrors: withHealthError(record.healthErrors, {
      code: error.code,
      level: 'Critical',
      message: `${error.message} ${errorCatalogue[error.code].recommendedAction}`,
      subject: error.target ?? item,
      raisedAt: context.clock.now().toISOString(),
      clearedByCycle: record.appliedCycle + 1,
    }),
  }));
  // Only the source can say what a replica should hold that is older than its rows.
  if (error.code !== 'ReplicaRolledBack') return;
  const { disks } = await getItem(context.storage.items, item);
  const rolledBack = disks.filter(({ disk }) => error.target === replicaName(item, disk));
  const ids = rolledBack.map(({ disk }) => disk);
  await markForResync(context, item, ids, 'ReplicaRolledBack', error.message);
}

async function recordBaselineOnce(context: ReplicationContext, record: ItemRecord): Promise<void> {
  const moment = baselineOf(record);
  if (record.appliedCycle > 0 || moment === undefined) return;
  if (await context.storage.items.find(record.item, pointKey(0))) return;
  await recordBaseline(context, record.item, moment);
}

interface Round {
  outcome: DrainOutcome;
  seen: ReadonlySet<string>;
}

/** Every disk that recovery points include is here, under our lease. */
const hasArrived = ({ disks }: ItemRecord): boolean =>
  disks.every(({ arrivedAt, joinedAtCycle }) => arrivedAt !== null || joinedAtCycle === null);

/** A disk's replica is not what its next log builds on, and no resynchronization that mends it has begun. */
const isBlocked = (record: ItemRecord): boolean =>
  !isSetApart(record) && record.disks.some(({ resync }) => resync?.blocksMerging === true);

/** Checks and applies the cycle that follows; false when a log of it was refused. */
function applyNext(
  context: ReplicationContext,
  record: ItemRecord,
  logs: ReadonlyMap<string, BlobInfo>,
  signal: AbortSignal,
): Promise<boolean> {
  const { item } = record;
  const cycle = record.appliedCycle + 1;
  return measuredCycle(context, { item, cycle, logs }, async () => {
    using checked = await checkCycle(context, record, logs);
    if (!checked) return false;
    context.fault('drain.afterCheck');
    await applyCycle(context, item, cycle, checked.logs, signal);
    return true;
  });
}

type Looked = { end: Round } | { logs: ReadonlyMap<string, BlobInfo>; seen: ReadonlySet<string> };

/** What can be done for the item now: the logs of its next cycle, or why there is nothing. */
async function look(context: ReplicationContext, record: ItemRecord): Promise<Looked> {
  const pending = await listPendingLogs(context.storage.deltas, record);
  const { seen } = pending;
  await settleOddities(context, record, pending);
  await showMissing(context, record, pending);
  const next = record.appliedCycle + 1;
  const logs = pending.waiting.get(next);
  const isComplete = logs && missingLogs(pending, record, next).length === 0;
  const isWaiting = pending.waiting.size > 0 && !isComplete;
  await notePendingBytes(context, record, pending, isWaiting || isBlocked(record));
  if (isBlocked(record)) return { end: { outcome: 'blocked', seen } };
  if (!isComplete) return { end: { outcome: isWaiting ? 'waiting' : 'idle', seen } };
  return { logs, seen };
}

async function drainLocked(
  context: ReplicationContext,
  item: string,
  signal: AbortSignal,
  applied: number[],
  stopAt?: Date,
): Promise<Round> {
  for (;;) {
    const record = await findItem(context.storage.items, item);
    if (!record) return { outcome: 'unknown', seen: new Set() };
    if (!mergesIn(record.state) || !hasArrived(record)) return { outcome: 'notReady', seen: new Set() };
    await recordBaselineOnce(context, record);
    const looked = await look(context, record);
    if ('end' in looked) return looked.end;
    const { logs, seen } = looked;
    if (signal.aborted || (stopAt && context.clock.now() >= stopAt)) return { outcome: 'more', seen };
    if (await isComparisonStale(context, record)) return { outcome: 'blocked', seen };
    if (!(await applyNext(context, record, logs, signal))) return { outcome: 'refused', seen };
    const next = record.appliedCycle + 1;
    applied.push(next);
    context.log(`applied cycle ${next} of ${item} (${logs.size} disks)`);
  }
}

async function hasNews(
  context: ReplicationContext,
  item: string,
  seen: ReadonlySet<string>,
): Promise<boolean> {
  for await (const blob of context.storage.deltas.list(`${item}/`))
    if (!seen.has(versionOf(blob))) return true;
  return false;
}

/** Nothing more can be done with what was seen. */
const settledOutcomes: ReadonlySet<DrainOutcome> = new Set(['idle', 'waiting', 'refused', 'blocked']);

/** The context in which the item's policy wants its cycles merged. */
async function underPolicy(context: ReplicationContext, item: string): Promise<ReplicationContext> {
  const record = await findItem(context.storage.items, item);
  const policy = record && (await findPolicy(context.storage.vault, record.policy));
  if (!policy) return context;
  const verify = policy.verify === 'readback' ? 'readback' : (context.verify ?? 'none');
  return { ...context, verify, policy };
}

/**
 * Applies all that can be applied now. May be called at any time, by anyone, as often as they like.
 * Throws on transient failures (storage, lost fence): call again later, nothing is lost.
 */
export async function drainItem(
  base: ReplicationContext,
  item: string,
  options: DrainOptions = {},
): Promise<DrainReport> {
  const context = await underPolicy(base, item);
  const appliedCycles: number[] = [];
  for (;;) {
    const lock = await context.storage.locks.tryAcquire(item);
    if (!lock) return { outcome: 'busy', appliedCycles };
    let round: Round;
    try {
      const signal = options.signal ? AbortSignal.any([lock.lost, options.signal]) : lock.lost;
      round = await drainLocked(context, item, signal, appliedCycles, options.stopAt);
    } catch (error) {
      if (error instanceof LifeboatError && error.code.startsWith('Replica'))
        await showReplicaError(context, item, error);
      throw error;
    } finally {
      await lock.release();
    }
    // A trigger that came while we held the lock went away as `busy`; what it announced must be seen here.
    if (!settledOutcomes.has(round.outcome) || !(await hasNews(context, item, round.seen)))
      return { outcome: round.outcome, appliedCycles };
  }
}
