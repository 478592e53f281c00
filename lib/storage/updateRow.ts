// The one compare-and-set loop: read a row, apply a pure change, store it if the row is still the one that was read.
import type * as z from 'zod';
import { LifeboatError, isLifeboatError } from '../errors.ts';
import type { RowWrite, TablePort } from './ports.ts';

/** Concurrent changes of one row are few and short; more than this is a defect. */
const maxAttempts = 20;

export interface RowAddress<T> {
  table: TablePort;
  partition: string;
  key: string;
  schema: z.ZodType<T>;
  /** For the error text, for example `Job "7"`. */
  what: string;
}

/**
 * Stores what `change` makes of the row and returns it; repeats while others change the row in between, so `change` must be
 * pure. It may throw to refuse; returning the record itself writes nothing. What `rows` returns,
 * asked after each `change`, is written in the same transaction.
 * Throws `ResourceNotFound`, and `PreconditionFailed` when a row of `rows` cannot be written.
 */
export async function updateRow<T>(
  { table, partition, key, schema, what }: RowAddress<T>,
  change: (record: T) => T,
  rows: () => readonly RowWrite[] = () => [],
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const row = await table.find(partition, key);
    if (!row) throw new LifeboatError('ResourceNotFound', `${what} does not exist.`);
    const current = schema.parse(row.value);
    const changed = change(current);
    if (changed === current) return current;
    try {
      await table.transact(partition, [{ kind: 'replace', key, value: changed, etag: row.etag }, ...rows()]);
      return changed;
    } catch (error) {
      if (!isLifeboatError(error, 'PreconditionFailed') || attempt >= maxAttempts) throw error;
    }
  }
}
