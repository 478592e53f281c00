// Upload URLs for source hosts: each may write one blob in one way until it expires, and do nothing else.
import { BlobSASPermissions } from '@azure/storage-blob';
import type { UploadSigner } from '../ports.ts';
import { blobUrlSigner } from './blobSas.ts';
import type { AzureConnection } from './connection.ts';
import { containerNames } from './names.ts';

/** A signer on this connection. `now` is the clock that signatures start from. */
export function azureSigner(connection: AzureConnection, now: () => Date = () => new Date()): UploadSigner {
  const sign = blobUrlSigner(connection, now);
  return {
    replicaWriteUrl: (blobName, expiresAt) =>
      sign(
        { containerName: containerNames.replicas, blobName, permissions: BlobSASPermissions.parse('w') },
        expiresAt,
      ),
    recoveryPointReadUrl: (blobName, snapshotTime, expiresAt) =>
      sign(
        {
          containerName: containerNames.replicas,
          ...{ blobName, snapshotTime, permissions: BlobSASPermissions.parse('r') },
        },
        expiresAt,
      ),
    deltaCreateUrl: (blobName, expiresAt) =>
      sign(
        { containerName: containerNames.deltas, blobName, permissions: BlobSASPermissions.parse('c') },
        expiresAt,
      ),
    deltaWriteUrl: (blobName, expiresAt) =>
      sign(
        { containerName: containerNames.deltas, blobName, permissions: BlobSASPermissions.parse('cw') },
        expiresAt,
      ),
  };
}
