// Block blobs of one container. Every read and delete names the version (ETag) it means; a failed condition is
// `LogChanged`. ETags leave here in their quoted form: listings of the service have them without.
import type { BlockBlobClient } from '@azure/storage-blob';
import { isLifeboatError, LifeboatError } from '../../errors.ts';
import { assertBlobName, assertMetadata } from '../blobChecks.ts';
import type { BlobInfo, BlobPort } from '../ports.ts';
import type { AzureConnection } from './connection.ts';
import { downloadRange } from './download.ts';
import { isNotFound } from './errors.ts';

const pageOfBlobs = 500;
const copyPollMs = 500;
const upload = { maxSingleShotSize: 64 * 1024 * 1024, blockSize: 8 * 1024 * 1024, concurrency: 4 };

/** The port to one container, which must exist. */
export function azureBlobs(connection: AzureConnection, containerName: string): BlobPort {
  const container = connection.blobs.getContainerClient(containerName);
  const path = (name: string) => `${containerName}/${name}`;
  const client = (name: string) => {
    assertBlobName(name);
    return container.getBlockBlobClient(name);
  };

  /** A condition on a blob that is gone also fails, and services differ in which of the two they report. */
  const changedOrGone = async <T>(result: Promise<T>, blob: BlockBlobClient): Promise<T> => {
    try {
      return await result;
    } catch (error) {
      if (!isLifeboatError(error, 'LogChanged')) throw error;
      const what = `look at ${path(blob.name)}`;
      const current = await connection.safely({ what }, (abortSignal) => findInfo(blob, abortSignal));
      if (current !== undefined) throw error;
      throw new LifeboatError('BlobNotFound', `${path(blob.name)}: there is no such blob`);
    }
  };

  return {
    list: (prefix) => listBlobs(connection, containerName, prefix),
    async find(name) {
      const blob = client(name);
      return connection.safely({ what: `look at ${path(name)}` }, (abortSignal) =>
        findInfo(blob, abortSignal),
      );
    },
    async read(name, range, etag) {
      const blob = client(name);
      const operation = { what: `read ${path(name)}`, onCondition: 'LogChanged' } as const;
      const conditions = { ifMatch: etag };
      if (range.lengthBytes === 0) {
        // There is no empty range on the wire, but the version is checked all the same.
        const looking = connection.safely(operation, (abortSignal) =>
          blob.getProperties({ abortSignal, conditions }),
        );
        await changedOrGone(looking, blob);
      }
      return changedOrGone(downloadRange(connection, blob, range, { operation, conditions }), blob);
    },
    async put(name, data, metadata = {}) {
      assertMetadata(path(name), metadata);
      const blob = client(name);
      await connection.safely({ what: `write ${path(name)}`, bytes: data.length }, (abortSignal) =>
        blob.uploadData(data, { ...upload, abortSignal, metadata: { ...metadata } }),
      );
    },
    async delete(name, etag) {
      const blob = client(name);
      const operation = { what: `delete ${path(name)}`, onCondition: 'LogChanged' } as const;
      const deleting = connection.safely(operation, (abortSignal) =>
        blob.delete({ abortSignal, conditions: { ifMatch: etag }, deleteSnapshots: 'include' }),
      );
      await changedOrGone(deleting, blob).catch((error: unknown) => {
        if (!isLifeboatError(error, 'BlobNotFound')) throw error;
      });
    },
    async copyTo(name, etag, targetContainer, metadata) {
      assertMetadata(path(name), metadata);
      const source = client(name);
      const copying = copyVersion(connection, {
        source,
        target: connection.blobs.getContainerClient(targetContainer).getBlockBlobClient(name),
        etag,
        metadata,
      });
      await changedOrGone(copying, source);
    },
  };
}

async function findInfo(blob: BlockBlobClient, abortSignal: AbortSignal): Promise<BlobInfo | undefined> {
  try {
    const properties = await blob.getProperties({ abortSignal });
    return toBlobInfo(blob.name, properties, properties.metadata);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Each page is an operation with a deadline of its own: the consumer may take its time between them. */
async function* listBlobs(
  connection: AzureConnection,
  containerName: string,
  prefix: string,
): AsyncGenerator<BlobInfo> {
  const container = connection.blobs.getContainerClient(containerName);
  let continuationToken: string | undefined;
  do {
    const from = continuationToken === undefined ? {} : { continuationToken };
    const page = await connection.safely({ what: `list ${containerName}/${prefix}` }, (abortSignal) =>
      container
        .listBlobsFlat({ prefix, includeMetadata: true, abortSignal })
        .byPage({ ...from, maxPageSize: pageOfBlobs })
        .next(),
    );
    if (page.done === true) return;
    for (const blob of page.value.segment.blobItems)
      yield toBlobInfo(blob.name, blob.properties, blob.metadata);
    continuationToken = page.value.continuationToken;
  } while (continuationToken !== undefined && continuationToken !== '');
}

interface CopyRequest {
  source: BlockBlobClient;
  target: BlockBlobClient;
  etag: string;
  metadata: Readonly<Record<string, string>>;
}

/** Copies inside the service. The condition on the source makes sure that metadata and bytes are of one version. */
async function copyVersion(
  connection: AzureConnection,
  { source, target, etag, metadata }: CopyRequest,
): Promise<void> {
  const what = `copy ${source.containerName}/${source.name} to ${target.containerName}`;
  const operation = { what, onCondition: 'LogChanged' } as const;
  const { contentLength = 0, metadata: own = {} } = await connection.safely(operation, (abortSignal) =>
    source.getProperties({ abortSignal, conditions: { ifMatch: etag } }),
  );
  await connection.safely({ ...operation, bytes: contentLength }, async (abortSignal) => {
    const copying = await target.beginCopyFromURL(source.url, {
      abortSignal,
      intervalInMs: copyPollMs,
      metadata: { ...own, ...metadata },
      sourceConditions: { ifMatch: etag },
    });
    // The poller's own requests take no signal, so the deadline stops it between two of them.
    abortSignal.addEventListener('abort', () => copying.stopPolling(), { once: true });
    await copying.pollUntilDone();
  });
}

function toBlobInfo(
  name: string,
  properties: { contentLength?: number; etag?: string; lastModified?: Date },
  metadata: Record<string, string> | undefined,
): BlobInfo {
  return {
    name,
    sizeBytes: properties.contentLength ?? 0,
    etag: quoted(properties.etag ?? ''),
    metadata: Object.fromEntries(
      Object.entries(metadata ?? {}).map(([key, value]) => [key.toLowerCase(), value]),
    ),
    lastModified: properties.lastModified ?? new Date(0),
  };
}

function quoted(etag: string): string {
  return etag.startsWith('"') || etag.startsWith('W/') ? etag : `"${etag}"`;
}
