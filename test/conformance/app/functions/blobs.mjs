// Two functions on the same blobs: one gets a client from a factory of this app, one gets the bytes. The first part of a
// blob's name is the table for the effects; a name that starts with "poison" makes the function with the bytes fail.
import { createRequire } from 'node:module';
import { app } from '@azure/functions';
import { BlobServiceClient } from '@azure/storage-blob';
import { record } from './effects.mjs';

// Through require: an import would be another copy than the one @azure/functions asks.
const { ResourceFactoryResolver } = createRequire(import.meta.url)('@azure/functions-extensions-base');

ResourceFactoryResolver.getInstance().registerResourceFactory('AzureStorageBlobs', ({ content }) => {
  const { Connection, ContainerName, BlobName } = JSON.parse(Buffer.from(content).toString('utf8'));
  const service = BlobServiceClient.fromConnectionString(process.env[Connection]);
  return service.getContainerClient(ContainerName).getBlobClient(BlobName);
});

const path = 'conformance/{effects}/{name}';
const connection = 'AzureWebJobsStorage';

app.storageBlob('blobClient', {
  path,
  connection,
  sdkBinding: true,
  handler: async (blob, context) => {
    const isBytes = Buffer.isBuffer(blob);
    const text = isBytes ? undefined : (await blob.downloadToBuffer()).toString('utf8');
    const { effects, name } = context.triggerMetadata;
    await record(effects, `client-${name}`, { isBytes, text, blobName: isBytes ? undefined : blob.name });
  },
});

app.storageBlob('blobBytes', {
  path,
  connection,
  handler: async (blob, context) => {
    const { effects, name, uri, blobTrigger, properties, metadata } = context.triggerMetadata;
    await record(effects, `bytes-${name}`, {
      ...{ isBytes: Buffer.isBuffer(blob), text: blob.toString('utf8'), startedAtMs: Date.now() },
      ...{ uri, blobTrigger, metadata, contentLength: properties.contentLength },
    });
    if (String(name).startsWith('poison')) throw new Error(`the blob ${name} always fails`);
  },
});
