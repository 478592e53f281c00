// The version of every row, at the boundary of the storage: a row is stored with the version of the code that wrote it (`v`), and
// a row of an earlier version is brought forward as it is read, step by step. Who reads rows sees the newest form only, and
// what is changed is stored in it; rows that nobody changes stay as they are and are brought forward each time.
//
// A version is raised only when older code would misread what newer code writes; an added field with a default needs none.
import { LifeboatError } from '../errors.ts';
import type { Row, RowWrite, Storage, TablePort } from './ports.ts';

export type RowValue = Readonly<Record<string, unknown>>;
export type TableName = 'items' | 'jobs' | 'inventory' | 'vault' | 'access';

/** One step forward. Pure; it sees rows of the version before `to` only. */
export interface RowMigration {
  /** The version that it makes. */
  to: number;
  table: TableName;
  /** Rows that change in this step; all others go to `to` as they are. */
  applies: (partition: string, key: string) => boolean;
  migrate: (value: RowValue) => RowValue;
}

/** The newest version, and how rows get there. */
export interface RowVersions {
  current: number;
  migrations: readonly RowMigration[];
}

/** Rows that were written before rows had versions. */
const firstVersion = 1;

interface Place {
  table: TableName;
  partition: string;
}

function readForward({ current, migrations }: RowVersions, { table, partition }: Place, row: Row): Row {
  const { v: stored = firstVersion, ...fields } = row.value as RowValue;
  if (typeof stored !== 'number' || stored > current) {
    const message = `Row "${row.key}" of ${table} has version ${String(stored)}; this Lifeboat knows versions up to ${current}.`;
    throw new LifeboatError('StateFromNewerVersion', message, { target: row.key });
  }
  let value: RowValue = fields;
  for (const step of migrations) {
    const isNext = step.to > stored && step.table === table && step.applies(partition, row.key);
    if (isNext) value = step.migrate(value);
  }
  return { ...row, value };
}

const stamped = (current: number, write: RowWrite): RowWrite =>
  write.kind === 'delete' ? write : { ...write, value: { ...(write.value as RowValue), v: current } };

function versionedTable(port: TablePort, table: TableName, versions: RowVersions): TablePort {
  return {
    async find(partition, key) {
      const row = await port.find(partition, key);
      return row && readForward(versions, { table, partition }, row);
    },
    async *list(partition, range) {
      for await (const row of port.list(partition, range))
        yield readForward(versions, { table, partition }, row);
    },
    transact: (partition, writes) =>
      port.transact(
        partition,
        writes.map((write) => stamped(versions.current, write)),
      ),
  };
}

/**
 * The same storage with versions on its rows. Values of rows are objects. Reading a row of a version that this code does not know
 * throws `StateFromNewerVersion`.
 */
export function versionedRows<S extends Storage>(storage: S, versions: RowVersions): S {
  const table = (name: TableName): TablePort => versionedTable(storage[name], name, versions);
  return {
    ...storage,
    items: table('items'),
    jobs: table('jobs'),
    inventory: table('inventory'),
    vault: table('vault'),
    access: table('access'),
  };
}
