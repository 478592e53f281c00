// Signs upload URLs for source hosts: one blob, one permission, an expiry. With the account's key when the app has it,
// else with a user delegation key, which the service gives to the app's identity and which is kept and renewed here.
import {
  BlobSASPermissions,
  generateBlobSASQueryParameters,
  SASProtocol,
  type BlobSASSignatureValues,
  type UserDelegationKey,
} from '@azure/storage-blob';
import { LifeboatError } from '../../errors.ts';
import { assertBlobName } from '../blobChecks.ts';
import type { UploadSigner } from '../ports.ts';
import type { AzureConnection } from './connection.ts';
import { containerNames } from './names.ts';

/** Clocks of source hosts, ours and the service's differ by minutes; a URL must not be "not yet valid" anywhere. */
const clockSkewMs = 5 * 60_000;
const delegationKeyMs = 24 * 3_600_000;
/** The service's own limit for delegation keys. */
const delegationKeyLimitMs = 7 * 24 * 3_600_000;
/** The newest version of delegated signatures that both Azure and the emulator accept. */
const delegatedVersion = '2025-11-05';

/** A signer on this connection. `now` is the clock that signatures start from. */
export function azureSigner(connection: AzureConnection, now: () => Date = () => new Date()): UploadSigner {
  const { blobs, sharedKey } = connection;
  const delegationKey = cachedDelegationKey(connection, now);

  const sign = async (
    values: Required<Pick<BlobSASSignatureValues, 'containerName' | 'blobName' | 'permissions'>>,
    expiresAt: Date,
  ) => {
    assertBlobName(values.blobName);
    const nowMs = now().getTime();
    const lifeMs = expiresAt.getTime() - nowMs;
    if (!(lifeMs > 0) || lifeMs > delegationKeyLimitMs - clockSkewMs) {
      throw new LifeboatError(
        'InvalidRequest',
        `An upload URL is valid for up to 7 days from now; got ${String(lifeMs)} ms.`,
      );
    }
    const blob = blobs.getContainerClient(values.containerName).getBlobClient(values.blobName);
    const protocol = blob.url.startsWith('https:') ? SASProtocol.Https : SASProtocol.HttpsAndHttp;
    const signed = { ...values, protocol, startsOn: new Date(nowMs - clockSkewMs), expiresOn: expiresAt };
    const query =
      sharedKey === undefined
        ? generateBlobSASQueryParameters(
            { ...signed, version: delegatedVersion },
            await delegationKey(expiresAt),
            blobs.accountName,
          )
        : generateBlobSASQueryParameters(signed, sharedKey);
    return `${blob.url}?${query.toString()}`;
  };

  return {
    replicaWriteUrl: (blobName, expiresAt) =>
      sign(
        { containerName: containerNames.replicas, blobName, permissions: BlobSASPermissions.parse('w') },
        expiresAt,
      ),
    deltaCreateUrl: (blobName, expiresAt) =>
      sign(
        { containerName: containerNames.deltas, blobName, permissions: BlobSASPermissions.parse('c') },
        expiresAt,
      ),
  };
}

/** A function that returns a delegation key valid at least until the time given; concurrent callers share a request. */
function cachedDelegationKey(
  connection: AzureConnection,
  now: () => Date,
): (until: Date) => Promise<UserDelegationKey> {
  let cached: { key: Promise<UserDelegationKey>; expiresAt: Date } | undefined;
  return async (until) => {
    if (cached !== undefined && cached.expiresAt >= until) return cached.key;
    const nowMs = now().getTime();
    // Twice the life of the URL, so that not every URL needs a key of its own.
    const lifeMs = Math.min(
      Math.max(delegationKeyMs, 2 * (until.getTime() - nowMs)),
      delegationKeyLimitMs - clockSkewMs,
    );
    const expiresAt = new Date(nowMs + lifeMs);
    const startsAt = new Date(nowMs - clockSkewMs);
    const key = connection.safely({ what: 'get a user delegation key' }, (abortSignal) =>
      connection.blobs.getUserDelegationKey(startsAt, expiresAt, { abortSignal }),
    );
    const entry = { key, expiresAt };
    cached = entry;
    // A failure is the caller's to see and must not be kept for the next one.
    key.catch(() => {
      if (cached === entry) cached = undefined;
    });
    return key;
  };
}
