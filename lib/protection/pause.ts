// Pausing and resuming replication by hand. Paused: the source sends nothing, what has arrived is still merged. Resuming also
// ends the wait after a failure that does not pass by itself.
import type { ReplicationContext } from '../replication/context.ts';
import { plan } from '../agenda/agenda.ts';
import { requireOperation } from './allowed.ts';
import type { ItemRecord } from './item.ts';
import { updateItem } from './itemStore.ts';
import { isoNow } from './itemJobs.ts';
import { planResync } from './resyncMarks.ts';

/** May be called again. Throws `OperationNotSupportedInState`. */
export async function pauseReplication(context: ReplicationContext, item: string): Promise<ItemRecord> {
  const pausedAt = isoNow(context);
  const record = await updateItem(context.storage.items, item, (current) => {
    requireOperation(current, 'PauseReplication');
    return current.pausedAt === null ? { ...current, pausedAt } : current;
  });
  await plan(context, 'health', item, pausedAt);
  return record;
}

/** Ends a pause, and forgets a failure: both sides try again at once. May be called again. */
export async function resumeReplication(context: ReplicationContext, item: string): Promise<ItemRecord> {
  const record = await updateItem(context.storage.items, item, (current) => {
    requireOperation(current, 'PauseReplication');
    return current.pausedAt === null && current.retry === null
      ? current
      : { ...current, pausedAt: null, retry: null };
  });
  await plan(context, 'health', item, isoNow(context));
  await planResync(context, record);
  return record;
}
