// The thread that `azurite.ts` starts, built (dist/support): Azurite's three servers on free loopback ports, with their own event loop.
// Messages: out { ports } once all listen, or { error }; in 'stop' → everything is flushed, the thread ends.
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { azurite } from '../../local/azurite/azuriteClasses.ts';

const host = '127.0.0.1';
const keepAliveSeconds = 60;
const inMemory = workerData.dir === undefined;
const directory = workerData.dir ?? '';

/** What the blob and queue servers take in the same order. */
const extentSettings = (service) => [
  host,
  0,
  keepAliveSeconds,
  join(directory, `__azurite_db_${service}__.json`),
  join(directory, `__azurite_db_${service}_extent__.json`),
  [{ locationId: 'Default', locationPath: join(directory, `__${service}storage__`), maxConcurrency: 50 }],
  false, // access log
  undefined,
  false, // debug log
  undefined,
  false, // loose
  true, // skip the API version check: the SDK speaks a newer version than this emulator knows
  '',
  '',
  '',
  undefined, // OAuth
  false, // product style URLs stay enabled
  inMemory,
];

function createServers() {
  const { blob, queue, table } = azurite;
  const tableDatabase = join(directory, '__azurite_db_table__.json');
  return {
    blob: new blob.Service(new blob.Configuration(...extentSettings('blob'))),
    queue: new queue.Service(new queue.Configuration(...extentSettings('queue'))),
    table: new table.Service(
      new table.Configuration(
        ...[host, 0, keepAliveSeconds, tableDatabase, false, false, undefined, undefined, false, true],
        ...['', '', '', undefined, false, inMemory],
      ),
    ),
  };
}

try {
  const servers = createServers();
  const ports = {};
  for (const [service, server] of Object.entries(servers)) {
    await server.start();
    ports[service] = server.httpServer.address().port;
  }
  parentPort.once('message', async () => {
    for (const server of Object.values(servers)) {
      server.httpServer.closeAllConnections();
      await server.close();
    }
    process.exit(0);
  });
  parentPort.postMessage({ ports });
} catch (error) {
  parentPort.postMessage({ error: error instanceof Error ? error.message : String(error) });
}
