// Runs a blob function for one blob: finds the version the message means, and builds the trigger's value and
// metadata as the real host does.
import type { BlobClient, BlobGetPropertiesResponse } from '@azure/storage-blob';
import type { TypedData, Worker } from '../worker/types.ts';
import type { BlobFunction } from './blobFunction.ts';
import { bareETag } from './blobReceipts.ts';

/** 'gone' and 'changed' are no failures: there is nothing to do, or a later message does it. */
export type BlobRun = 'done' | 'gone' | 'changed';

/** Rejects with the handler's error. With `etag` the blob must still be that version. */
export async function runBlobFunction(
  worker: Worker,
  blobFunction: BlobFunction,
  blob: { container: string; name: string; etag?: string },
): Promise<BlobRun> {
  const client = blobFunction.account.blobs.getContainerClient(blob.container).getBlobClient(blob.name);
  const properties = await findProperties(client);
  if (properties === undefined) return 'gone';
  if (blob.etag !== undefined && bareETag(blob.etag) !== bareETag(properties.etag ?? '')) return 'changed';
  const trigger = await toTrigger(blobFunction, client);
  if (trigger === undefined) return 'gone';
  const triggerMetadata = toMetadata(blobFunction, client, properties);
  await worker.invoke({ functionId: blobFunction.loaded.functionId, trigger, triggerMetadata });
  return 'done';
}

async function findProperties(client: BlobClient): Promise<BlobGetPropertiesResponse | undefined> {
  return await unlessMissing(() => client.getProperties());
}

async function unlessMissing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return undefined;
    throw error;
  }
}

async function toTrigger(
  { delivery, connection }: BlobFunction,
  client: BlobClient,
): Promise<TypedData | undefined> {
  if (delivery === 'client') {
    const content = { Connection: connection, ContainerName: client.containerName, BlobName: client.name };
    return {
      modelBindingData: {
        version: '1.0',
        source: 'AzureStorageBlobs',
        contentType: 'application/json',
        content: Buffer.from(JSON.stringify(content)),
      },
    };
  }
  const bytes = await unlessMissing(() => client.downloadToBuffer());
  if (bytes === undefined) return undefined;
  return delivery === 'string' ? { string: bytes.toString('utf8') } : { bytes };
}

function toMetadata(
  { path }: BlobFunction,
  { containerName, name, url }: BlobClient,
  found: BlobGetPropertiesResponse,
): Record<string, TypedData> {
  const properties = {
    BlobType: found.blobType,
    ContentLength: found.contentLength,
    ContentType: found.contentType,
    ContentEncoding: found.contentEncoding ?? null,
    CreatedOn: found.createdOn?.toISOString(),
    ETag: found.etag,
    LastModified: found.lastModified?.toISOString(),
  };
  const parameters = Object.entries(path.match(name) ?? {}).map(
    ([key, value]) => [key, { string: value }] as const,
  );
  return {
    BlobTrigger: { string: `${containerName}/${name}` },
    Uri: { json: JSON.stringify(url.split('?', 1)[0]) },
    Properties: { json: JSON.stringify(properties) },
    Metadata: { json: JSON.stringify(found.metadata ?? {}) },
    ...Object.fromEntries(parameters),
  };
}
