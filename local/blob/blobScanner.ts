// Notices new and changed blobs of the watched containers and queues one message for each (function, blob, ETag).
// A full listing runs at the start and then rarely; in between the storage process reports what was written, or,
// for an account that cannot report, the listing is repeated with a pause that grows with its cost.
// At least once: a blob may be queued twice around a crash, never not at all.
import pMap from 'p-map';
import type { BlobName } from '../azurite/messages.ts';
import { reasonOf } from '../process/startError.ts';
import type { HostLog } from '../worker/types.ts';
import type { BlobFunction, StorageAccount } from './blobFunction.ts';
import type { BlobReceipts } from './blobReceipts.ts';
import { type BlobMessage, toFunctionId } from './blobMessage.ts';
import { ReceiptSweep } from './receiptSweep.ts';

export interface BlobScannerOptions {
  functions: readonly BlobFunction[];
  receipts: BlobReceipts;
  enqueue: (message: BlobMessage) => Promise<void>;
  log: HostLog;
  /** The account whose changes are reported through `noteChanged`. */
  reportingAccount: StorageAccount | undefined;
}

/** One container and the functions that watch it. */
interface WatchedContainer {
  account: StorageAccount;
  name: string;
  functions: BlobFunction[];
  isReporting: boolean;
  timer?: NodeJS.Timeout;
}

/** What a listing or a look at one blob says of it. */
interface SeenBlob {
  name: string;
  etag: string;
  blobType: string;
}

/** Blobs queued at a time. */
const concurrency = 8;

/** How long to wait between two listings of a container. */
interface ScanPace {
  busyMs: number;
  idleMs: number;
  /** A listing may take at most one part in so many of the time … */
  pausePerCost: number;
  /** … unless the pause would be longer than this. */
  maximumMs: number;
}

const listedPace: ScanPace = { busyMs: 500, idleMs: 1000, pausePerCost: 30, maximumMs: 60_000 };
/** With reports a listing only catches what a report could have missed. */
const reportedPace: ScanPace = { busyMs: 30_000, idleMs: 30_000, pausePerCost: 100, maximumMs: 600_000 };

export class BlobScanner {
  readonly #options: BlobScannerOptions;
  readonly #containers: WatchedContainer[] = [];
  readonly #queueing = new Set<string>();
  #receiptsRead: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: BlobScannerOptions) {
    this.#options = options;
    for (const blobFunction of options.functions) this.#watch(blobFunction);
  }

  /** Containers of the reporting account, for its `watch`. */
  get reportedContainers(): string[] {
    return this.#containers.filter(({ isReporting }) => isReporting).map(({ name }) => name);
  }

  /** Begins to look; receipts and first listings are read in the background. */
  start(): void {
    this.#receiptsRead = this.#readReceipts();
    for (const container of this.#containers)
      void this.#receiptsRead.then(() => this.#scanThenWait(container));
  }

  stop(): void {
    this.#isStopped = true;
    for (const { timer } of this.#containers) clearTimeout(timer);
  }

  /** Looks at blobs that the storage process reported as written. */
  async noteChanged(blobs: readonly BlobName[]): Promise<void> {
    await this.#receiptsRead;
    await pMap(blobs, (changed) => this.#look(changed), { concurrency });
  }

  async #readReceipts(): Promise<void> {
    for (const { loaded } of this.#options.functions) {
      try {
        await this.#options.receipts.load(loaded.name);
      } catch (error) {
        // At least once allows it: what has no receipt in memory runs again.
        this.#options.log(
          'warning',
          'Host.Blobs',
          `Cannot read the receipts of ${loaded.name}: ${reasonOf(error)}`,
        );
      }
    }
  }

  async #look({ container, blob }: BlobName): Promise<void> {
    const watched = this.#containers.find(({ isReporting, name }) => isReporting && name === container);
    if (watched === undefined || this.#isStopped) return;
    if (!watched.functions.some(({ path }) => path.match(blob) !== undefined)) return;
    try {
      const client = watched.account.blobs.getContainerClient(container).getBlobClient(blob);
      const { etag = '', blobType = 'BlockBlob' } = await client.getProperties();
      await this.#consider(watched, { name: blob, etag, blobType });
    } catch (error) {
      // Deleted meanwhile; anything else is found by the next listing.
      if (statusOf(error) !== 404) this.#warn(watched, error);
    }
  }

  #watch(blobFunction: BlobFunction): void {
    const { account, path } = blobFunction;
    const known = this.#containers.find(
      (container) => container.account === account && container.name === path.container,
    );
    if (known === undefined) {
      const isReporting = account === this.#options.reportingAccount;
      this.#containers.push({ account, name: path.container, functions: [blobFunction], isReporting });
    } else {
      known.functions.push(blobFunction);
    }
  }

  async #scanThenWait(container: WatchedContainer): Promise<void> {
    const startedAt = performance.now();
    const names = container.functions.map(({ loaded }) => loaded.name);
    const sweep = new ReceiptSweep(this.#options.receipts, names, container.name);
    let found = 0;
    try {
      found = await this.#scan(container, sweep);
      if (!this.#isStopped) await sweep.finish();
    } catch (error) {
      // A container that does not exist yet is not an error; it is looked for again.
      if (statusOf(error) !== 404) this.#warn(container, error);
    }
    if (this.#isStopped) return;
    const { busyMs, idleMs, pausePerCost, maximumMs } = container.isReporting ? reportedPace : listedPace;
    const costMs = performance.now() - startedAt;
    const pauseMs = Math.max(found > 0 ? busyMs : idleMs, Math.min(maximumMs, costMs * pausePerCost));
    container.timer = setTimeout(() => void this.#scanThenWait(container), pauseMs);
  }

  /** Number of messages queued. */
  async #scan(container: WatchedContainer, sweep: ReceiptSweep): Promise<number> {
    let found = 0;
    const client = container.account.blobs.getContainerClient(container.name);
    for await (const page of client.listBlobsFlat().byPage({ maxPageSize: 5000 })) {
      const consider = async ({
        name,
        properties,
      }: (typeof page.segment.blobItems)[number]): Promise<void> => {
        if (this.#isStopped) return;
        const { etag, blobType = 'BlockBlob' } = properties;
        sweep.see(name, etag);
        found += await this.#consider(container, { name, etag, blobType });
      };
      await pMap(page.segment.blobItems, consider, { concurrency });
    }
    return found;
  }

  async #consider(container: WatchedContainer, { name, etag, blobType }: SeenBlob): Promise<number> {
    let found = 0;
    for (const { loaded, path } of container.functions) {
      if (path.match(name) === undefined) continue;
      const version = { container: container.name, blob: name, etag };
      if (this.#options.receipts.has(loaded.name, version)) continue;
      // A listing and a report may see the same blob at the same time.
      const key = JSON.stringify([loaded.name, version]);
      if (this.#queueing.has(key)) continue;
      this.#queueing.add(key);
      try {
        await this.#options.enqueue({
          Type: 'BlobTrigger',
          FunctionId: toFunctionId(loaded.name),
          BlobType: blobType,
          ContainerName: container.name,
          BlobName: name,
          ETag: etag,
        });
        await this.#options.receipts.add(loaded.name, version);
      } finally {
        this.#queueing.delete(key);
      }
      found++;
    }
    return found;
  }

  #warn({ name }: WatchedContainer, error: unknown): void {
    if (!this.#isStopped)
      this.#options.log('warning', 'Host.Blobs', `Cannot look at container ${name}: ${reasonOf(error)}`);
  }
}

function statusOf(error: unknown): unknown {
  return (error as { statusCode?: unknown } | null)?.statusCode;
}
