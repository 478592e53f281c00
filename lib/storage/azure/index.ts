// The storage on an Azure storage account (or Azurite): the bundle of ports, the signer, and the containers and tables.
import type { Storage, UploadSigner } from '../ports.ts';
import { azureBlobs } from './blobs.ts';
import { connect, type AzureStorageSettings } from './connection.ts';
import { hasServiceCode } from './errors.ts';
import { azureLocks } from './locks.ts';
import { containerNames, tableNames } from './names.ts';
import { azurePageBlobs } from './pageBlobs.ts';
import { pageCopier } from './pageCopies.ts';
import { azureSigner } from './signer.ts';
import { azureTable } from './tables.ts';

export type { AzureStorageSettings } from './connection.ts';

export interface AzureStorage extends Storage {
  signer: UploadSigner;
  /** URL of the container of recovered disks. */
  recoveredUrl: string;
  /** Makes the containers and tables that are missing. May be called often and by many at once. */
  ensureContainers(): Promise<void>;
}

/** The storage of one account. Sends nothing until a port is used. Throws when the settings make no sense. */
export function azureStorage(settings: AzureStorageSettings): AzureStorage {
  const connection = connect(settings);
  const copier = pageCopier(connection);
  return {
    replicas: azurePageBlobs(connection, containerNames.replicas, copier),
    deltas: azureBlobs(connection, containerNames.deltas),
    quarantine: azureBlobs(connection, containerNames.quarantine),
    resync: azureBlobs(connection, containerNames.resync),
    recovered: azurePageBlobs(connection, containerNames.recovered, copier),
    recoveredFiles: azureBlobs(connection, containerNames.recovered),
    evidence: azureBlobs(connection, containerNames.evidence),
    locks: azureLocks(connection, containerNames.locks),
    items: azureTable(connection, tableNames.items),
    jobs: azureTable(connection, tableNames.jobs),
    inventory: azureTable(connection, tableNames.inventory),
    vault: azureTable(connection, tableNames.vault),
    access: azureTable(connection, tableNames.access),
    signer: azureSigner(connection),
    recoveredUrl: connection.blobs.getContainerClient(containerNames.recovered).url.split('?')[0] ?? '',
    async ensureContainers() {
      const { blobs, tables } = connection;
      await Promise.all([
        ...Object.values(containerNames).map((name) =>
          connection.safely({ what: `make the container "${name}"` }, (abortSignal) =>
            blobs.getContainerClient(name).createIfNotExists({ abortSignal }),
          ),
        ),
        ...Object.values(tableNames).map((name) =>
          connection.safely({ what: `make the table "${name}"` }, async (abortSignal) => {
            await tables.createTable(name, { abortSignal }).catch((error: unknown) => {
              if (!hasServiceCode(error, 'TableAlreadyExists')) throw error;
            });
          }),
        ),
      ]);
    },
  };
}
