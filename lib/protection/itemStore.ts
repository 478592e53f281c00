// Reading and changing items. Every change is a compare-and-set on the item's row; `updateItem` repeats it while others
// change the row in between, so `change` must be a pure function of the row it is given.
import { LifeboatError, isLifeboatError } from '../errors.ts';
import { formatCycle } from '../replication/names.ts';
import type { RowWrite, Storage, TablePort } from '../storage/ports.ts';
import { cycleRecord, itemRecord, recoveryPointRecord } from './item.ts';
import type { CycleRecord, ItemRecord, RecoveryPointRecord } from './item.ts';

const itemKey = 'item';
const indexPartition = 'items';
const updateAttempts = 20;

export const cycleKey = (cycle: number): string => `cycle:${formatCycle(cycle)}`;
export const pointKey = (cycle: number): string => `point:${formatCycle(cycle)}`;

/** An item as read, with the ETag that a change must present. */
export interface StoredItem {
  record: ItemRecord;
  etag: string;
}

export async function findItem(items: TablePort, item: string): Promise<StoredItem | undefined> {
  const row = await items.find(item, itemKey);
  return row && { record: itemRecord.parse(row.value), etag: row.etag };
}

export async function getItem(items: TablePort, item: string): Promise<StoredItem> {
  const found = await findItem(items, item);
  if (!found)
    throw new LifeboatError('ResourceNotFound', `Protected item "${item}" does not exist.`, { target: item });
  return found;
}

/** Ids of all items, ascending. */
export async function* listItemIds(storage: Pick<Storage, 'vault'>): AsyncIterable<string> {
  for await (const row of storage.vault.list(indexPartition)) yield row.key;
}

/** Creates the item and its entry in the index. Throws `PreconditionFailed` when it exists. */
export async function insertItem(
  storage: Pick<Storage, 'items' | 'vault'>,
  record: ItemRecord,
): Promise<void> {
  // Index first: an index entry without item is skipped by every reader, an item without entry would be forgotten.
  await storage.vault.transact(indexPartition, [{ kind: 'put', key: record.item, value: {} }]);
  await storage.items.transact(record.item, [{ kind: 'insert', key: itemKey, value: record }]);
}

/**
 * Applies `change` to the current row and stores the result, repeating on a concurrent change. Returns the new record.
 * `change` may throw to refuse; returning the record itself writes nothing. `rows` are written in the same transaction.
 */
export async function updateItem(
  items: TablePort,
  item: string,
  change: (record: ItemRecord) => ItemRecord,
  rows: readonly RowWrite[] = [],
): Promise<ItemRecord> {
  for (let attempt = 1; ; attempt++) {
    const stored = await getItem(items, item);
    const changed = change(stored.record);
    if (changed === stored.record) return changed;
    try {
      await items.transact(item, [
        { kind: 'replace', key: itemKey, value: changed, etag: stored.etag },
        ...rows,
      ]);
      return changed;
    } catch (error) {
      if (!isLifeboatError(error, 'PreconditionFailed') || attempt >= updateAttempts) throw error;
    }
  }
}

export async function findCycle(
  items: TablePort,
  item: string,
  cycle: number,
): Promise<CycleRecord | undefined> {
  const row = await items.find(item, cycleKey(cycle));
  return row && cycleRecord.parse(row.value);
}

/** Recovery points of the item, oldest first. */
export async function* listRecoveryPoints(
  items: TablePort,
  item: string,
): AsyncIterable<RecoveryPointRecord> {
  for await (const row of items.list(item, { from: 'point:', to: 'point;' }))
    yield recoveryPointRecord.parse(row.value);
}

export async function findRecoveryPoint(
  items: TablePort,
  item: string,
  id: string,
): Promise<RecoveryPointRecord | undefined> {
  for await (const point of listRecoveryPoints(items, item)) if (point.id === id) return point;
  return undefined;
}
