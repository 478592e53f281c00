// Beginning a resynchronization: by hand at once, or by the timer inside the policy's window.
import { LifeboatError } from '../errors.ts';
import type { JobRecord } from '../jobs/job.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { isInWindow, nextOpening } from '../schedule/resyncWindow.ts';
import { findPolicy } from '../vault/policies.ts';
import { allows } from './allowed.ts';
import type { ItemRecord } from './item.ts';
import { findItem, getItem } from './itemStore.ts';
import { beginJob, isoNow, whenAllowed } from './itemJobs.ts';
import { changedEvent } from './orchestrations.ts';
import type { OrchestrationClient } from './orchestrations.ts';
import { markedDisks, needsResync, withMark } from './resyncMarks.ts';
import { releaseResyncSlot, takeResyncSlot } from './resyncSlots.ts';

/** Between two looks at an item that waits for a slot. */
const slotPauseMs = 60_000;

interface Start {
  startedBy: 'schedule' | 'user';
  /** Marked besides those that are. */
  disks: readonly string[];
}

async function begin(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
  { startedBy, disks }: Start,
): Promise<JobRecord> {
  const markedAt = isoNow(context);
  return beginJob(context, orchestrations, {
    ...{ item, kind: 'resynchronize' },
    input: { startedBy },
    change: whenAllowed('RepairReplication', (record) => ({
      ...record,
      disks: record.disks.map((row) =>
        disks.includes(row.disk)
          ? withMark(row, 'Requested', 'An administrator asked for it.', markedAt)
          : row,
      ),
    })),
  });
}

/**
 * Resynchronizes at once, whatever the window says: the marked disks, or when none is marked all of them (or `disks`).
 * Throws `OperationNotSupportedInState`, `ItemBusy`.
 */
export async function repairReplication(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
  disks?: readonly string[],
): Promise<JobRecord> {
  const record = await getItem(context.storage.items, item);
  const unknown = disks?.find((disk) => !record.disks.some((row) => row.disk === disk));
  if (unknown !== undefined) {
    const known = record.disks.map(({ disk }) => disk).join(', ');
    throw new LifeboatError(
      'DiskNotProtected',
      `Item ${item} has no protected disk "${unknown}"; it has ${known}.`,
    );
  }
  const marked = markedDisks(record).map(({ disk }) => disk);
  const wanted = disks ?? (marked.length > 0 ? marked : record.disks.map(({ disk }) => disk));
  return begin(context, orchestrations, item, { startedBy: 'user', disks: wanted });
}

/** The timer's look at a marked item: begins, or says when to look again. See lib/agenda. */
export async function lookAtResync(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  record: ItemRecord,
  slots: number,
): Promise<string | null> {
  const now = context.clock.now();
  const later = (ms: number) => new Date(now.getTime() + ms).toISOString();
  if (record.resync?.isPaused) await orchestrations.raiseEvent(record.resync.jobId, changedEvent);
  if (!needsResync(record) || record.resync) return null;
  const policy = await findPolicy(context.storage.vault, record.policy);
  if (policy && !isInWindow(policy.resyncWindow, now))
    return nextOpening(policy.resyncWindow, now).toISOString();
  if (record.pausedAt !== null || !allows(record, 'RepairReplication')) return later(slotPauseMs);
  const jobOf = async (item: string) => (await findItem(context.storage.items, item))?.currentJob ?? null;
  if (!(await takeResyncSlot(context.storage, record.item, slots, jobOf))) return later(slotPauseMs);
  try {
    await begin(context, orchestrations, record.item, { startedBy: 'schedule', disks: [] });
  } catch (error) {
    await releaseResyncSlot(context.storage, record.item);
    throw error;
  }
  // Looked at again, in case the job ends without mending what is marked.
  return later(60 * slotPauseMs);
}
