// Remembers which (function, blob, ETag) have been queued, as blobs named like the real host's receipts, and in
// memory so that a scan of thousands of blobs costs no request per blob.
// A receipt is written after its message was sent: a crash in between queues the blob again, never loses it.
// A receipt goes when its version of the blob is gone, since no later version can have the same ETag.
import type { ContainerClient } from '@azure/storage-blob';
import { toFunctionId } from './blobMessage.ts';

export interface BlobVersion {
  container: string;
  blob: string;
  /** With or without its quotes; both name the same version. */
  etag: string;
}

export class BlobReceipts {
  readonly #container: ContainerClient;
  readonly #hostId: string;
  readonly #known = new Set<string>();

  /** `container` is azure-webjobs-hosts and exists. */
  constructor(container: ContainerClient, hostId: string) {
    this.#container = container;
    this.#hostId = hostId;
  }

  /** Reads all receipts of a function; call once before `has` is asked about it. */
  async load(functionName: string): Promise<void> {
    const prefix = this.#prefix(functionName);
    for await (const page of this.#container.listBlobsFlat({ prefix }).byPage({ maxPageSize: 5000 })) {
      for (const { name } of page.segment.blobItems) this.#known.add(name);
    }
  }

  has(functionName: string, version: BlobVersion): boolean {
    return this.#known.has(this.nameOf(functionName, version));
  }

  /** Records that the version was queued. May be called twice. */
  async add(functionName: string, version: BlobVersion): Promise<void> {
    const name = this.nameOf(functionName, version);
    await this.#container.getBlockBlobClient(name).upload('', 0, { metadata: { Completed: 'true' } });
    this.#known.add(name);
  }

  /** Receipts, by name, of a function for blobs of one container. */
  namesFor(functionName: string, container: string): string[] {
    const prefix = this.#prefix(functionName);
    return [...this.#known].filter((name) => {
      if (!name.startsWith(prefix)) return false;
      const etagEnd = name.indexOf('/', prefix.length);
      return name.startsWith(`${container}/`, etagEnd + 1);
    });
  }

  /** Forgets a receipt, by name. May be called twice. */
  async remove(name: string): Promise<void> {
    await this.#container.getBlobClient(name).deleteIfExists();
    this.#known.delete(name);
  }

  #prefix(functionName: string): string {
    return `blobreceipts/${this.#hostId}/${toFunctionId(functionName)}/`;
  }

  /** Name of the blob that is, or would be, the version's receipt. */
  nameOf(functionName: string, { container, blob, etag }: BlobVersion): string {
    return `${this.#prefix(functionName)}${bareETag(etag)}/${container}/${blob}`;
  }
}

/** Listings give ETags without quotes, headers with them. */
export function bareETag(etag: string): string {
  return etag.replaceAll('"', '');
}
