// The connection string of the Azurite that a local host started.
import type { AzuritePorts } from './messages.ts';

const account = 'devstoreaccount1';
/** The emulator's published account key: the same everywhere, and no secret. */
const accountKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

export interface StorageEndpoints {
  connectionString: string;
  blob: string;
  queue: string;
  table: string;
}

/** Endpoints and connection string for services on these ports of 127.0.0.1. */
export function toStorageEndpoints(ports: AzuritePorts): StorageEndpoints {
  const url = (port: number): string => `http://127.0.0.1:${port}/${account}`;
  const [blob, queue, table] = [url(ports.blob), url(ports.queue), url(ports.table)];
  const connectionString =
    `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${accountKey};` +
    `BlobEndpoint=${blob};QueueEndpoint=${queue};TableEndpoint=${table};`;
  return { connectionString, blob, queue, table };
}
