// Work on an item that must not overlap with its drain: under the same lock.
import { LifeboatError } from '../errors.ts';
import type { ReplicationContext } from './context.ts';

/** Runs `work` under the item's lock. False, with nothing done, while somebody else holds it: try again later. */
export async function withItemLock(
  context: ReplicationContext,
  item: string,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<boolean> {
  const lock = await context.storage.locks.tryAcquire(item);
  if (!lock) return false;
  try {
    await work(lock.lost);
    if (lock.lost.aborted)
      throw new LifeboatError('FenceLost', `The lock of item ${item} was lost; the step is repeated.`);
    return true;
  } finally {
    await lock.release();
  }
}
