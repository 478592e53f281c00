// Where the functions leave what they did: rows of a table that the caller names. Rows outlive the process, and every
// run adds one, so that a suite can tell "never", "once" and "more than once" apart.
import { randomUUID } from 'node:crypto';
import { TableClient } from '@azure/data-tables';

const tables = new Map();

function openTable(name) {
  const client = TableClient.fromConnectionString(process.env.AzureWebJobsStorage, name, {
    allowInsecureConnection: true,
  });
  return { client, created: client.createTable() };
}

/** The table, made when it is not there; a failure to make it is not remembered. */
async function tableNamed(name) {
  const table = tables.get(name) ?? openTable(name);
  tables.set(name, table);
  try {
    await table.created;
  } catch (error) {
    tables.delete(name);
    throw error;
  }
  return table.client;
}

/** Adds one row for `key`; rows of a key sort by time. */
export async function record(effects, key, detail = {}) {
  const table = await tableNamed(effects);
  const rowKey = `${String(Date.now()).padStart(15, '0')}-${randomUUID()}`;
  await table.createEntity({ partitionKey: key, rowKey, detail: JSON.stringify(detail) });
}

/** Replaces the one row of `key`. */
export async function replace(effects, key, detail) {
  const table = await tableNamed(effects);
  await table.upsertEntity(
    { partitionKey: key, rowKey: 'latest', detail: JSON.stringify(detail) },
    'Replace',
  );
}

/** How often `record` was called for `key`. */
export async function countOf(effects, key) {
  const table = await tableNamed(effects);
  let count = 0;
  const filter = `PartitionKey eq '${key}'`;
  for await (const page of table.listEntities({ queryOptions: { filter } }).byPage()) count += page.length;
  return count;
}
