// What a new version needs beside the rows that it reads: entries that an earlier version did not write. Done once for an account,
// by whichever process comes first; several at once do the same, and a death in between is made good by the next.
import * as z from 'zod';
import { plan } from '../agenda/agenda.ts';
import { listJobs, markRunning } from '../jobs/jobStore.ts';
import { isOver } from '../jobs/job.ts';
import { findItem, listItemIds } from '../protection/itemStore.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { rowVersions } from './rowVersions.ts';

const partition = 'meta';
const key = 'state';
const stateRow = z.object({ version: z.number() });

/** Version 2: timers look at what is planned, and after jobs that are listed as running. */
async function planAndListWork(context: ReplicationContext): Promise<void> {
  const { storage, clock } = context;
  for await (const item of listItemIds(storage.vault)) {
    const record = await findItem(storage.items, item);
    if (!record || Object.keys(record.agenda).length > 0) continue;
    for (const kind of ['health', 'retention'] as const)
      await plan(context, kind, item, clock.now().toISOString());
  }
  for await (const job of listJobs(storage.jobs)) if (!isOver(job)) await markRunning(storage.jobs, job.id);
}

/** Brings the account's state to this version. Cheap when there is nothing to do: one row is read. May be repeated. */
export async function upgradeState(context: ReplicationContext): Promise<void> {
  const { vault } = context.storage;
  const row = await vault.find(partition, key);
  const version = row ? stateRow.parse(row.value).version : 1;
  if (version >= rowVersions.current) return;
  if (version < 2) await planAndListWork(context);
  await vault.transact(partition, [{ kind: 'put', key, value: { version: rowVersions.current } }]);
  context.log(`the state is of version ${rowVersions.current} now`);
}
