// What a source host reports: the end of a disk's copy, its snapshot, its failures. Each may be sent again.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { findJob } from '../jobs/jobStore.ts';
import { recordFailure } from '../protection/failures.ts';
import type { ItemRecord } from '../protection/item.ts';
import { getItem, updateItem } from '../protection/itemStore.ts';
import { reportProgress } from '../protection/itemJobs.ts';
import { changedEvent } from '../protection/orchestrations.ts';
import { completeInitialReplication } from '../replication/replicas.ts';
import { sourceFailure } from '../retry/catalogue.ts';
import { parseBody } from './body.ts';
import { phaseOf } from './agent.ts';
import type { ApiContext, Handler } from './http.ts';

export const itemOf = (params: Readonly<Record<string, string>>): string =>
  (params['item'] ?? '').toLowerCase();
export const diskOf = (params: Readonly<Record<string, string>>): string =>
  (params['disk'] ?? '').toLowerCase();

/** Wakes the item's job, if one runs: what it waits for may have come. */
export async function wakeJob(context: ApiContext, { currentJob }: ItemRecord): Promise<void> {
  if (currentJob !== null) await context.orchestrations.raiseEvent(currentJob, changedEvent);
}

const completeBody = z.object({
  pointInTime: z.iso.datetime({ offset: true }).optional(),
  consistentFromCycle: z.number().int().min(1).optional(),
});

/** POST …/initialReplication/complete. */
export const completeDisk: Handler = async (context, request) => {
  const { pointInTime, consistentFromCycle } = await parseBody(request, completeBody);
  if (pointInTime !== undefined && (consistentFromCycle ?? 1) > 1) {
    const message =
      'A copy of one point in time is consistent from the start: send pointInTime or consistentFromCycle, not both.';
    throw new LifeboatError('InvalidRequest', message, { target: 'consistentFromCycle' });
  }
  const item = itemOf(request.params);
  const disk = diskOf(request.params);
  const record = await completeInitialReplication(context.replication, item, disk, {
    pointInTime: pointInTime === undefined ? undefined : new Date(pointInTime).toISOString(),
    consistentFromCycle,
  });
  const remaining = record.disks.filter(({ arrivedAt }) => arrivedAt === null).map((row) => row.disk);
  await wakeJob(context, record);
  return { status: 200, body: { item, disk, phase: phaseOf(record), remainingDisks: remaining } };
};

const snapshotBody = z.object({ state: z.enum(['taken', 'released']) });

/** POST …/snapshot: the snapshot that the disks are copied from was taken, or released. */
export const reportSnapshot: Handler = async (context, request) => {
  const { state } = await parseBody(request, snapshotBody);
  const item = itemOf(request.params);
  const record = await updateItem(context.replication.storage.items, item, (current) => {
    const isWanted = current.sourceSnapshot === 'requested' || current.sourceSnapshot === 'held';
    const taken = isWanted ? ('held' as const) : current.sourceSnapshot;
    return { ...current, sourceSnapshot: state === 'taken' ? taken : 'none' };
  });
  await wakeJob(context, record);
  return { status: 200, body: { item, snapshot: record.sourceSnapshot } };
};

const failureBody = sourceFailure.extend({
  occurredAt: z.iso.datetime({ offset: true }).optional(),
  disks: z.array(z.string().toLowerCase()).max(64).optional(),
});

/** POST …/failures: what the host could not do. The answer says when to try again. */
export const reportFailure: Handler = async (context, request) => {
  const { code, message, occurredAt, disks } = await parseBody(request, failureBody);
  const item = itemOf(request.params);
  const before = await getItem(context.replication.storage.items, item);
  const unknown = disks?.find((disk) => !before.disks.some((row) => row.disk === disk));
  if (unknown !== undefined)
    throw new LifeboatError('DiskNotProtected', `Item ${item} has no protected disk "${unknown}".`, {
      target: unknown,
    });
  const now = context.replication.clock.now();
  const at = occurredAt === undefined ? now : new Date(Math.min(now.getTime(), Date.parse(occurredAt)));
  const record = await recordFailure(context.replication, item, {
    ...{ side: 'source', code, message, at },
    ...(disks ? { disks } : {}),
  });
  const marked = record.disks.filter(({ resync }) => resync !== null).map(({ disk }) => disk);
  return {
    status: 200,
    body: { item, nextAttemptAt: record.retry?.nextAttemptAt ?? null, resyncDisks: marked },
  };
};

const progressBody = z.object({
  generation: z.number().int().min(1),
  comparedBytes: z.number().int().min(0),
  differingBytes: z.number().int().min(0),
  remainingSeconds: z.number().int().min(0).nullish(),
});

/** POST …/resync/progress: how far the source's comparison is; shown in the job. */
export const reportComparison: Handler = async (context, request) => {
  const { generation, comparedBytes, differingBytes, remainingSeconds } = await parseBody(
    request,
    progressBody,
  );
  const { storage } = context.replication;
  const item = itemOf(request.params);
  const record = await updateItem(storage.items, item, (current) =>
    current.resync?.generation === generation
      ? { ...current, resync: { ...current.resync, comparedBytes, differingBytes } }
      : current,
  );
  const { resync } = record;
  if (
    resync?.generation === generation &&
    resync.phase === 'comparing' &&
    (await findJob(storage.jobs, resync.jobId))
  ) {
    const totalBytes = Object.values(resync.digests).reduce(
      (sum, { diskSizeBytes }) => sum + diskSizeBytes,
      0,
    );
    await reportProgress(context.replication, resync.jobId, {
      ...{ doneBytes: Math.min(comparedBytes, totalBytes), totalBytes },
      remainingSeconds: remainingSeconds ?? null,
    });
  }
  return {
    status: 200,
    body: { item, isCurrent: resync?.generation === generation, isPaused: resync?.isPaused ?? false },
  };
};
