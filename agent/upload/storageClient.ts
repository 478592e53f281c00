// How requests to the storage account are made: their retries, their time limits and their checksums.
import { createHash } from 'node:crypto';
import type { StoragePipelineOptions } from '@azure/storage-blob';

/**
 * Retries inside one transfer, about a minute of them: a short outage costs nothing but time. What lasts longer is an error,
 * and the caller's to try again from where it was.
 */
export const transferOptions: StoragePipelineOptions = {
  retryOptions: { maxTries: 6, tryTimeoutInMs: 60_000, retryDelayInMs: 500, maxRetryDelayInMs: 15_000 },
};

/** What the service compares with the bytes that arrived before it stores them. */
export function contentMd5(bytes: Uint8Array): Uint8Array {
  return createHash('md5').update(bytes).digest();
}
