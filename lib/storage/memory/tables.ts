// A table in memory: JSON texts, so that callers get copies and see what JSON does to their values. A transaction
// checks all of its writes before it makes the first.
import { LifeboatError } from '../../errors.ts';
import type { Row, RowWrite, TablePort } from '../ports.ts';
import { assertKey, assertTransaction, toRowText } from '../rowChecks.ts';

interface StoredRow {
  text: string;
  etag: string;
}

type Partition = Map<string, StoredRow>;

/** A table port over an empty table of its own. */
export function memoryTable(): TablePort {
  const partitions = new Map<string, Partition>();
  let writeCount = 0;

  return {
    async find(partition, key) {
      assertKey('partition', partition);
      assertKey('row key', key);
      const stored = partitions.get(partition)?.get(key);
      return stored === undefined ? undefined : toRow(key, stored);
    },
    async *list(partition, range = {}) {
      assertKey('partition', partition);
      const rows = partitions.get(partition) ?? new Map<string, StoredRow>();
      const { from = '', to, limit = Infinity } = range;
      const isInRange = (key: string): boolean => key >= from && (to === undefined || key < to);
      let left = limit;
      // A listing is of the rows that exist when it starts; later writes may or may not be seen, as in the service.
      for (const key of [...rows.keys()].filter(isInRange).sort()) {
        if (left <= 0) return;
        const stored = rows.get(key);
        if (stored === undefined) continue;
        left--;
        yield toRow(key, stored);
      }
    },
    async transact(partition, writes) {
      assertTransaction(partition, writes);
      const rows: Partition = partitions.get(partition) ?? new Map<string, StoredRow>();
      const changes = writes.map((write) => {
        assertPrecondition(write, rows.get(write.key));
        const text = write.kind === 'delete' ? undefined : toRowText(write.key, write.value);
        return { key: write.key, text };
      });
      for (const { key, text } of changes) {
        if (text === undefined) rows.delete(key);
        else rows.set(key, { text, etag: `"${++writeCount}"` });
      }
      partitions.set(partition, rows);
    },
  };
}

function toRow(key: string, stored: StoredRow): Row {
  return { key, value: JSON.parse(stored.text) as unknown, etag: stored.etag };
}

function assertPrecondition(write: RowWrite, current: StoredRow | undefined): void {
  if (write.kind === 'put') return;
  const holds = write.kind === 'insert' ? current === undefined : current?.etag === write.etag;
  if (holds) return;
  const found = current === undefined ? 'is gone' : write.kind === 'insert' ? 'exists already' : 'changed';
  throw new LifeboatError('PreconditionFailed', `${write.kind} of row "${write.key}": the row ${found}`);
}
