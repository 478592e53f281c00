// Starts Azurite for tests: blob, queue and table servers in a thread of this process, so that nothing is left to
// reap and the emulator's work does not block the test's event loop.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

export interface AzuriteOptions {
  /** Keeps the data in this directory, which must exist; a later start with it finds the data again. Default: in memory. */
  dir?: string;
}

export interface RunningAzurite {
  /** For devstoreaccount1, with all three endpoints. */
  connectionString: string;
  blobEndpoint: string;
  /** Writes everything to `dir` and ends the servers. May be called twice. */
  stop(): Promise<void>;
}

const devAccountName = 'devstoreaccount1';
/** The emulator's published key; it opens nothing else. */
const devAccountKey =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

type WorkerMessage = { ports: Record<'blob' | 'queue' | 'table', number> } | { error: string };

/** Built, as one file loads much faster than the emulator's 1,100. The same from here and from a program in dist/. */
const workerProgram = new URL('../../dist/support/azuriteWorker.mjs', import.meta.url);

/** Starts the three servers on free ports of 127.0.0.1. Several may run at once. */
export async function startAzurite(options: AzuriteOptions = {}): Promise<RunningAzurite> {
  const worker = new Worker(workerProgram, {
    workerData: { dir: options.dir },
    execArgv: [],
  });
  const [message] = (await once(worker, 'message')) as [WorkerMessage];
  if ('error' in message) {
    await worker.terminate();
    throw new Error(`Azurite did not start: ${message.error}`);
  }
  const endpoint = (service: keyof typeof message.ports) =>
    `http://127.0.0.1:${message.ports[service]}/${devAccountName}`;
  const exited = once(worker, 'exit');
  return {
    connectionString: [
      'DefaultEndpointsProtocol=http',
      `AccountName=${devAccountName}`,
      `AccountKey=${devAccountKey}`,
      `BlobEndpoint=${endpoint('blob')}`,
      `QueueEndpoint=${endpoint('queue')}`,
      `TableEndpoint=${endpoint('table')}`,
      '',
    ].join(';'),
    blobEndpoint: endpoint('blob'),
    async stop() {
      worker.postMessage('stop');
      await exited;
    },
  };
}
