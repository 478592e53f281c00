// The part of the contract of PageBlobPort that is about growing; see pageBlobSuite.ts.
import { beforeAll, describe, expect, test } from 'vitest';
import type { ByteRange, Fence, PageBlobPort } from '../../lib/storage/ports.ts';
import { codeOf, expectBytes, freshName, patternBytes } from './outcomes.ts';

const kib = 1024;
const range = (offsetBytes: number, lengthBytes: number): ByteRange => ({ offsetBytes, lengthBytes });

export function pageBlobGrowthSuite(adapter: string, make: () => PageBlobPort): void {
  describe(`page blobs that grow (${adapter})`, () => {
    let port: PageBlobPort;
    beforeAll(() => {
      port = make();
    });

    /** A leased blob and the fence of its first writer. */
    const leased = async (): Promise<{ name: string; fence: Fence }> => {
      const name = freshName('disk');
      await port.create(name, 64 * kib);
      const leaseId = crypto.randomUUID();
      await port.holdLease(name, leaseId);
      return { name, fence: { leaseId, sequenceNumber: await port.raiseSequenceNumber(name, leaseId) } };
    };
    const all = async (name: string) => port.read(name, range(0, (await port.find(name))!.sizeBytes));

    test('adds zeros behind the bytes, keeps the fence and the snapshots, and may be repeated', async () => {
      const { name, fence } = await leased();
      await port.writePages(name, 0, patternBytes(64 * kib, 7), fence);
      const snapshotId = await port.snapshot(name, { cycle: '1' });
      await port.grow(name, 96 * kib, fence.leaseId);
      await port.grow(name, 96 * kib, fence.leaseId);
      await port.grow(name, 32 * kib, fence.leaseId);
      expect(await port.find(name)).toEqual({
        ...{ sizeBytes: 96 * kib, sequenceNumber: fence.sequenceNumber, isLeased: true },
      });
      const grown = new Uint8Array(96 * kib);
      grown.set(patternBytes(64 * kib, 7));
      expectBytes(await all(name), grown);
      await port.writePages(name, 92 * kib, patternBytes(4 * kib, 8), fence);
      expectBytes(await port.read(name, range(0, 64 * kib), snapshotId), patternBytes(64 * kib, 7));
    });

    test('needs the lease and the blob', async () => {
      const { name } = await leased();
      expect(await codeOf(port.grow(name, 96 * kib, crypto.randomUUID()))).toBe('ReplicaLeaseLost');
      expect(await codeOf(port.grow(name, 16 * kib, crypto.randomUUID()))).toBe('ReplicaLeaseLost');
      expect((await port.find(name))!.sizeBytes).toBe(64 * kib);
      expect(await codeOf(port.grow(freshName('disk'), kib, crypto.randomUUID()))).toBe('BlobNotFound');
      expect(await codeOf(port.grow(name, 513, crypto.randomUUID()))).toBe('RangeError');
    });
  });
}
