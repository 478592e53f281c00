// How many resynchronizations run at once: each takes one of a few slots, a row each, and gives it back at its end. A slot
// whose job is over (its process died before giving it back) is free.
import { isLifeboatError } from '../errors.ts';
import { isOver } from '../jobs/job.ts';
import { findJob } from '../jobs/jobStore.ts';
import type { Storage } from '../storage/ports.ts';

const partition = 'resyncSlots';
const slotKey = (slot: number): string => `slot-${String(slot).padStart(4, '0')}`;

interface Slot {
  item: string;
}

async function isFree(
  storage: Pick<Storage, 'jobs' | 'items'>,
  value: unknown,
  jobOf: JobOfItem,
): Promise<boolean> {
  const jobId = await jobOf((value as Slot).item);
  if (jobId === null) return true;
  const job = await findJob(storage.jobs, jobId);
  return !job || job.kind !== 'resynchronize' || isOver(job);
}

/** The current job of an item; null = none, or no such item. */
export type JobOfItem = (item: string) => Promise<string | null>;

/** Takes a slot for the item, or finds the one that it has. False when all are taken. */
export async function takeResyncSlot(
  storage: Pick<Storage, 'jobs' | 'items' | 'vault'>,
  item: string,
  slots: number,
  jobOf: JobOfItem,
): Promise<boolean> {
  const rows = new Map<string, { etag: string; value: unknown }>();
  for await (const { key, etag, value } of storage.vault.list(partition)) rows.set(key, { etag, value });
  if ([...rows.values()].some(({ value }) => (value as Slot).item === item)) return true;
  for (let slot = 0; slot < slots; slot++) {
    const key = slotKey(slot);
    const row = rows.get(key);
    if (row && !(await isFree(storage, row.value, jobOf))) continue;
    const value: Slot = { item };
    try {
      await storage.vault.transact(partition, [
        row ? { kind: 'replace', key, value, etag: row.etag } : { kind: 'insert', key, value },
      ]);
      return true;
    } catch (error) {
      if (!isLifeboatError(error, 'PreconditionFailed')) throw error;
    }
  }
  return false;
}

/** Gives the item's slot back. May be repeated. */
export async function releaseResyncSlot({ vault }: Pick<Storage, 'vault'>, item: string): Promise<void> {
  for await (const { key, etag, value } of vault.list(partition)) {
    if ((value as Slot).item === item) await vault.transact(partition, [{ kind: 'delete', key, etag }]);
  }
}
