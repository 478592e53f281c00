// local.json in the data directory: where a ready host listens, for the programs that use it. It exists only while
// the host is ready, and appears whole.
import type { StorageEndpoints } from './azurite/connectionString.ts';
import type { HostKeys } from './http/hostKeys.ts';
import { writeFileAtomically } from './process/atomicFile.ts';

export interface LocalJson {
  url: string;
  endpoints: StorageEndpoints;
  /** Present when the host asks for keys. */
  keys: HostKeys | undefined;
  /** PEM file that clients trust; present when the host serves TLS. */
  caCertificate: string | undefined;
  /** Entries the app asked for; they cannot replace the host's own. */
  info: Record<string, string>;
}

export async function writeLocalJson(file: string, local: LocalJson): Promise<void> {
  const { url, endpoints, keys, caCertificate, info } = local;
  const content = {
    ...info,
    ...(keys === undefined ? {} : { masterKey: keys.masterKey, functionKey: keys.functionKey }),
    url,
    ...(caCertificate === undefined ? {} : { caCertificate }),
    storageConnectionString: endpoints.connectionString,
    blobEndpoint: endpoints.blob,
    queueEndpoint: endpoints.queue,
    tableEndpoint: endpoints.table,
    pid: process.pid,
  };
  await writeFileAtomically(file, `${JSON.stringify(content, null, 2)}\n`);
}
