// What is due when, so that a timer looks at the items that are due and at no others, however many there are.
//
// An entry is a row of partition `agenda:<kind>` whose key begins with its time: what is due is one range of keys. The
// item's own row names the time that counts (`agenda.<kind>`); an entry with another time is left over from a crash or an
// earlier plan and is dropped. The order makes that safe: the entry is written before the item's row names it, and deleted
// after the row names another; so whatever the row names has an entry.
import { findItem, updateItem } from '../protection/itemStore.ts';
import type { AgendaKind, ItemRecord } from '../protection/item.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { toErrorRecord } from '../errors.ts';

/** Entries of one kind that one tick takes; the rest is due at the next. */
const entriesPerTick = 2000;

const partitionOf = (kind: AgendaKind): string => `agenda:${kind}`;
const keyOf = (at: string, item: string): string => `${at}|${item}`;

/**
 * Writes the entry. The caller then stores `agenda.<kind> = at` in the item's row, in whatever change it makes; until then
 * the entry has no effect. `at` is an ISO time. May be repeated.
 */
export async function addEntry(
  { storage }: Pick<ReplicationContext, 'storage'>,
  kind: AgendaKind,
  item: string,
  at: string,
): Promise<void> {
  await storage.vault.transact(partitionOf(kind), [{ kind: 'put', key: keyOf(at, item), value: {} }]);
}

/** Plans the next look at the item and stores the time in its row. */
export async function plan(
  context: ReplicationContext,
  kind: AgendaKind,
  item: string,
  at: string,
): Promise<void> {
  await addEntry(context, kind, item, at);
  await updateItem(context.storage.items, item, (record) => withPlan(record, kind, at));
}

/** The record with the time in it; for changes that store it together with something else. */
export function withPlan(record: ItemRecord, kind: AgendaKind, at: string | null): ItemRecord {
  return record.agenda[kind] === at ? record : { ...record, agenda: { ...record.agenda, [kind]: at } };
}

/** Looks at one due item and says when to look again; null = not again until something plans it. */
export type DueHandler = (record: ItemRecord) => Promise<string | null>;

interface Entry {
  key: string;
  etag: string;
}

async function settleEntry(
  context: ReplicationContext,
  kind: AgendaKind,
  { key, etag }: Entry,
  handler: DueHandler,
): Promise<void> {
  const [at = '', item = ''] = key.split('|');
  const record = await findItem(context.storage.items, item);
  if (record?.agenda[kind] === at) {
    const next = await handler(record);
    if (next !== null) await addEntry(context, kind, item, next);
    context.fault('agenda.afterHandler');
    // A plan that was made meanwhile (the row names another time by now) is kept.
    if (await findItem(context.storage.items, item)) {
      await updateItem(context.storage.items, item, (current) =>
        current.agenda[kind] === at ? withPlan(current, kind, next) : current,
      );
    }
    context.fault('agenda.afterPlan');
  }
  await context.storage.vault.transact(partitionOf(kind), [{ kind: 'delete', key, etag }]);
}

/**
 * Handles everything of the kind that is due; what is not begun at `stopAt` stays due. Safe to run twice at once: handlers are
 * idempotent. An item whose handler throws stays due. Returns the number of items looked at.
 */
export async function runDue(
  context: ReplicationContext,
  kind: AgendaKind,
  handler: DueHandler,
  { stopAt }: { stopAt?: Date } = {},
): Promise<number> {
  const to = `${context.clock.now().toISOString()}|~`;
  const due: Entry[] = [];
  for await (const { key, etag } of context.storage.vault.list(partitionOf(kind), {
    to,
    limit: entriesPerTick,
  }))
    due.push({ key, etag });
  let looked = 0;
  for (const entry of due) {
    if (stopAt && context.clock.now() >= stopAt) break;
    looked++;
    try {
      await settleEntry(context, kind, entry, handler);
    } catch (error) {
      const { code, message } = toErrorRecord(error);
      if (code === 'PreconditionFailed') continue;
      context.log(`${kind} of ${entry.key.split('|')[1] ?? ''} failed and stays due: ${code}: ${message}`);
    }
  }
  return looked;
}
