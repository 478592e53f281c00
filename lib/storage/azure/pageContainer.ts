// What the parts of the page blob adapter share: clients by name, and the sizes of the blobs, so that not every write
// has to ask for them. A cached size may be stale when another process made the blob anew; therefore a range that does
// not fit is checked against a fresh size before it is refused, and whatever shows a change drops the entry.
import type { PageBlobClient } from '@azure/storage-blob';
import { isLifeboatError, LifeboatError } from '../../errors.ts';
import { assertBlobName } from '../blobChecks.ts';
import { assertWithin, isWithin } from '../pageBounds.ts';
import type { ByteRange, PageBlobInfo } from '../ports.ts';
import type { AzureConnection } from './connection.ts';
import { isNotFound } from './errors.ts';

export interface PageContainer {
  connection: AzureConnection;
  containerName: string;
  /** How errors name the blob. */
  path(name: string): string;
  client(name: string, snapshotId?: string): PageBlobClient;
  /** The client for `connection.once`. */
  clientOnce(name: string): PageBlobClient;
  /** Asks the service, and remembers the size. */
  find(name: string): Promise<PageBlobInfo | undefined>;
  /** RangeError when the range does not end inside the blob, `BlobNotFound` when there is none. */
  assertWithin(name: string, range: ByteRange): Promise<void>;
  forgetSize(name: string): void;
  /** Passes the result on; forgets the size when the error says that the blob is not what it was. */
  watch<T>(name: string, result: Promise<T>): Promise<T>;
}

export function pageContainer(connection: AzureConnection, containerName: string): PageContainer {
  const container = connection.blobs.getContainerClient(containerName);
  const containerOnce = connection.blobsOnce.getContainerClient(containerName);
  const sizes = new Map<string, number>();
  const path = (name: string) => `${containerName}/${name}`;
  const client = (name: string, snapshotId?: string) => {
    assertBlobName(name);
    const blob = container.getPageBlobClient(name);
    return snapshotId === undefined ? blob : blob.withSnapshot(snapshotId);
  };

  const find = async (name: string) => {
    const what = `look at ${path(name)}`;
    const blob = client(name);
    sizes.delete(name);
    const info = await connection.safely({ what }, (abortSignal) => findInfo(blob, what, abortSignal));
    if (info !== undefined) sizes.set(name, info.sizeBytes);
    return info;
  };

  return {
    connection,
    containerName,
    path,
    client,
    clientOnce(name) {
      assertBlobName(name);
      return containerOnce.getPageBlobClient(name);
    },
    find,
    async assertWithin(name, range) {
      const cached = sizes.get(name);
      if (cached !== undefined && isWithin(range, cached)) return;
      const info = await find(name);
      if (info === undefined) throw new LifeboatError('BlobNotFound', `${path(name)}: there is no such blob`);
      assertWithin(path(name), range, info.sizeBytes);
    },
    forgetSize: (name) => sizes.delete(name),
    async watch(name, result) {
      try {
        return await result;
      } catch (error) {
        if (error instanceof RangeError || isLifeboatError(error, 'BlobNotFound')) sizes.delete(name);
        throw error;
      }
    },
  };
}

async function findInfo(
  blob: PageBlobClient,
  what: string,
  abortSignal: AbortSignal,
): Promise<PageBlobInfo | undefined> {
  try {
    const properties = await blob.getProperties({ abortSignal });
    if (properties.blobType !== 'PageBlob') {
      const found = `it is a ${properties.blobType ?? 'blob of unknown type'}, not a page blob`;
      throw new LifeboatError('InvalidRequest', `${what}: ${found}. Delete it and upload the disk again.`);
    }
    return {
      sizeBytes: properties.contentLength ?? 0,
      sequenceNumber: properties.blobSequenceNumber ?? 0,
      isLeased: properties.leaseStatus === 'locked',
    };
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
