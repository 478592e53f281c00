// What follows from a failure, whichever side had it: a transient one is put on the retry ladder, a fatal one stops until an
// administrator acts, and one after which changes may be missing marks the disks for resynchronization.
import { plan } from '../agenda/agenda.ts';
import { LifeboatError, errorCatalogue, isLifeboatError, toErrorRecord } from '../errors.ts';
import { afterFailure, afterSuccess, isDue } from '../retry/retryState.ts';
import type { Failure } from '../retry/retryState.ts';
import { telemetryOf } from '../replication/context.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { drainItem } from '../replication/drain.ts';
import type { DrainOptions, DrainReport } from '../replication/drain.ts';
import type { ItemRecord } from './item.ts';
import { withHealth } from './health.ts';
import { findItem, getItem, updateItem } from './itemStore.ts';
import { markForResync } from './resyncMarks.ts';
import type { ResyncReason } from './resyncMarks.ts';

const divergentReasons: ReadonlySet<string> = new Set<ResyncReason>([
  'TrackingLost',
  'DiskChangedOffline',
  'ReplicaRolledBack',
  'LogChainBroken',
]);

export interface ReportedFailure extends Failure {
  /** The disks that it is about; all when omitted. */
  disks?: readonly string[];
  /** When it happened; now when omitted. */
  at?: Date;
}

/** Records the failure. The same one again (same time) changes nothing. Returns the item after it. */
export async function recordFailure(
  context: ReplicationContext,
  item: string,
  { disks, at = context.clock.now(), ...failure }: ReportedFailure,
): Promise<ItemRecord> {
  if (errorCatalogue[failure.code].kind === 'divergent' && divergentReasons.has(failure.code)) {
    const record = await getItem(context.storage.items, item);
    const ids = disks ?? record.disks.map(({ disk }) => disk);
    await markForResync(context, item, ids, failure.code as ResyncReason, failure.message);
    return getItem(context.storage.items, item);
  }
  const record = await updateItem(context.storage.items, item, (current) =>
    withHealth(context, { ...current, retry: afterFailure(current.retry, failure, at) }),
  );
  context.fault('failure.afterRow');
  if (record.retry?.nextAttemptAt) await plan(context, 'retry', item, record.retry.nextAttemptAt);
  return record;
}

/** The other workers' news, not failures: somebody else is at it, or the log was replaced. */
const isHarmless = (error: unknown): boolean =>
  isLifeboatError(error, 'FenceLost', 'PreconditionFailed', 'LogChanged', 'ConcurrentUpdate');

/**
 * `drainItem` for triggers: waits for the ladder (`deferred`), and puts a failure on it instead of throwing (`failed`), so
 * that the attempts come at its times, however many triggers there are.
 */
export async function drainOnLadder(
  context: ReplicationContext,
  item: string,
  options: DrainOptions = {},
): Promise<Pick<DrainReport, 'appliedCycles'> & { outcome: DrainReport['outcome'] | 'deferred' | 'failed' }> {
  const before = await findItem(context.storage.items, item);
  const retry = before?.retry;
  if (retry?.side === 'service' && !isDue(retry, context.clock.now()))
    return { outcome: 'deferred', appliedCycles: [] };
  try {
    const report = await telemetryOf(context).span('lifeboat.item.drain', { ids: { item } }, () =>
      drainItem(context, item, options),
    );
    if (retry?.side === 'service' && report.outcome !== 'busy') await clearServiceFailure(context, item);
    return report;
  } catch (error) {
    const { code, message } = toErrorRecord(error);
    context.log(`draining ${item} failed: ${code}: ${message}`);
    if (isHarmless(error)) return { outcome: 'failed', appliedCycles: [] };
    const found = await findItem(context.storage.items, item);
    if (!found) return { outcome: 'unknown', appliedCycles: [] };
    const isDivergent = error instanceof LifeboatError && error.kind === 'divergent';
    // The drain itself has marked the disks that it is about.
    if (!isDivergent) await recordFailure(context, item, { side: 'service', code, message });
    telemetryOf(context).record('lifeboat.retry', 1, { code });
    telemetryOf(context).event('drain.failed', `draining ${item} failed`, { item, code });
    return { outcome: 'failed', appliedCycles: [] };
  }
}

async function clearServiceFailure(context: ReplicationContext, item: string): Promise<void> {
  await updateItem(context.storage.items, item, (record) => {
    const retry = afterSuccess(record.retry, 'service');
    return retry === record.retry ? record : withHealth(context, { ...record, retry });
  });
}

/** The timer's look at an item whose ladder is due. See lib/agenda. */
export async function lookAtRetry(
  context: ReplicationContext,
  record: ItemRecord,
  options: DrainOptions,
): Promise<string | null> {
  // The source's own attempts are the source's: it reads the times from its assignment.
  if (record.retry?.side !== 'service') return null;
  await drainOnLadder(context, record.item, options);
  return (await findItem(context.storage.items, record.item))?.retry?.nextAttemptAt ?? null;
}
