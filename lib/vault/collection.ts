// Rows of configuration with conditions: what If-Match promises holds at the moment of the write, because the row is replaced
// under the ETag that was compared.
import { createHash } from 'node:crypto';
import type * as z from 'zod';
import { LifeboatError, isLifeboatError } from '../errors.ts';
import type { RowWrite, TablePort } from '../storage/ports.ts';

/** A kind of resource: a partition of the table `vault`. */
export interface Collection<T> {
  partition: string;
  /** For messages, for example "Policy". */
  what: string;
  schema: z.ZodType<T>;
  /** In lower case: names are compared without regard to case. */
  keyOf: (record: T) => string;
}

export interface Stored<T> {
  record: T;
  /** Quoted, as the header ETag has it. */
  etag: string;
}

const maxAttempts = 10;

/** The service's own ETag is not shown: it has characters that headers of some clients do not take. */
const publicEtag = (etag: string): string =>
  `"${createHash('sha256').update(etag).digest('base64url').slice(0, 22)}"`;

export async function findStored<T>(
  vault: TablePort,
  collection: Collection<T>,
  key: string,
): Promise<Stored<T> | undefined> {
  const row = await vault.find(collection.partition, key.toLowerCase());
  return row && { record: collection.schema.parse(row.value), etag: publicEtag(row.etag) };
}

/** Throws `ResourceNotFound`. */
export async function getStored<T>(
  vault: TablePort,
  collection: Collection<T>,
  key: string,
): Promise<Stored<T>> {
  const found = await findStored(vault, collection, key);
  if (found) return found;
  throw new LifeboatError('ResourceNotFound', `${collection.what} "${key}" does not exist.`, { target: key });
}

/** All records of the kind, ascending by key. */
export async function listStored<T>(vault: TablePort, collection: Collection<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const row of vault.list(collection.partition)) all.push(collection.schema.parse(row.value));
  return all;
}

function assertCondition(
  ifMatch: string | undefined,
  current: { etag: string } | undefined,
  what: string,
): void {
  if (ifMatch === undefined) return;
  const accepted = ifMatch.split(',').map((each) => each.trim().replace(/^W\//, ''));
  const holds =
    current !== undefined && (accepted.includes('*') || accepted.includes(publicEtag(current.etag)));
  if (holds) return;
  const state = current === undefined ? 'does not exist' : `has the ETag ${publicEtag(current.etag)} by now`;
  throw new LifeboatError('ConditionNotMet', `${what} ${state}.`, { target: 'If-Match' });
}

/**
 * Stores what `change` makes of the record (undefined = there is none), or deletes it when that is undefined. `change` must be
 * pure and may throw to refuse. Throws `ConditionNotMet` when `ifMatch` does not hold at the write.
 */
export async function changeStored<T>(
  vault: TablePort,
  collection: Collection<T>,
  { key, ifMatch }: { key: string; ifMatch?: string | undefined },
  change: (record: T | undefined) => T | undefined,
): Promise<T | undefined> {
  const rowKey = key.toLowerCase();
  const what = `${collection.what} "${key}"`;
  for (let attempt = 1; ; attempt++) {
    const row = await vault.find(collection.partition, rowKey);
    assertCondition(ifMatch, row, what);
    const value = change(row && collection.schema.parse(row.value));
    const write = writeOf(rowKey, value, row?.etag);
    if (!write) return value;
    try {
      await vault.transact(collection.partition, [write]);
      return value;
    } catch (error) {
      if (!isLifeboatError(error, 'PreconditionFailed')) throw error;
      if (attempt < maxAttempts) continue;
      throw new LifeboatError('ConcurrentUpdate', `${what} is being changed by others.`, { target: key });
    }
  }
}

function writeOf(key: string, value: unknown, etag: string | undefined): RowWrite | undefined {
  if (value === undefined) return etag === undefined ? undefined : { kind: 'delete', key, etag };
  return etag === undefined ? { kind: 'insert', key, value } : { kind: 'replace', key, value, etag };
}
