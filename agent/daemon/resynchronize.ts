// The source's part of a resynchronization: the marked disks are compared with their replicas, the others send what changed,
// and all of it, of one frozen state, is the next cycle.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { isLifeboatError } from '../../lib/errors.ts';
import { compareDisk } from '../resync/compareDisk.ts';
import { JournalFile } from '../resync/comparisonJournal.ts';
import { writeResyncLog } from '../resync/resyncLog.ts';
import type { Assignment, DiskAssignment } from '../serviceClient.ts';
import type { FrozenCycle } from '../track/tracker.ts';
import { changesLog, pendingOf } from './cutCycle.ts';
import { findChainEnds } from './folderCycle.ts';
import {
  copiedDisks,
  freeze,
  frozenDiskOf,
  sourceViewOf,
  viewIdOf,
  type ItemContext,
} from './itemContext.ts';
import type { PendingLog } from './itemState.ts';

const reportEveryMs = 2000;

type Resync = NonNullable<Assignment['resync']>;

/** With the old reference if the tracker still has it; without, when every disk is compared anyway. */
async function freezeForResync(
  context: ItemContext,
  disks: readonly DiskAssignment[],
  resync: Resync,
): Promise<FrozenCycle> {
  const isWhole = disks.every(({ disk }) => resync.disks.some((each) => each.disk === disk));
  const since = context.state.current.reference ?? undefined;
  if (since === undefined && isWhole) return freeze(context, undefined);
  try {
    // A reference that never was makes the tracker say that it lost track.
    return await freeze(context, since ?? 'none');
  } catch (error) {
    if (!isWhole || !isLifeboatError(error, 'TrackingLost')) throw error;
    return freeze(context, undefined);
  }
}

async function comparedLog(
  context: ItemContext,
  cycle: FrozenCycle,
  assigned: DiskAssignment,
  {
    resync,
    number,
    uniqueId = randomUUID(),
  }: { resync: Resync; number: number; uniqueId: string | undefined },
): Promise<PendingLog> {
  const { item, client, spool, signal } = context;
  const { disk } = assigned;
  const { reader } = frozenDiskOf(cycle, assigned);
  const { generation } = resync;
  let reportedMs = 0;
  await using journal = new JournalFile(join(context.folder, `${disk}.compare`));
  const comparison = await compareDisk(sourceViewOf(reader), client.digests({ item, disk, generation }), {
    scope: { item, disk, generation: String(generation) },
    sourceId: viewIdOf(cycle, reader),
    journal,
    // Logs travel in blocks: there is no size at which one upload would be too large.
    maxDifferingBytes: Number.POSITIVE_INFINITY,
    pollDelayMs: 1000,
    signal,
    onProgress: ({ bytesCompared, bytesTotal, differingBytes, remainingMs }) => {
      context.report({ doing: `comparing ${disk}`, doneBytes: bytesCompared, totalBytes: bytesTotal });
      if (Date.now() - reportedMs < reportEveryMs) return;
      reportedMs = Date.now();
      const remainingSeconds = remainingMs === undefined ? null : Math.ceil(remainingMs / 1000);
      // Only for the display: what it says is not worth an error.
      void client
        .reportComparison(item, {
          generation,
          comparedBytes: bytesCompared,
          differingBytes,
          remainingSeconds,
        })
        .catch(() => undefined);
    },
  });
  const path = spool.pathOf(item, number, disk);
  const options = { uniqueId, createdAt: cycle.takenAt, replace: true, signal };
  const log = await writeResyncLog(path, reader, comparison, options);
  context.log(`${item}/${disk}: ${comparison.differingBytes} bytes differ`);
  return { disk, path, sizeBytes: log.sizeBytes, sha256: log.sha256, uniqueId };
}

/** Freezes, compares and makes the logs; false while the service is not ready. May be called again: what an earlier run of the same state compared is known. */
export async function cutResync(
  context: ItemContext,
  assignment: Assignment,
  resync: Resync,
): Promise<boolean> {
  if (resync.isPaused || resync.phase === 'digesting') return false;
  const disks = copiedDisks(assignment);
  const number = assignment.nextCycle ?? 0;
  // Resynchronizations end an outage: their logs are written whatever the quota says.
  await context.spool.prepare();
  const ends = context.logFolders && (await findChainEnds(context, context.logFolders));
  context.report({ doing: 'freezing for a resynchronization' });
  const cycle = await freezeForResync(context, disks, resync);
  const logs: PendingLog[] = [];
  for (const assigned of disks) {
    const isCompared = resync.disks.some(({ disk }) => disk === assigned.disk);
    const end = ends?.get(assigned.disk);
    const log = isCompared
      ? await comparedLog(context, cycle, assigned, { resync, number, uniqueId: end?.uniqueId })
      : await changesLog(context, cycle, assigned, number, end?.uniqueId);
    logs.push({ ...log, covers: end?.covers });
  }
  await cycle.check?.();
  await context.state.update({
    pending: pendingOf(cycle, assignment, logs),
    lastFrozenAt: cycle.takenAt.toISOString(),
  });
  return true;
}
