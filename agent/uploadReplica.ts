// Initial replication of one disk: its bytes as page writes into the replica, through a signed URL that may write
// pages and nothing else.
//
// Zeros are not sent. An earlier upload that was interrupted may have left bytes where the disk has zeros now, so the
// whole disk is cleared first, in one request. Late writes of that earlier upload cannot land afterwards: each upload
// raises the blob's sequence number and every write of it demands that number. Within one upload every place is
// written once, so a page write that the SDK repeats can bring nothing old back.
import type { PageBlobClient } from '@azure/storage-blob';
import type { RandomAccessSource } from '../lib/disk/source.ts';
import { forEachBounded } from '../lib/merge/bounded.ts';
import { splitZeroRuns } from '../lib/merge/zeroRuns.ts';
import { pageWriteLimitBytes } from '../lib/storage/ports.ts';
import { AgentError } from './agentError.ts';
import { uploadError } from './uploadErrors.ts';

/** A signed URL and its end. */
export interface UploadUrl {
  url: string;
  expiresAt: Date;
}

export interface ReplicaUpload {
  source: RandomAccessSource;
  /** Asked at the start and again before the URL expires. */
  getUploadUrl: () => Promise<UploadUrl>;
  /** Page writes in flight, default 4; each holds 4 MiB. */
  concurrency?: number;
  signal?: AbortSignal | undefined;
  /** Called after every chunk with the bytes of the disk that are done. */
  onProgress?: (doneBytes: number) => void;
}

export interface ReplicaUploadResult {
  diskBytes: number;
  /** Sent. */
  writtenBytes: number;
  writeRequests: number;
}

/** A URL is renewed when less than this is left of it: one page write must end within. */
const renewBeforeMs = 2 * 60_000;

/** The client for the current URL; renews it once for all who ask at the same time. */
class RenewingClient {
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
    return { client: new PageBlobClient(url, new AnonymousCredential()), expiresAt };
  }
}

function* chunkOffsets(sizeBytes: number): Generator<number, void, undefined> {
  for (let offset = 0; offset < sizeBytes; offset += pageWriteLimitBytes) yield offset;
}

function requireSectors({ sizeBytes }: RandomAccessSource): void {
  if (sizeBytes > 0 && sizeBytes % 512 === 0) return;
  const message = `The disk has ${sizeBytes} bytes, which is no multiple of 512.`;
  throw new AgentError(
    'DiskSizeMismatch',
    message,
    'A disk is made of 512-byte sectors: check that the file is whole.',
  );
}

/**
 * Copies the source into the replica. May be called again from the start after any failure. When the source changes
 * meanwhile, the copy is of no single moment: every write since its start must be in the log of the first cycle.
 * Throws AgentError `UploadRefused`, `UploadSuperseded`, `UploadUnreachable`, and errors of the source.
 */
export async function uploadReplica(upload: ReplicaUpload): Promise<ReplicaUploadResult> {
  const { source, signal, concurrency = 4, onProgress } = upload;
  requireSectors(source);
  const renewing = new RenewingClient(upload.getUploadUrl);
  const abort = signal ? { abortSignal: signal } : {};
  const result: ReplicaUploadResult = { diskBytes: 0, writtenBytes: 0, writeRequests: 0 };
  try {
    const first = await renewing.get();
    const { blobSequenceNumber } = await first.updateSequenceNumber('increment', undefined, abort);
    const options = { ...abort, conditions: { ifSequenceNumberEqualTo: blobSequenceNumber ?? 0 } };
    await first.clearPages(0, source.sizeBytes, options);
    await forEachBounded(chunkOffsets(source.sizeBytes), { concurrency, signal }, async (chunkOffset) => {
      const chunk = await source.read(
        chunkOffset,
        Math.min(pageWriteLimitBytes, source.sizeBytes - chunkOffset),
      );
      for (const { offset, length, isZero } of splitZeroRuns(chunk)) {
        if (isZero) continue;
        const client = await renewing.get();
        await client.uploadPages(
          chunk.subarray(offset, offset + length),
          chunkOffset + offset,
          length,
          options,
        );
        result.writtenBytes += length;
        result.writeRequests++;
      }
      result.diskBytes += chunk.length;
      onProgress?.(result.diskBytes);
    });
  } catch (error) {
    throw uploadError(error, 'uploading the disk', signal);
  }
  return result;
}
