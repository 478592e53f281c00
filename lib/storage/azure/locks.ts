// Named locks as short leases on empty blobs `locks/<name>`. The holder renews; a crashed holder's lease runs out.
// Invariant: `lost` aborts before the service can give the lease to somebody else, because the holder counts from the
// moment it *sent* the request that the lease's time started with, and keeps a margin for slow timers.
import { randomUUID } from 'node:crypto';
import type { BlobLeaseClient, BlockBlobClient } from '@azure/storage-blob';
import { LifeboatError } from '../../errors.ts';
import { assertBlobName } from '../blobChecks.ts';
import type { Lock, LockPort } from '../ports.ts';
import type { AzureConnection } from './connection.ts';
import { hasServiceCode, isNotFound, toLifeboatError } from './errors.ts';

/** How long a lock outlives its holder, and how it is kept. The service takes leases of 15 to 60 s. */
export interface LockTiming {
  leaseSeconds: number;
  renewEveryMs: number;
  /** How long before the lease's end the lock counts as lost. */
  marginMs: number;
}

const productTiming: LockTiming = { leaseSeconds: 15, renewEveryMs: 5000, marginMs: 1000 };

/** The locks of one container, which must exist. Tests shorten the renewal. */
export function azureLocks(
  connection: AzureConnection,
  containerName: string,
  timing: LockTiming = productTiming,
): LockPort {
  const container = connection.blobsOnce.getContainerClient(containerName);
  return {
    async tryAcquire(name) {
      assertBlobName(name);
      const blob = container.getBlockBlobClient(name);
      const lease = blob.getBlobLeaseClient(randomUUID());
      // The same lease id makes a second attempt harmless, so `once` only keeps the time short.
      return connection.once({ what: `lock ${containerName}/${name}` }, async (abortSignal) => {
        const sentAtMs = performance.now();
        const isAcquired = await acquire(blob, lease, { leaseSeconds: timing.leaseSeconds, abortSignal });
        return isAcquired ? keepLock(lease, { name, sentAtMs, timing }) : undefined;
      });
    },
  };
}

async function acquire(
  blob: BlockBlobClient,
  lease: BlobLeaseClient,
  { leaseSeconds, abortSignal }: { leaseSeconds: number; abortSignal: AbortSignal },
): Promise<boolean> {
  try {
    await lease.acquireLease(leaseSeconds, { abortSignal });
    return true;
  } catch (error) {
    if (hasServiceCode(error, 'LeaseAlreadyPresent', 'LeaseIsBreakingAndCannotBeAcquired')) return false;
    if (!isNotFound(error)) throw error;
  }
  // The first use of this lock. Somebody else may make the blob, and lock it, at the same moment.
  await blob.upload('', 0, { abortSignal, conditions: { ifNoneMatch: '*' } }).catch((error: unknown) => {
    if (!hasServiceCode(error, 'BlobAlreadyExists', 'LeaseIdMissing', 'ConditionNotMet')) throw error;
  });
  return acquire(blob, lease, { leaseSeconds, abortSignal });
}

interface HeldLease {
  name: string;
  /** When the request that the lease's time counts from was sent, on the clock of performance.now(). */
  sentAtMs: number;
  timing: LockTiming;
}

/** Renews until released or lost. Its timers do not keep the process alive. */
function keepLock(lease: BlobLeaseClient, { name, sentAtMs, timing }: HeldLease): Lock {
  const lost = new AbortController();
  let isOver = false;
  let renewal: NodeJS.Timeout | undefined;
  let expiry: NodeJS.Timeout | undefined;

  const end = () => {
    isOver = true;
    clearTimeout(renewal);
    clearTimeout(expiry);
  };
  const lose = (why: string) => {
    if (isOver) return;
    end();
    lost.abort(new LifeboatError('FenceLost', `The lock "${name}" was lost: ${why}.`));
  };
  const countDown = (fromMs: number) => {
    clearTimeout(expiry);
    const leftMs = fromMs + timing.leaseSeconds * 1000 - timing.marginMs - performance.now();
    expiry = setTimeout(() => lose('it could not be renewed in time'), Math.max(0, leftMs)).unref();
  };
  const scheduleRenewal = () => {
    if (!isOver) renewal = setTimeout(() => void renew(), timing.renewEveryMs).unref();
  };
  const renew = async () => {
    const renewalSentAtMs = performance.now();
    try {
      await lease.renewLease({ abortSignal: AbortSignal.timeout(timing.renewEveryMs) });
      if (!isOver) countDown(renewalSentAtMs);
    } catch (error) {
      // An answer that the lease is gone is final; after silence there may be time for another renewal.
      const mapped = toLifeboatError(error, `renew the lock "${name}"`);
      const isGone = mapped instanceof LifeboatError && mapped.code !== 'StorageUnavailable';
      if (isGone) lose(mapped.message);
    }
    scheduleRenewal();
  };

  countDown(sentAtMs);
  scheduleRenewal();
  return {
    lost: lost.signal,
    async release() {
      if (isOver) return;
      end();
      // Whatever goes wrong here, the lease runs out by itself.
      await lease
        .releaseLease({ abortSignal: AbortSignal.timeout(timing.renewEveryMs) })
        .catch(() => undefined);
    },
  };
}
