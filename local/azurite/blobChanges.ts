// Reports which blobs of watched containers were written, seen from the blob service's own requests: what $logs
// is to the scanner in Azure, but at once. Spares the host from listing containers of thousands of blobs again
// and again.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { BlobName } from './messages.ts';

/** Values of `comp` that change a blob's content or ETag; absent for Put Blob and Copy Blob. */
const writingOperations = new Set<string | null>([
  null,
  'blocklist',
  'page',
  'appendblock',
  'properties',
  'metadata',
]);
const batchDelayMs = 20;

export class BlobChanges {
  readonly #report: (blobs: BlobName[]) => void;
  readonly #pending = new Map<string, BlobName>();
  #containers: ReadonlySet<string> = new Set();
  #timer: NodeJS.Timeout | undefined;

  constructor(server: Server, report: (blobs: BlobName[]) => void) {
    this.#report = report;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      if (request.method !== 'PUT' || this.#containers.size === 0) return;
      const changed = this.#findChanged(request.url ?? '');
      if (changed === undefined) return;
      response.once('close', () => {
        if (response.statusCode < 300) this.#add(changed);
      });
    });
  }

  /** Replaces the set of containers that are reported. */
  watch(containers: readonly string[]): void {
    this.#containers = new Set(containers);
  }

  #findChanged(url: string): BlobName | undefined {
    const { pathname, searchParams } = new URL(url, 'http://localhost');
    if (!writingOperations.has(searchParams.get('comp')) || searchParams.get('restype') === 'container')
      return undefined;
    const [, , container = '', ...rest] = pathname.split('/');
    if (!this.#containers.has(container) || rest.length === 0) return undefined;
    return { container, blob: decodeURIComponent(rest.join('/')) };
  }

  #add(changed: BlobName): void {
    this.#pending.set(`${changed.container}/${changed.blob}`, changed);
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const blobs = [...this.#pending.values()];
      this.#pending.clear();
      this.#report(blobs);
    }, batchDelayMs);
  }
}
