// All blob triggers of an app: scanner, queue, webhook, and runs on request, over one set of receipts.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BlobName } from '../azurite/messages.ts';
import type { HostConfig } from '../settings/hostConfig.ts';
import type { HostLog, Worker } from '../worker/types.ts';
import type { BlobFunction, StorageAccount } from './blobFunction.ts';
import { runBlobFunction } from './blobInvocation.ts';
import { blobQueuePrefix, toFunctionId } from './blobMessage.ts';
import { BlobQueue } from './blobQueue.ts';
import { BlobReceipts } from './blobReceipts.ts';
import { BlobScanner } from './blobScanner.ts';
import { handleEventGrid } from './eventGridWebhook.ts';

export interface BlobListenerOptions {
  functions: readonly BlobFunction[];
  worker: Worker;
  hostId: string;
  /** The host's own account (`AzureWebJobsStorage`); its azure-webjobs-hosts container exists. */
  hostAccount: StorageAccount;
  /** The account whose writes are reported to `noteChanged`; the others are listed more often. */
  reportingAccount: StorageAccount | undefined;
  config: HostConfig['blobs'];
  log: HostLog;
}

export class BlobListener {
  readonly #options: BlobListenerOptions;
  readonly #queue: BlobQueue;
  readonly #scanner: BlobScanner;

  constructor(options: BlobListenerOptions) {
    this.#options = options;
    const { hostAccount, hostId, worker, functions, config, log } = options;
    this.#queue = new BlobQueue({
      queue: hostAccount.queues.getQueueClient(`${blobQueuePrefix}-${hostId}`),
      ...config,
      findFunction: (functionId) => functions.find(({ loaded }) => toFunctionId(loaded.name) === functionId),
      run: (blobFunction, { ContainerName: container, BlobName: name, ETag: etag }) =>
        runBlobFunction(worker, blobFunction, { container, name, ...(etag === undefined ? {} : { etag }) }),
      log,
    });
    this.#scanner = new BlobScanner({
      functions,
      receipts: new BlobReceipts(hostAccount.blobs.getContainerClient('azure-webjobs-hosts'), hostId),
      enqueue: (message) => this.#queue.send(message),
      reportingAccount: options.reportingAccount,
      log,
    });
  }

  /** Containers whose writes the storage process shall report. */
  get reportedContainers(): string[] {
    return this.#scanner.reportedContainers;
  }

  async start(): Promise<void> {
    await this.#queue.open();
    this.#queue.start();
    this.#scanner.start();
  }

  /** Begins no further run; running ones are still settled. */
  async stop(): Promise<void> {
    this.#scanner.stop();
    await this.#queue.stop();
  }

  noteChanged(blobs: readonly BlobName[]): Promise<void> {
    return this.#scanner.noteChanged(blobs);
  }

  /** Runs a function for "container/name" now. Rejects with the handler's error, or when there is no such blob. */
  async runNow(functionName: string, path: string): Promise<void> {
    const blobFunction = this.#options.functions.find(({ loaded }) => loaded.name === functionName);
    if (blobFunction === undefined) throw new Error(`${functionName} is not triggered by blobs.`);
    const [container = '', ...rest] = path.split('/');
    const outcome = await runBlobFunction(this.#options.worker, blobFunction, {
      container,
      name: rest.join('/'),
    });
    if (outcome === 'gone') throw new Error(`There is no blob "${path}".`);
  }

  handleHttp(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const enqueue = this.#queue.send.bind(this.#queue);
    return handleEventGrid(
      { functions: this.#options.functions, enqueue, log: this.#options.log },
      request,
      response,
    );
  }
}
