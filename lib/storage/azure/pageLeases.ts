// The infinite lease of a replica and its fencing number. The lease id is the caller's, so that taking it again after
// a crash, or after an emulator's restart let it expire, is the same call.
import { LifeboatError } from '../../errors.ts';
import { assertPageBlobSize } from '../pageBounds.ts';
import type { PageBlobPort } from '../ports.ts';
import { hasServiceCode, isNotFound } from './errors.ts';
import type { PageContainer } from './pageContainer.ts';

const infinite = -1;

type PageLeasePort = Pick<PageBlobPort, 'holdLease' | 'releaseLease' | 'raiseSequenceNumber' | 'grow'>;

export function pageLeases(container: PageContainer): PageLeasePort {
  const { connection } = container;
  return {
    async holdLease(name, leaseId) {
      const lease = container.client(name).getBlobLeaseClient(leaseId);
      // Until now any holder of an upload URL could make the blob anew, with another size.
      container.forgetSize(name);
      await connection.safely({ what: `lease ${container.path(name)}` }, (abortSignal) =>
        lease.acquireLease(infinite, { abortSignal }),
      );
    },
    async releaseLease(name, leaseId) {
      const lease = container.client(name).getBlobLeaseClient(leaseId);
      const what = `release the lease of ${container.path(name)}`;
      await connection.safely({ what }, async (abortSignal) => {
        try {
          await lease.releaseLease({ abortSignal });
        } catch (error) {
          if (isNotFound(error)) return;
          const isOtherLease = 'LeaseIdMismatchWithLeaseOperation';
          if (!hasServiceCode(error, isOtherLease, 'LeaseNotPresentWithLeaseOperation')) throw error;
          // The service says the same of a blob that is not leased, which is what the caller wants.
          const info = await container.find(name);
          if (info?.isLeased === true) throw error;
        }
      });
    },
    async grow(name, sizeBytes, leaseId) {
      assertPageBlobSize(container.path(name), sizeBytes);
      const info = await container.find(name);
      if (info === undefined)
        throw new LifeboatError('BlobNotFound', `${container.path(name)}: there is no such blob`);
      // Asked for also when the blob is long enough, so that a wrong lease id never goes unnoticed.
      const target = Math.max(info.sizeBytes, sizeBytes);
      const blob = container.client(name);
      await connection.safely({ what: `grow ${container.path(name)}` }, (abortSignal) =>
        blob.resize(target, { abortSignal, conditions: { leaseId } }),
      );
      container.forgetSize(name);
    },
    async raiseSequenceNumber(name, leaseId) {
      const blob = container.client(name);
      // Sent again after a lost answer it may add two, which is as good: the number returned is the blob's, and a late
      // duplicate makes the caller's own fence fail, never an older one pass.
      return connection.safely(
        { what: `raise the sequence number of ${container.path(name)}` },
        async (abortSignal) => {
          const options = { abortSignal, conditions: { leaseId } };
          const { blobSequenceNumber } = await blob.updateSequenceNumber('increment', undefined, options);
          if (blobSequenceNumber !== undefined) return blobSequenceNumber;
          throw new LifeboatError(
            'StorageUnavailable',
            `${container.path(name)}: the answer has no sequence number`,
          );
        },
      );
    },
  };
}
