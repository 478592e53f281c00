// What every table adapter checks about keys, values and transactions, and the text form of a value. Memory and Azure
// both go through it, so that what works on one works on the other.
import { LifeboatError } from '../errors.ts';
import type { RowWrite } from './ports.ts';

/** Longest JSON text of a value, in UTF-16 units: the service stores two bytes for each and takes 1 MiB per row. */
const valueLimitChars = 500 * 1024;
const transactionLimitRows = 100;

// eslint-disable-next-line no-control-regex -- the service refuses exactly these characters in keys
const forbiddenInKeys = /[/\\#?\u0000-\u001f\u007f-\u009f]/;

/** Throws `InvalidRequest` unless the service takes this as a partition or row key. */
export function assertKey(kind: 'partition' | 'row key', key: string): void {
  if (key.length === 0 || key.length > 512 || forbiddenInKeys.test(key)) {
    const rule = 'has 1 to 512 characters, none of / \\ # ? or control characters';
    throw new LifeboatError('InvalidRequest', `A ${kind} ${rule}; got ${JSON.stringify(key.slice(0, 80))}.`);
  }
}

/** The JSON text of a value. Throws `InvalidRequest` when it has none or too much of it. */
export function toRowText(key: string, value: unknown): string {
  // The signature of JSON.stringify hides that it returns undefined for undefined, functions and symbols.
  const json = JSON.stringify(value) as string | undefined;
  // The same JSON, but without the two line breaks that JSON allows: table services split their protocol into lines.
  const text = json?.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
  if (text === undefined) {
    throw new LifeboatError(
      'InvalidRequest',
      `The value of row "${key}" is not plain JSON (${typeof value}).`,
    );
  }
  if (text.length > valueLimitChars) {
    const size = `${text.length} characters as JSON, the limit is ${valueLimitChars}`;
    throw new LifeboatError('InvalidRequest', `The value of row "${key}" is too large: ${size}.`);
  }
  return text;
}

/** Throws `InvalidRequest` unless this is 1 to 100 writes to different rows with valid keys. */
export function assertTransaction(partition: string, writes: readonly RowWrite[]): void {
  assertKey('partition', partition);
  if (writes.length === 0 || writes.length > transactionLimitRows) {
    throw new LifeboatError(
      'InvalidRequest',
      `A transaction has 1 to 100 writes; this one has ${writes.length}.`,
    );
  }
  const keys = new Set<string>();
  for (const { key } of writes) {
    assertKey('row key', key);
    if (keys.has(key)) {
      throw new LifeboatError('InvalidRequest', `A transaction writes each row once; "${key}" comes twice.`);
    }
    keys.add(key);
  }
}
