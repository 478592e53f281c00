// How the adapters reach the account: clients, credentials, deadlines and the two ways to retry.
//
// `safely` leaves retries to the SDK: for requests that may be carried out twice. `once` retries only what the service
// surely did not carry out. A page write is the case to think about. Sending it again under the same fence seems
// idempotent, the bytes are the same; but Azure may still carry out the first one after the second succeeded, and the
// fence does not stop it as long as the sequence number is the same. The writer, told of a success, goes on, perhaps to
// newer bytes for the same page, and the late write then brings the old ones back. So an unknown outcome has to reach
// the writer (`StorageUnavailable`), who raises the sequence number before the next attempt. Likewise a transaction or
// a creation sent twice would report its own first success as somebody else's.
import { TableClient, TableServiceClient } from '@azure/data-tables';
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { LifeboatError, type ErrorCode } from '../../errors.ts';
import { endpointsOf, managedIdentity, type AzureIdentitySettings } from './identity.ts';
import { isSurelyRefused, redact, toLifeboatError } from './errors.ts';

interface RetrySettings {
  /** Attempts in all. */
  maxTries: number;
  /** Delay before the third attempt; the second follows at once, later ones after twice as long each. */
  delayMs: number;
  /** How long one operation, with its attempts, may take; a second more for each MiB that it carries. */
  operationTimeoutMs: number;
}

/** A connection string (local runs, or accounts that allow keys), or an account and an identity. */
export type AzureStorageSettings = ({ connectionString: string } | AzureIdentitySettings) & {
  retry?: Partial<RetrySettings>;
  /**
   * Sends the MD5 of every page write, which the service compares with what arrived. Costs 5 ms of processor time for
   * 4 MiB. Default: yes, but not over plain http, which only emulators speak; they do not look at it.
   */
  checkWrites?: boolean;
};

/** One attempt of an operation; the signal aborts at the operation's deadline. */
type Attempt<T> = (abortSignal: AbortSignal) => Promise<T>;

/** What is being done, for the error text; and what the adapters' error mapping needs to know about it. */
export interface Operation {
  what: string;
  /** Code for a failed ETag condition. Default `PreconditionFailed`. */
  onCondition?: ErrorCode;
  /** Bytes that travel, which widen the deadline. */
  bytes?: number;
}

export interface AzureConnection {
  /** Sends again by itself; see `safely`. */
  blobs: BlobServiceClient;
  /** Sends every request once; see `once`. */
  blobsOnce: BlobServiceClient;
  tables: TableServiceClient;
  /** Clients of one table: with the SDK's retries, and without. */
  table(name: string): { client: TableClient; clientOnce: TableClient };
  /** Runs an operation of the retrying clients. Throws mapped errors. */
  safely<T>(operation: Operation, attempt: Attempt<T>): Promise<T>;
  /** Runs an operation of the `Once` clients, again only after sure refusals. Throws mapped errors. */
  once<T>(operation: Operation, attempt: Attempt<T>): Promise<T>;
  retry: RetrySettings;
  checkWrites: boolean;
  /** Absent when the app has an identity instead of a key. */
  sharedKey: StorageSharedKeyCredential | undefined;
}

const defaultRetry: RetrySettings = { maxTries: 4, delayMs: 1000, operationTimeoutMs: 60_000 };

/** Makes the clients; sends nothing. Throws `InvalidRequest` when the settings make no sense. */
export function connect(settings: AzureStorageSettings): AzureConnection {
  try {
    return makeClients(settings);
  } catch (error) {
    // The SDK's reasons name fields of the connection string, not their values.
    const reason = redact(error instanceof Error ? error.message : String(error));
    const advice = 'Check LIFEBOAT_STORAGE: a connection string, or the name of an account.';
    throw new LifeboatError('InvalidRequest', `The storage settings cannot be used: ${reason}. ${advice}`);
  }
}

function makeClients(settings: AzureStorageSettings): AzureConnection {
  const retry = { ...defaultRetry, ...settings.retry };
  const blobs = blobClient(settings, retry);
  const sharedKey = blobs.credential instanceof StorageSharedKeyCredential ? blobs.credential : undefined;
  return {
    blobs,
    blobsOnce: blobClient(settings, { ...retry, maxTries: 1 }),
    ...tableClients(settings, retry),
    safely: (operation, attempt) => mapped(operation, () => attempt(deadline(retry, operation))),
    once: (operation, attempt) => {
      const abortSignal = deadline(retry, operation);
      return mapped(operation, () => whileRefused(retry, () => attempt(abortSignal)));
    },
    retry,
    checkWrites: settings.checkWrites ?? blobs.url.startsWith('https:'),
    sharedKey,
  };
}

function blobClient(settings: AzureStorageSettings, retry: RetrySettings): BlobServiceClient {
  const options = { retryOptions: { maxTries: retry.maxTries, retryDelayInMs: retry.delayMs } };
  if ('connectionString' in settings) {
    return BlobServiceClient.fromConnectionString(settings.connectionString, options);
  }
  return new BlobServiceClient(endpointsOf(settings).blob, managedIdentity(settings), options);
}

function tableClients(
  settings: AzureStorageSettings,
  retry: RetrySettings,
): Pick<AzureConnection, 'tables' | 'table'> {
  const retrying = { retryOptions: { maxRetries: retry.maxTries - 1, retryDelayInMs: retry.delayMs } };
  const sendingOnce = { retryOptions: { maxRetries: 0 } };
  if ('connectionString' in settings) {
    const { connectionString } = settings;
    // Only an emulator has a connection string with http endpoints; the service itself refuses keys over http.
    const insecure = { allowInsecureConnection: true };
    const client = (name: string, options: object) =>
      TableClient.fromConnectionString(connectionString, name, { ...options, ...insecure });
    return {
      tables: TableServiceClient.fromConnectionString(connectionString, { ...retrying, ...insecure }),
      table: (name) => ({ client: client(name, retrying), clientOnce: client(name, sendingOnce) }),
    };
  }
  const credential = managedIdentity(settings);
  const { table: url } = endpointsOf(settings);
  return {
    tables: new TableServiceClient(url, credential, retrying),
    table: (name) => ({
      client: new TableClient(url, name, credential, retrying),
      clientOnce: new TableClient(url, name, credential, sendingOnce),
    }),
  };
}

function deadline(retry: RetrySettings, operation: Operation): AbortSignal {
  const transferMs = Math.ceil(((operation.bytes ?? 0) / 2 ** 20) * 1000);
  return AbortSignal.timeout(retry.operationTimeoutMs + transferMs);
}

async function mapped<T>(operation: Operation, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw toLifeboatError(error, operation.what, operation.onCondition);
  }
}

async function whileRefused<T>(retry: RetrySettings, run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (attempt >= retry.maxTries || !isSurelyRefused(error)) throw error;
      const delayMs = (2 ** (attempt - 1) - 1) * retry.delayMs;
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }
}
