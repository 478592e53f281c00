// The storage of one task hub: its tables and its container, and the two limits of a table that all stores share
// (100 entities and 4 MiB a transaction).
import { TableClient, type TransactionAction } from '@azure/data-tables';
import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';

export interface TaskHub {
  instances: TableClient;
  history: TableClient;
  inbox: TableClient;
  largeMessages: ContainerClient;
}

/** Clients only; nothing is created. @throws Error when the name cannot be part of a table's and a container's name. */
export function openTaskHub(connectionString: string, hubName: string): TaskHub {
  if (!/^[A-Za-z][A-Za-z0-9]{2,44}$/.test(hubName)) {
    throw new Error(
      `Task hub name '${hubName}' is not valid: use 3 to 45 letters and digits, a letter first (host.json, extensions.durableTask.hubName).`,
    );
  }
  const table = (suffix: string) =>
    TableClient.fromConnectionString(connectionString, hubName + suffix, { allowInsecureConnection: true });
  const blobs = BlobServiceClient.fromConnectionString(connectionString);
  return {
    instances: table('Instances'),
    history: table('History'),
    inbox: table('Inbox'),
    largeMessages: blobs.getContainerClient(`${hubName.toLowerCase()}-largemessages`),
  };
}

/** Creates what is missing. May be called twice. */
export async function createTaskHub(hub: TaskHub): Promise<void> {
  await Promise.all([
    hub.instances.createTable(),
    hub.history.createTable(),
    hub.inbox.createTable(),
    hub.largeMessages.createIfNotExists(),
  ]);
}

const transactionEntityLimit = 100;
/** Below the service's 4 MiB, since the text form of a request is larger than its values. */
const transactionCharLimit = 1_000_000;

/** Submits actions of one partition in order; atomic only within each transaction. */
export async function submitActions(
  table: TableClient,
  actions: readonly TransactionAction[],
): Promise<void> {
  let batch: TransactionAction[] = [];
  let charCount = 0;
  for (const action of actions) {
    const size = JSON.stringify(action[1]).length;
    if (
      batch.length === transactionEntityLimit ||
      (batch.length > 0 && charCount + size > transactionCharLimit)
    ) {
      await table.submitTransaction(batch);
      batch = [];
      charCount = 0;
    }
    batch.push(action);
    charCount += size;
  }
  if (batch.length > 0) await table.submitTransaction(batch);
}

/** Deletes rows of one partition; rows that are gone already are no error. */
export async function deleteRows(
  table: TableClient,
  partitionKey: string,
  rowKeys: readonly string[],
): Promise<void> {
  if (rowKeys.length === 0) return;
  try {
    await submitActions(
      table,
      rowKeys.map((rowKey) => ['delete', { partitionKey, rowKey }]),
    );
  } catch (error) {
    if (statusCodeOf(error) !== 404) throw error;
    // A transaction fails whole for one missing row: an earlier attempt got through without its answer.
    for (const rowKey of rowKeys) await ignoreMissing(table.deleteEntity(partitionKey, rowKey));
  }
}

/** HTTP status of a storage error; undefined for any other error. */
export function statusCodeOf(error: unknown): number | undefined {
  const status = (error as { statusCode?: unknown } | undefined)?.statusCode;
  return typeof status === 'number' ? status : undefined;
}

/** Waits for a deletion or a read; undefined when its object does not exist. */
export async function ignoreMissing<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if (statusCodeOf(error) === 404) return undefined;
    throw error;
  }
}
