// Page blobs in memory, with the service's leases, sequence numbers and snapshots. Every method does its work in one
// synchronous step, so calls that run at the same time happen in some order, as in the service.
import { LifeboatError } from '../../errors.ts';
import { assertBlobName, assertMetadata } from '../blobChecks.ts';
import { assertPageBlobSize, assertPages, assertPageWrite, assertWithin, joinRanges } from '../pageBounds.ts';
import type {
  ByteRange,
  Fence,
  PageBlobPort,
  PageCopySource,
  SnapshotCopySource,
  SnapshotInfo,
} from '../ports.ts';
import { SparsePages } from './sparsePages.ts';

interface StoredBlob {
  sizeBytes: number;
  sequenceNumber: number;
  leaseId: string | undefined;
  pages: SparsePages;
  /** In the order they were taken, which is the order of their ids. */
  snapshots: Map<string, { pages: SparsePages; info: SnapshotInfo }>;
}

type Blobs = Map<string, StoredBlob>;

/** Reads bytes of a version of a blob, or of a snapshot, of the same account; throws as the port's `read` does. */
export type ReadCopySource = (source: PageCopySource | SnapshotCopySource, lengthBytes: number) => Uint8Array;

export interface MemoryPageBlobs extends PageBlobPort {
  /** What a copy from a snapshot of this container reads. */
  readSnapshot(source: SnapshotCopySource, lengthBytes: number): Uint8Array;
}

/** A page blob port over an empty container of its own, which copies from what `readSource` reads. */
export function memoryPageBlobs(readSource: ReadCopySource): MemoryPageBlobs {
  const blobs: Blobs = new Map();
  const get = (name: string) => getBlob(blobs, name);

  return {
    async create(name, sizeBytes) {
      assertBlobName(name);
      assertPageBlobSize(name, sizeBytes);
      if (blobs.has(name)) throw new LifeboatError('BlobExists', `${name}: the blob exists already`);
      const pages = new SparsePages();
      blobs.set(name, { sizeBytes, sequenceNumber: 0, leaseId: undefined, pages, snapshots: new Map() });
    },
    async find(name) {
      const blob = blobs.get(name);
      if (blob === undefined) return undefined;
      const { sizeBytes, sequenceNumber, leaseId } = blob;
      return { sizeBytes, sequenceNumber, isLeased: leaseId !== undefined };
    },
    ...memoryReads(blobs),
    async writePages(name, offsetBytes, data, fence) {
      const range = { offsetBytes, lengthBytes: data.length };
      assertPageWrite(name, range);
      writable(name, get(name), range, fence).write(offsetBytes, data);
    },
    async clearPages(name, range, fence) {
      assertPages(name, range);
      writable(name, get(name), range, fence).clear(range);
    },
    async copyPages(name, range, source, fence) {
      assertPageWrite(name, range);
      const pages = writable(name, get(name), range, fence);
      pages.write(range.offsetBytes, readSource(source, range.lengthBytes));
      return true;
    },
    async holdLease(name, leaseId) {
      const blob = get(name);
      if (blob.leaseId !== undefined) assertLease(name, blob, leaseId);
      blob.leaseId = leaseId;
    },
    async releaseLease(name, leaseId) {
      const blob = blobs.get(name);
      if (blob?.leaseId === undefined) return;
      assertLease(name, blob, leaseId);
      blob.leaseId = undefined;
    },
    async raiseSequenceNumber(name, leaseId) {
      const blob = get(name);
      assertLease(name, blob, leaseId);
      return ++blob.sequenceNumber;
    },
    async grow(name, sizeBytes, leaseId) {
      assertPageBlobSize(name, sizeBytes);
      const blob = get(name);
      assertLease(name, blob, leaseId);
      blob.sizeBytes = Math.max(blob.sizeBytes, sizeBytes);
    },
    ...memorySnapshots(blobs),
    async delete(name, leaseId) {
      const blob = blobs.get(name);
      if (blob === undefined) return;
      if (blob.leaseId !== undefined) assertLease(name, blob, leaseId);
      blobs.delete(name);
    },
  };
}

/** The part of the port that lists and reads. */
function memoryReads(
  blobs: Blobs,
): Pick<MemoryPageBlobs, 'listNames' | 'readSnapshot' | 'read' | 'listRanges'> {
  const readNow = (name: string, range: ByteRange, snapshotId?: string): Uint8Array => {
    const blob = getBlob(blobs, name);
    assertWithin(name, range, blob.sizeBytes);
    return getPages(name, blob, snapshotId).read(range);
  };
  return {
    async *listNames(prefix) {
      for (const name of [...blobs.keys()].sort()) if (name.startsWith(prefix)) yield name;
    },
    readSnapshot: ({ name, snapshotId, offsetBytes }, lengthBytes) =>
      readNow(name, { offsetBytes, lengthBytes }, snapshotId),
    read: async (name, range, snapshotId) => readNow(name, range, snapshotId),
    async listRanges(name, window, snapshotId) {
      const blob = getBlob(blobs, name);
      assertWithin(name, window, blob.sizeBytes);
      return joinRanges(getPages(name, blob, snapshotId).writtenPages(window), window);
    },
  };
}

/** The part of the port that is about snapshots. */
function memorySnapshots(blobs: Blobs): Pick<PageBlobPort, 'snapshot' | 'listSnapshots' | 'deleteSnapshot'> {
  let snapshotCount = 0;
  return {
    async snapshot(name, metadata) {
      assertMetadata(name, metadata);
      const blob = getBlob(blobs, name);
      const id = snapshotId(++snapshotCount);
      blob.snapshots.set(id, { pages: blob.pages.freeze(), info: { id, metadata: { ...metadata } } });
      return id;
    },
    async listSnapshots(name) {
      return [...getBlob(blobs, name).snapshots.values()].map(({ info }) => ({
        ...info,
        metadata: { ...info.metadata },
      }));
    },
    async deleteSnapshot(name, snapshotId) {
      blobs.get(name)?.snapshots.delete(snapshotId);
    },
  };
}

function getBlob(blobs: Blobs, name: string): StoredBlob {
  const blob = blobs.get(name);
  if (blob === undefined) throw new LifeboatError('BlobNotFound', `${name}: there is no such blob`);
  return blob;
}

/** Ids that sort in the order of the snapshots and look like the service's timestamps, without a clock. */
function snapshotId(count: number): string {
  return `1970-01-01T00:00:00.${String(count).padStart(7, '0')}Z`;
}

function getPages(name: string, blob: StoredBlob, snapshotId: string | undefined): SparsePages {
  if (snapshotId === undefined) return blob.pages;
  const snapshot = blob.snapshots.get(snapshotId);
  if (snapshot !== undefined) return snapshot.pages;
  throw new LifeboatError('BlobNotFound', `${name}: there is no snapshot ${snapshotId}`);
}

/** The pages to write to, after every check that the service makes. */
function writable(name: string, blob: StoredBlob, range: ByteRange, fence: Fence | undefined): SparsePages {
  assertWithin(name, range, blob.sizeBytes);
  if (blob.leaseId !== undefined || fence !== undefined) assertLease(name, blob, fence?.leaseId);
  if (fence !== undefined && fence.sequenceNumber !== blob.sequenceNumber) {
    const numbers = `the blob's sequence number is ${blob.sequenceNumber}, this writer's ${fence.sequenceNumber}`;
    throw new LifeboatError('FenceLost', `${name}: ${numbers}`);
  }
  return blob.pages;
}

function assertLease(name: string, blob: StoredBlob, leaseId: string | undefined): void {
  if (blob.leaseId === leaseId && leaseId !== undefined) return;
  const state = blob.leaseId === undefined ? 'is not leased' : 'is leased under another id';
  throw new LifeboatError('ReplicaLeaseLost', `${name}: the blob ${state}`);
}
