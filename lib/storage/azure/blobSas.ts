// Signed URLs of single blobs: one blob, one permission, an expiry. With the account's key when the app has it, else with
// a user delegation key, which the service gives to the app's identity and which is kept and renewed here.
import {
  generateBlobSASQueryParameters,
  SASProtocol,
  type BlobSASPermissions,
  type UserDelegationKey,
} from '@azure/storage-blob';
import { LifeboatError } from '../../errors.ts';
import { assertBlobName } from '../blobChecks.ts';
import type { AzureConnection } from './connection.ts';

/** Clocks of source hosts, ours and the service's differ by minutes; a URL must not be "not yet valid" anywhere. */
const clockSkewMs = 5 * 60_000;
const delegationKeyMs = 24 * 3_600_000;
/** The service's own limit for delegation keys. */
const delegationKeyLimitMs = 7 * 24 * 3_600_000;
/** The newest version of delegated signatures that both Azure and the emulator accept. */
const delegatedVersion = '2025-11-05';

/** What a signed URL allows. */
export interface BlobGrant {
  containerName: string;
  blobName: string;
  /** The grant is for this snapshot alone. */
  snapshotTime?: string;
  permissions: BlobSASPermissions;
}

/** Makes the signed URL of a grant. Throws `InvalidRequest` for an expiry that is past or more than 7 days off. */
export type SignBlobUrl = (grant: BlobGrant, expiresAt: Date) => Promise<string>;

/** Signs on this connection. `now` is the clock that signatures start from. */
export function blobUrlSigner(connection: AzureConnection, now: () => Date): SignBlobUrl {
  const { blobs, sharedKey } = connection;
  const delegationKey = cachedDelegationKey(connection, now);
  return async (grant, expiresAt) => {
    assertBlobName(grant.blobName);
    const nowMs = now().getTime();
    const lifeMs = expiresAt.getTime() - nowMs;
    if (!(lifeMs > 0) || lifeMs > delegationKeyLimitMs - clockSkewMs) {
      throw new LifeboatError(
        'InvalidRequest',
        `A signed URL is valid for up to 7 days from now; got ${String(lifeMs)} ms.`,
      );
    }
    const base = blobs.getContainerClient(grant.containerName).getBlobClient(grant.blobName);
    const blob = grant.snapshotTime === undefined ? base : base.withSnapshot(grant.snapshotTime);
    const protocol = blob.url.startsWith('https:') ? SASProtocol.Https : SASProtocol.HttpsAndHttp;
    const signed = { ...grant, protocol, startsOn: new Date(nowMs - clockSkewMs), expiresOn: expiresAt };
    const query =
      sharedKey === undefined
        ? generateBlobSASQueryParameters(
            { ...signed, version: delegatedVersion },
            await delegationKey(expiresAt),
            blobs.accountName,
          )
        : generateBlobSASQueryParameters(signed, sharedKey);
    return `${blob.url}${grant.snapshotTime === undefined ? '?' : '&'}${query.toString()}`;
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
