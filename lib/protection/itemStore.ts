// Reading and changing items. Every change is a compare-and-set on the item's row.
import { LifeboatError } from '../errors.ts';
import { formatCycle } from '../replication/names.ts';
import type { RowWrite, Storage, TablePort } from '../storage/ports.ts';
import { updateRow } from '../storage/updateRow.ts';
import { cycleRecord, itemRecord, recoveryPointRecord } from './item.ts';
import type { CycleRecord, ItemRecord, RecoveryPointRecord } from './item.ts';

const itemKey = 'item';
const indexPartition = 'items';

export const cycleKey = (cycle: number): string => `cycle:${formatCycle(cycle)}`;
export const pointKey = (cycle: number): string => `point:${formatCycle(cycle)}`;

export async function findItem(items: TablePort, item: string): Promise<ItemRecord | undefined> {
  const row = await items.find(item, itemKey);
  return row && itemRecord.parse(row.value);
}

export async function getItem(items: TablePort, item: string): Promise<ItemRecord> {
  const found = await findItem(items, item);
  if (!found)
    throw new LifeboatError('ResourceNotFound', `Protected item "${item}" does not exist.`, { target: item });
  return found;
}

/** All items, ascending by id. */
export async function* listItems(storage: Pick<Storage, 'items' | 'vault'>): AsyncIterable<ItemRecord> {
  for await (const { key } of storage.vault.list(indexPartition)) {
    const record = await findItem(storage.items, key);
    if (record) yield record;
  }
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

/** Applies a pure change to the item, with `rows` of its partition in the same transaction; see `updateRow`. */
export function updateItem(
  items: TablePort,
  item: string,
  change: (record: ItemRecord) => ItemRecord,
  rows: readonly RowWrite[] = [],
): Promise<ItemRecord> {
  const what = `Protected item "${item}"`;
  return updateRow({ table: items, partition: item, key: itemKey, schema: itemRecord, what }, change, rows);
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
