// One table. A transaction is sent once: after an unknown outcome a second one would find its own writes and report
// somebody else's. Every answer inside the transaction's answer is checked; the SDK looks only at those with a body.
import { odata, type TableClient, type TransactionAction } from '@azure/data-tables';
import { LifeboatError } from '../../errors.ts';
import type { KeyRange, Row, RowWrite, TablePort } from '../ports.ts';
import { assertKey, assertTransaction } from '../rowChecks.ts';
import type { AzureConnection } from './connection.ts';
import { addDeleteConditions, withDeleteConditions } from './deleteConditions.ts';
import { hasServiceCode, isNotFound } from './errors.ts';
import { toAction, toRow } from './rowEntities.ts';

type Entity = Record<string, unknown>;

const pageOfRows = 200;

/** The port to one table, which must exist. */
export function azureTable(connection: AzureConnection, tableName: string): TablePort {
  const { client, clientOnce } = connection.table(tableName);
  addDeleteConditions(clientOnce);
  return {
    async find(partition, key) {
      assertKey('partition', partition);
      assertKey('row key', key);
      return connection.safely({ what: `read ${tableName} "${key}"` }, async (abortSignal) => {
        try {
          return toRow(await client.getEntity<Entity>(partition, key, { abortSignal }));
        } catch (error) {
          if (isNotFound(error)) return undefined;
          throw error;
        }
      });
    },
    async *list(partition, range = {}) {
      assertKey('partition', partition);
      const what = `list ${tableName}`;
      const limit = range.limit ?? Infinity;
      yield* listRows(connection, client, { what, filter: filterOf(partition, range), limit });
    },
    async transact(partition, writes) {
      assertTransaction(partition, writes);
      const actions = writes.map((write) => toAction(partition, write));
      const what = `write ${describe(writes)} of ${tableName}`;
      await connection.once({ what }, (abortSignal) =>
        submit(clientOnce, { what, actions, writes, abortSignal }),
      );
    },
  };
}

interface Submission {
  what: string;
  actions: TransactionAction[];
  writes: readonly RowWrite[];
  abortSignal: AbortSignal;
}

async function submit(
  client: TableClient,
  { what, actions, writes, abortSignal }: Submission,
): Promise<void> {
  const etags = new Map<string, string>();
  for (const write of writes) if (write.kind === 'delete') etags.set(write.key, write.etag);
  const answer = await withDeleteConditions(etags, () =>
    client.submitTransaction(actions, { abortSignal }),
  ).catch((error: unknown) => {
    // A replaced or deleted row that is gone.
    if (!isNotFound(error) || hasServiceCode(error, 'TableNotFound')) throw error;
    throw new LifeboatError('PreconditionFailed', `${what}: a row that was read is gone`);
  });
  const statuses = answer.subResponses.map(({ status }) => status);
  const failed = statuses.find((status) => status < 200 || status > 299);
  if (failed === 404 || failed === 409 || failed === 412) {
    throw new LifeboatError('PreconditionFailed', `${what}: refused with HTTP ${failed}`);
  }
  if (failed !== undefined || statuses.length !== writes.length) {
    const got = `${statuses.length} answers to ${writes.length} writes, ${failed ?? 'none'} failed`;
    throw new LifeboatError('StorageUnavailable', `${what}: the answer is incomplete (${got})`);
  }
}

/** Each page is an operation with a deadline of its own: the consumer may take its time between them. */
async function* listRows(
  connection: AzureConnection,
  client: TableClient,
  { what, filter, limit }: { what: string; filter: string; limit: number },
): AsyncGenerator<Row> {
  let continuationToken: string | undefined;
  let left = limit;
  if (left <= 0) return;
  do {
    const from = continuationToken === undefined ? {} : { continuationToken };
    const page = await connection.safely({ what }, (abortSignal) =>
      client
        .listEntities<Entity>({ queryOptions: { filter }, abortSignal })
        .byPage({ ...from, maxPageSize: Math.min(pageOfRows, left) })
        .next(),
    );
    if (page.done === true) return;
    for (const entity of page.value) yield toRow(entity);
    left -= page.value.length;
    continuationToken = page.value.continuationToken;
  } while (continuationToken !== undefined && left > 0);
}

function filterOf(partition: string, { from, to }: KeyRange): string {
  const parts = [odata`PartitionKey eq ${partition}`];
  if (from !== undefined) parts.push(odata`RowKey ge ${from}`);
  if (to !== undefined) parts.push(odata`RowKey lt ${to}`);
  return parts.join(' and ');
}

function describe(writes: readonly RowWrite[]): string {
  const keys = writes.slice(0, 3).map(({ key }) => `"${key}"`);
  const rest = writes.length > keys.length ? ` and ${writes.length - keys.length} more rows` : '';
  return `${keys.join(', ')}${rest}`;
}
