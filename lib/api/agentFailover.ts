// What a source host hears of failovers in its assignment, and what it reports: that its machine is off, and that the changes of
// the recovered machine are written.
import * as z from 'zod';
import type { ItemRecord } from '../protection/item.ts';
import { failbackWork, reportFailbackApplied } from '../recovery/failback.ts';
import { reportSourceStopped } from '../recovery/failover.ts';
import { LifeboatError } from '../errors.ts';
import { getItem } from '../protection/itemStore.ts';
import { replicaName } from '../replication/names.ts';
import { maxFineBlocks } from '../resync/digestFormat.ts';
import { failbackScope } from '../resync/names.ts';
import { fineDigests } from '../resync/replicaDigests.ts';
import { diskOf, itemOf } from './agentReports.ts';
import { parseBody } from './body.ts';
import type { ApiContext, Handler } from './http.ts';

/** Null while no failover asks anything of the source. */
export function failoverOf({ failover, state }: ItemRecord) {
  if (!failover || !state.endsWith('FailoverInitiated')) return null;
  const { jobId, kind, source, finalCycle } = failover;
  return { jobId, kind, source, finalCycle };
}

/** The disks that a failback wants written, with URLs that read the recovery point; null while there is nothing to write. */
export async function failbackOf({ replication, signer, settings }: ApiContext, record: ItemRecord) {
  const work = await failbackWork(replication, record);
  if (!work) return null;
  const expiresAt = new Date(replication.clock.now().getTime() + settings.uploadUrlMinutes * 60_000);
  const disks = await Promise.all(
    work.disks.map(async ({ disk, sizeBytes, snapshotId, isApplied }) => ({
      ...{ disk, sizeBytes, snapshotId, isApplied },
      readUrl: await signer.recoveryPointReadUrl(replicaName(record.item, disk), snapshotId, expiresAt),
    })),
  );
  return { cycle: work.cycle, expiresAt: expiresAt.toISOString(), disks };
}

const stoppedBody = z.object({ finalCycle: z.number().int().min(0) });

/** POST …/failover/stopped: the machine is off, and this is the last cycle that was cut. */
export const reportStopped: Handler = async (context, request) => {
  const { finalCycle } = await parseBody(request, stoppedBody);
  const item = itemOf(request.params);
  const { replication, orchestrations } = context;
  const record = await reportSourceStopped(replication, orchestrations, item, finalCycle);
  return { status: 200, body: { item, failover: failoverOf(record) } };
};

const appliedBody = z.object({ cycle: z.number().int().min(1) });

/** POST …/disks/{disk}/failback/applied: the disk equals the recovery point; it was read back. */
export const reportApplied: Handler = async (context, request) => {
  const { cycle } = await parseBody(request, appliedBody);
  const { replication, orchestrations } = context;
  const about = { disk: diskOf(request.params), cycle };
  const record = await reportFailbackApplied(replication, orchestrations, itemOf(request.params), about);
  return { status: 200, body: { item: record.item, appliedDisks: record.failback?.appliedDisks ?? [] } };
};

const digestsBody = z.object({
  cycle: z.number().int().min(1),
  coarseBlocks: z.array(z.number().int().min(0)).min(1).max(maxFineBlocks),
});

/** POST …/disks/{disk}/failback/digests: digests of 4 KiB of the recovery point, so that the host reads only what differs. */
export const getFailbackDigests: Handler = async (context, request) => {
  const { cycle, coarseBlocks } = await parseBody(request, digestsBody);
  const { replication } = context;
  const [item, disk] = [itemOf(request.params), diskOf(request.params)];
  const record = await getItem(replication.storage.items, item);
  const work = await failbackWork(replication, record);
  const found = work?.cycle === cycle ? work.disks.find((each) => each.disk === disk) : undefined;
  if (!found) {
    const message = `No failback of item ${item} brings disk ${disk} home to cycle ${cycle} (any more). Ask for the assignment.`;
    throw new LifeboatError('OperationNotSupportedInState', message, { target: 'cycle' });
  }
  const { sizeBytes: diskSizeBytes, snapshotId } = found;
  const view = { blobName: replicaName(item, disk), diskSizeBytes, snapshotId };
  const scope = failbackScope(item, disk, cycle);
  const bytes = await fineDigests(replication.storage.replicas, scope, view, coarseBlocks);
  return { status: 200, headers: { 'content-type': 'application/octet-stream' }, bytes };
};
