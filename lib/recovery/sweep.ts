// The orphan sweep: what failovers made and no item needs any more, because a process died at the one wrong moment, or
// protection was disabled under a test. It never removes what might be somebody's production: a machine goes only when the
// job that made it is known, is over, and was a test, or did not succeed, or was replaced or undone since.
import { findJob } from '../jobs/jobStore.ts';
import { isOver } from '../jobs/job.ts';
import type { JobRecord } from '../jobs/job.ts';
import type { ItemRecord } from '../protection/item.ts';
import { findItem } from '../protection/itemStore.ts';
import type { ItemJob } from '../protection/orchestrations.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { parseRecoveredDiskName } from './names.ts';
import { removeAll } from './recoverySteps.ts';

const isNeeded = (record: ItemRecord | undefined, jobId: string): boolean =>
  record !== undefined &&
  [
    ...[record.currentJob, record.testFailover?.jobId],
    ...[record.failover?.jobId, record.failback?.jobId],
  ].includes(jobId);

function isOrphan(record: ItemRecord | undefined, job: JobRecord | undefined): boolean {
  if (!job || !isOver(job) || isNeeded(record, job.id)) return false;
  if (job.kind === 'testFailover' || job.state !== 'Succeeded') return true;
  // A failover that succeeded and that the item does not name was undone or replaced. Without the item nobody knows.
  return record !== undefined;
}

/** Removes every orphan; returns what was removed. Safe at any time, and twice at once. What fails is left to the next sweep. */
export async function sweepOrphans(context: ReplicationContext): Promise<ItemJob[]> {
  const { storage, compute, log } = context;
  const seen = new Map<string, ItemJob>();
  const see = ({ item, jobId }: ItemJob): unknown => seen.set(`${item}/${jobId}`, { item, jobId });
  for await (const name of storage.recovered.listNames('')) {
    const parsed = parseRecoveredDiskName(name);
    if (parsed) see(parsed);
  }
  if (compute) for await (const leftover of compute.listLeftovers()) see(leftover);
  const removed: ItemJob[] = [];
  for (const each of seen.values()) {
    const [record, job] = await Promise.all([
      findItem(storage.items, each.item),
      findJob(storage.jobs, each.jobId),
    ]);
    if (!isOrphan(record, job)) continue;
    try {
      await removeAll(context, each);
      removed.push(each);
    } catch (error) {
      log(
        `${each.item}/${each.jobId} is left to the next sweep: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  return removed;
}
