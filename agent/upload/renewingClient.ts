// A page blob through signed URLs that end: the next one is asked for before the current one does.
import type { PageBlobClient } from '@azure/storage-blob';
import { transferOptions } from './storageClient.ts';

/** A signed URL and its end. */
export interface UploadUrl {
  url: string;
  expiresAt: Date;
}

/** A URL is renewed when less than this is left of it: one page write must end within. */
const renewBeforeMs = 2 * 60_000;

/** The client for the current URL; renews it once for all who ask at the same time. */
export class RenewingClient {
  readonly #getUploadUrl: () => Promise<UploadUrl>;
  #current: Promise<{ client: PageBlobClient; expiresAt: Date }> | undefined;

  constructor(getUploadUrl: () => Promise<UploadUrl>) {
    this.#getUploadUrl = getUploadUrl;
  }

  async get(): Promise<PageBlobClient> {
    const seen = this.#current;
    const current = await seen;
    const isFresh = current !== undefined && current.expiresAt.getTime() - Date.now() > renewBeforeMs;
    if (isFresh) return current.client;
    const renewal = this.#current === seen || this.#current === undefined ? this.#open() : this.#current;
    this.#current = renewal;
    return (await renewal).client;
  }

  async #open(): Promise<{ client: PageBlobClient; expiresAt: Date }> {
    const { AnonymousCredential, PageBlobClient } = await import('@azure/storage-blob');
    const { url, expiresAt } = await this.#getUploadUrl();
    return { client: new PageBlobClient(url, new AnonymousCredential(), transferOptions), expiresAt };
  }
}
