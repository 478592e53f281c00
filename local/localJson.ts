// local.json in the data directory: where a ready host listens, for the programs that use it. It exists only while
// the host is ready, and appears whole.
import type { StorageEndpoints } from './azurite/connectionString.ts';
import { writeFileAtomically } from './process/atomicFile.ts';

/** `info` are the entries the app asked for; they cannot replace the host's own. */
export async function writeLocalJson(
  file: string,
  url: string,
  endpoints: StorageEndpoints,
  info: Record<string, string>,
): Promise<void> {
  const content = {
    ...info,
    url,
    storageConnectionString: endpoints.connectionString,
    blobEndpoint: endpoints.blob,
    queueEndpoint: endpoints.queue,
    tableEndpoint: endpoints.table,
    pid: process.pid,
  };
  await writeFileAtomically(file, `${JSON.stringify(content, null, 2)}\n`);
}
