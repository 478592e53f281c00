// A blob-triggered function with everything that does not change while the host runs: its path, its storage
// account, and how it wants the blob.
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { supportsDeferredBinding } from '../worker/functionMetadata.ts';
import type { FunctionBinding, LoadedFunction } from '../worker/types.ts';
import { resolveSettings } from '../settings/appSettings.ts';
import { type BlobPath, parseBlobPath } from './blobPath.ts';

/** How the handler gets the blob: a client made in the worker, its bytes, or its text. */
export type BlobDelivery = 'client' | 'bytes' | 'string';

export interface BlobFunction {
  loaded: LoadedFunction;
  path: BlobPath;
  /** The setting name as the app wrote it; part of what an SDK binding is told. */
  connection: string;
  account: StorageAccount;
  delivery: BlobDelivery;
}

/** Clients of one storage account. Functions with equal connection strings share one object. */
export interface StorageAccount {
  blobs: BlobServiceClient;
  queues: QueueServiceClient;
}

/** Opens accounts by the name of the setting that holds their connection string. */
export class StorageAccounts {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #byConnectionString = new Map<string, StorageAccount>();

  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment;
  }

  /** The account of a connection string, when a function or the host uses it. */
  find(connectionString: string): StorageAccount | undefined {
    return this.#byConnectionString.get(connectionString);
  }

  /** Tries `name`, then `AzureWebJobs` + name, as the real host does. Throws Error that names the setting. */
  get(name: string): StorageAccount {
    const connectionString = this.#environment[name] ?? this.#environment[`AzureWebJobs${name}`];
    if (connectionString === undefined) {
      throw new Error(
        `The connection "${name}" is no setting. Add a setting of that name with a storage connection string.`,
      );
    }
    let account = this.#byConnectionString.get(connectionString);
    if (account === undefined) {
      account = {
        blobs: BlobServiceClient.fromConnectionString(connectionString),
        queues: QueueServiceClient.fromConnectionString(connectionString),
      };
      this.#byConnectionString.set(connectionString, account);
    }
    return account;
  }
}

/** Throws Error that says why the function cannot be triggered. */
export function toBlobFunction(
  loaded: LoadedFunction,
  accounts: StorageAccounts,
  environment: NodeJS.ProcessEnv,
): BlobFunction {
  const { path, connection = 'AzureWebJobsStorage' } = loaded.trigger;
  if (typeof path !== 'string' || typeof connection !== 'string')
    throw new Error('A blob trigger needs a "path".');
  return {
    loaded,
    connection,
    path: parseBlobPath(resolveSettings(path, environment)),
    account: accounts.get(connection),
    delivery: toDelivery(loaded),
  };
}

/**
 * An SDK client only when no other binding of the function has a binding expression: the real host then falls
 * back to the bytes without a word, and a handler must find that out here.
 */
function toDelivery({ trigger, bindings }: LoadedFunction): BlobDelivery {
  const others = bindings.filter((binding) => binding !== trigger);
  if (supportsDeferredBinding(trigger) && !others.some(hasExpression)) return 'client';
  return trigger['dataType'] === 'string' ? 'string' : 'bytes';
}

function hasExpression(binding: FunctionBinding): boolean {
  return Object.values(binding).some((value) => typeof value === 'string' && /\{[^}]+\}/.test(value));
}
