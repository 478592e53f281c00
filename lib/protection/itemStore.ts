// Reading and changing items. Every change is a compare-and-set on the item's row.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { formatCycle } from '../replication/names.ts';
import type { KeyRange, RowWrite, Storage, TablePort } from '../storage/ports.ts';
import { updateRow } from '../storage/updateRow.ts';
import { cycleRecord, itemRecord, recoveryPointRecord } from './item.ts';
import type { CycleRecord, ItemRecord, RecoveryPointRecord } from './item.ts';
import { hourBucket } from '../rpo/bucket.ts';
import type { HourBucket } from '../rpo/bucket.ts';

const itemKey = 'item';
const indexPartition = 'items';

export const cycleKey = (cycle: number): string => `cycle:${formatCycle(cycle)}`;
export const pointKey = (cycle: number): string => `point:${formatCycle(cycle)}`;

/** A full hour of the item's statistics, as a row beside it. */
const hourKey = (hour: string): string => `hour:${hour}`;
export const hourRow = (bucket: HourBucket): RowWrite => ({
  kind: 'put',
  key: hourKey(bucket.hour),
  value: bucket,
});

/** The stored hours that begin at or after `from` and before `to`, oldest first. */
export async function* listHours(
  items: TablePort,
  item: string,
  from: Date,
  to?: Date,
): AsyncIterable<HourBucket> {
  const range = { from: hourKey(from.toISOString()), to: to ? hourKey(to.toISOString()) : 'hour;' };
  for await (const row of items.list(item, range)) yield hourBucket.parse(row.value);
}

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

/** Changes a recovery point's row; see `updateRow`. */
export function updatePoint(
  items: TablePort,
  item: string,
  cycle: number,
  change: (point: RecoveryPointRecord) => RecoveryPointRecord,
): Promise<RecoveryPointRecord> {
  const what = `Recovery point of cycle ${cycle} of "${item}"`;
  return updateRow(
    { table: items, partition: item, key: pointKey(cycle), schema: recoveryPointRecord, what },
    change,
  );
}

/** The recovery point that a cycle made, if it is still there. */
export async function findPointOfCycle(
  items: TablePort,
  item: string,
  cycle: number,
): Promise<RecoveryPointRecord | undefined> {
  const row = await items.find(item, pointKey(cycle));
  return row && recoveryPointRecord.parse(row.value);
}

/** Deletes the item and everything beside it in its partition, and its entry in the index. May be repeated. */
export async function deleteItem(storage: Pick<Storage, 'items' | 'vault'>, item: string): Promise<void> {
  const rows: RowWrite[] = [];
  let self: RowWrite | undefined;
  for await (const { key, etag } of storage.items.list(item)) {
    const write: RowWrite = { kind: 'delete', key, etag };
    if (key === itemKey) self = write;
    else rows.push(write);
  }
  for (let start = 0; start < rows.length; start += 90)
    await storage.items.transact(item, rows.slice(start, start + 90));
  // The item's own row last: until it is gone, a repeated call finds what is left.
  if (self) await storage.items.transact(item, [self]);
  const entry = await storage.vault.find(indexPartition, item);
  if (entry) await storage.vault.transact(indexPartition, [{ kind: 'delete', key: item, etag: entry.etag }]);
}

/** What of an item never changes: enough for whoever counts or looks for a machine. */
const itemPlace = z.object({
  item: z.string(),
  name: z.string(),
  fabric: z.string(),
  container: z.string(),
  machine: z.string(),
});
export type ItemPlace = z.infer<typeof itemPlace>;

/** Where every item is, ascending by id: one list, no item is read. An entry may be there a moment before or after its item. */
export async function* listItemPlaces(storage: Pick<Storage, 'vault'>): AsyncIterable<ItemPlace> {
  for await (const { value } of storage.vault.list(indexPartition)) yield itemPlace.parse(value);
}

/** Ids of all items, ascending; an item that is being created or deleted may be among them without a row. */
export async function* listItemIds(vault: TablePort): AsyncIterable<string> {
  for await (const { key } of vault.list(indexPartition)) yield key;
}

/** Items are read so many at a time. */
const readAhead = 16;

export interface ItemPage {
  /** Items behind this one only. */
  after?: string | undefined;
  /** Ends after this many items. */
  limit?: number | undefined;
}

/** Items, ascending by id. */
export async function* listItemsFrom(
  storage: Pick<Storage, 'items' | 'vault'>,
  { after, limit = Infinity }: ItemPage,
): AsyncIterable<ItemRecord> {
  let last = after;
  for (let left = limit; left > 0;) {
    // A key directly behind the last one.
    const from = last === undefined ? {} : { from: `${last}!` };
    let entries = 0;
    const asked = left;
    for await (const { key, record } of readEntries(storage, {
      ...from,
      ...(limit === Infinity ? {} : { limit: asked }),
    })) {
      entries++;
      last = key;
      if (!record) continue;
      left--;
      yield record;
    }
    // Fewer entries than asked for: the index ends here. Entries without item make another round.
    if (entries < asked) return;
  }
}

async function* readEntries(
  storage: Pick<Storage, 'items' | 'vault'>,
  range: KeyRange,
): AsyncIterable<{ key: string; record: ItemRecord | undefined }> {
  let reading: Promise<{ key: string; record: ItemRecord | undefined }>[] = [];
  for await (const { key } of storage.vault.list(indexPartition, range)) {
    reading.push(findItem(storage.items, key).then((record) => ({ key, record })));
    if (reading.length < readAhead) continue;
    yield* await Promise.all(reading);
    reading = [];
  }
  yield* await Promise.all(reading);
}

/** All items, ascending by id. */
export const listItems = (storage: Pick<Storage, 'items' | 'vault'>): AsyncIterable<ItemRecord> =>
  listItemsFrom(storage, {});

/** Creates the item and its entry in the index. Throws `PreconditionFailed` when it exists. */
export async function insertItem(
  storage: Pick<Storage, 'items' | 'vault'>,
  record: ItemRecord,
): Promise<void> {
  // Index first: an index entry without item is skipped by every reader, an item without entry would be forgotten.
  await storage.vault.transact(indexPartition, [
    { kind: 'put', key: record.item, value: itemPlace.parse(record) },
  ]);
  await storage.items.transact(record.item, [{ kind: 'insert', key: itemKey, value: record }]);
}

/** Applies a pure change to the item, with `rows` of its partition in the same transaction; see `updateRow`. */
export function updateItem(
  items: TablePort,
  item: string,
  change: (record: ItemRecord) => ItemRecord,
  rows: () => readonly RowWrite[] = () => [],
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
