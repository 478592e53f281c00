// What a blob trigger with sdkBinding hands to its handler: a client for the blob, never its bytes.
import { ResourceFactoryResolver } from '@azure/functions-extensions-base';
import type { ModelBindingData } from '@azure/functions-extensions-base';
import { BlobServiceClient } from '@azure/storage-blob';
import type { BlobClient } from '@azure/storage-blob';
import * as z from 'zod';
import { managedIdentity } from '../../lib/storage/azure/identity.ts';

export interface BlobHandle {
  blobClient: BlobClient;
}

const bindingSource = 'AzureStorageBlobs';
const bindingContent = z.object({ Connection: z.string(), ContainerName: z.string(), BlobName: z.string() });
const services = new Map<string, BlobServiceClient>();

/** `connection` names a setting: a connection string, or `<connection>__accountName` / `__blobServiceUri` with a managed identity. */
function connect(connection: string): BlobServiceClient {
  const setting = (suffix: string) =>
    process.env[connection + suffix] ?? process.env[`AzureWebJobs${connection}${suffix}`];
  const connectionString = setting('');
  if (connectionString) return BlobServiceClient.fromConnectionString(connectionString);
  const accountName = setting('__accountName');
  const uri = setting('__blobServiceUri') ?? (accountName && `https://${accountName}.blob.core.windows.net`);
  if (!uri) throw new Error(`Storage connection "${connection}" is not configured.`);
  const clientId = setting('__clientId');
  return new BlobServiceClient(uri, managedIdentity(clientId ? { clientId } : {}));
}

function serviceFor(connection: string): BlobServiceClient {
  const service = services.get(connection) ?? connect(connection);
  services.set(connection, service);
  return service;
}

function blobHandle(data: ModelBindingData | ModelBindingData[]): BlobHandle {
  if (Array.isArray(data)) throw new Error('A blob trigger has one blob, not a batch.');
  const content = bindingContent.parse(JSON.parse(Buffer.from(data.content ?? []).toString('utf8')));
  const container = serviceFor(content.Connection).getContainerClient(content.ContainerName);
  return { blobClient: container.getBlobClient(content.BlobName) };
}

const resolver = ResourceFactoryResolver.getInstance();
if (!resolver.hasResourceFactory(bindingSource)) resolver.registerResourceFactory(bindingSource, blobHandle);
