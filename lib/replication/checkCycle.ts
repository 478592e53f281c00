// Checking logs before the first byte of one is applied: structure, checksums, digest, bounds and chain. A log that
// fails is refused; the others of its cycle stay and wait for a correct one.
import { createHash } from 'node:crypto';
import { LifeboatError, assertInvariant, errorCatalogue } from '../errors.ts';
import { verifyHrl } from '../hrl/verify.ts';
import type { VerifiedHrl } from '../hrl/verify.ts';
import { forEachBounded } from '../merge/bounded.ts';
import { mergeMemory } from '../merge/byteBudget.ts';
import { KeptLog } from '../merge/keptLog.ts';
import { ZeroRunRecorder } from '../merge/knownZeros.ts';
import type { DiskRecord, ItemRecord } from '../protection/item.ts';
import { findCycle } from '../protection/itemStore.ts';
import { markForResync } from '../protection/resyncMarks.ts';
import { blobSource } from '../storage/blobSource.ts';
import type { BlobInfo, ByteRange } from '../storage/ports.ts';
import { telemetryOf } from './context.ts';
import type { ReplicationContext } from './context.ts';
import { parseDeltaName } from './names.ts';
import { refuseLog } from './refuse.ts';
import { startsChain } from './supersede.ts';

const readBytes = 8 * 1024 * 1024;
/** Logs of one cycle that are read at once: two keep the processor busy while the storage answers. */
const checksAtOnce = 2;

/** A log that may be applied to its disk. */
export interface CheckedLog {
  disk: DiskRecord;
  blob: BlobInfo;
  verified: VerifiedHrl;
  /** It starts a new chain: the disk is resynchronized by it, or joins with it. */
  isResync: boolean;
  /** Where the log has long runs of zeros; the merge clears them without having to read them again. */
  zeroRuns: ByteRange[];
  /** What the check read, as far as there was memory to keep it; the merge need not read that again. */
  kept: KeptLog;
}

/** The logs of a cycle that may be applied. Disposing gives back the memory that they are kept in; may be done twice. */
export interface CheckedCycle extends Disposable {
  logs: CheckedLog[];
}

interface Refusal {
  disk: DiskRecord;
  blob: BlobInfo;
  error: LifeboatError;
}

/** True for errors of the log itself, as opposed to storage that did not answer or a blob that changed meanwhile. */
function isRefusal(error: unknown): error is LifeboatError {
  return (
    error instanceof LifeboatError &&
    errorCatalogue[error.code].kind !== 'transient' &&
    error.code.startsWith('Log')
  );
}

async function checkLog(
  context: ReplicationContext,
  record: ItemRecord,
  disk: DiskRecord,
  blob: BlobInfo,
): Promise<CheckedLog> {
  const isResync = startsChain(record, disk, blob);
  const sha256 = blob.metadata['sha256'];
  const expected = {
    diskSizeBytes: disk.sizeBytes,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(disk.lastLogId === null || isResync ? {} : { previousUniqueId: disk.lastLogId }),
  };
  const zeros = new ZeroRunRecorder();
  const kept = new KeptLog(blob.sizeBytes, { scratch: context.scratch });
  const release = await mergeMemory.take(Math.min(2 * readBytes, blob.sizeBytes));
  try {
    const source = blobSource(context.storage.deltas, blob);
    const verified = await verifyHrl(source, expected, async (offsetBytes, bytes) => {
      zeros.take(offsetBytes, bytes);
      await kept.take(offsetBytes, bytes);
    });
    if (disk.resync?.reason === 'LogChainBroken' && !isResync) requirePredecessor(disk, blob, verified);
    return { disk, blob, verified, isResync, zeroRuns: zeros.runs(), kept };
  } catch (error) {
    kept[Symbol.dispose]();
    throw error;
  } finally {
    release();
  }
}

/** After the chain broke, only a log that names the last applied one proves that nothing is missing. */
function requirePredecessor({ lastLogId }: DiskRecord, blob: BlobInfo, { log }: VerifiedHrl): void {
  if (lastLogId === null || log.header.previousUniqueId === lastLogId) return;
  const message = `${blob.name} does not name ${lastLogId}, the last applied log, as its predecessor; the chain broke before.`;
  throw new LifeboatError('LogChainBroken', message, { target: blob.name });
}

/** Checks every log of a complete cycle. Refuses the bad ones and returns undefined if there was any. */
export async function checkCycle(
  context: ReplicationContext,
  record: ItemRecord,
  logs: ReadonlyMap<string, BlobInfo>,
): Promise<CheckedCycle | undefined> {
  const checked: CheckedLog[] = [];
  const refusals: Refusal[] = [];
  const cycle = disposable(checked);
  const work = record.disks.flatMap((disk) => {
    const blob = logs.get(disk.disk);
    if (blob) return [{ disk, blob }];
    // A disk that was added joins when it has a log; all others have one.
    assertInvariant(disk.joinedAtCycle === null, `${record.item}/${disk.disk} has a log in a complete cycle`);
    return [];
  });
  try {
    await forEachBounded(work.entries(), { concurrency: checksAtOnce }, async ([index, { disk, blob }]) => {
      try {
        const ids = { item: record.item, cycle: record.appliedCycle + 1, disk: disk.disk };
        checked[index] = await telemetryOf(context).span('lifeboat.log.check', { ids }, () =>
          checkLog(context, record, disk, blob),
        );
      } catch (error) {
        if (!isRefusal(error)) throw error;
        refusals[index] = { disk, blob, error };
      }
    });
    // In the order of the disks; most of them have none.
    for (const refusal of Object.values(refusals)) await refuse(context, record.item, refusal);
  } catch (error) {
    cycle[Symbol.dispose]();
    throw error;
  }
  if (refusals.length === 0) return cycle;
  cycle[Symbol.dispose]();
  return undefined;
}

function disposable(logs: CheckedLog[]): CheckedCycle {
  // Not every place is filled when the check fails on the way.
  return { logs, [Symbol.dispose]: () => logs.forEach(({ kept }) => kept[Symbol.dispose]()) };
}

async function refuse(
  context: ReplicationContext,
  item: string,
  { disk, blob, error }: Refusal,
): Promise<void> {
  // The mark first: a death in between refuses the log again.
  if (error.code === 'LogChainBroken')
    await markForResync(context, item, [disk.disk], 'LogChainBroken', error.message);
  await refuseLog(context, item, blob, error);
}

async function sha256Of(context: ReplicationContext, blob: BlobInfo): Promise<string> {
  const source = blobSource(context.storage.deltas, blob);
  const hash = createHash('sha256');
  for (let offset = 0; offset < source.sizeBytes; offset += readBytes) {
    hash.update(await source.read(offset, Math.min(readBytes, source.sizeBytes - offset)));
  }
  return hash.digest('hex');
}

/**
 * Settles a log whose cycle is applied already: the same bytes again are deleted (delivered twice, or a crash came
 * between the commit and the deletion), different bytes are refused.
 */
export async function settleStaleLog(
  context: ReplicationContext,
  item: string,
  blob: BlobInfo,
): Promise<void> {
  const name = parseDeltaName(blob.name);
  if (!name) throw new Error(`Invariant broken: ${blob.name} was listed as a stale log`);
  const cycle = await findCycle(context.storage.items, item, name.cycle);
  const applied = cycle?.logs.find(({ disk }) => disk === name.disk);
  const isSame =
    applied !== undefined &&
    (applied.etag === blob.etag ||
      (applied.logBytes === blob.sizeBytes && applied.sha256 === (await sha256Of(context, blob))));
  if (isSame) {
    await context.storage.deltas.delete(blob.name, blob.etag);
    context.fault('settle.afterDelete');
    return;
  }
  const error = new LifeboatError(
    'LogConflict',
    `Cycle ${name.cycle} is applied already, and ${blob.name} is a different log.`,
  );
  await refuseLog(context, item, blob, error);
}
