// A disk that Azure has exported: a page blob of the service's own behind a signed URL. Only what it documents for these is
// used: Get Blob with a range, Get Page Ranges, and Get Page Ranges against the URL of an earlier snapshot of the disk.
import { AnonymousCredential, PageBlobClient } from '@azure/storage-blob';
import { LifeboatError } from '../errors.ts';
import type { ExportedDisk } from '../compute/azure/frozenDisks.ts';
import { joinRanges } from '../storage/pageBounds.ts';
import type { ByteRange } from '../storage/ports.ts';
import { pageSizeBytes } from '../storage/ports.ts';
import { redact } from './armErrors.ts';

interface ServiceError extends Error {
  code?: string;
  statusCode?: number;
}

export interface ExportedDiskOptions {
  /** Attempts of one request in all; default 4. */
  maxTries?: number;
}

/** Refusals that say that two snapshots are not compared, whatever the reason: 404 is the disk itself. */
const notCompared = new Set([400, 409, 412, 501]);

/** Looks at the disk. Throws `ComputeFailed` for a URL that would send the signature in clear, and as `ExportedDisk` says. */
export async function openExportedDisk(
  url: string,
  options: ExportedDiskOptions = {},
): Promise<ExportedDisk> {
  const { protocol, hostname } = new URL(url);
  if (protocol !== 'https:' && hostname !== '127.0.0.1')
    throw new LifeboatError('ComputeFailed', `Azure named a URL that is not https: ${redact(url)}`);
  const retryOptions = { maxTries: options.maxTries ?? 4, retryDelayInMs: 1000 };
  const client = new PageBlobClient(url, new AnonymousCredential(), { retryOptions });
  const { contentLength, blobType } = await safely('look at', () => client.getProperties());
  if (contentLength === undefined || blobType !== 'PageBlob') {
    const found = `${blobType ?? 'nothing'} of ${contentLength ?? 0} bytes`;
    throw new LifeboatError(
      'ComputeFailed',
      `The exported disk ${redact(url)} is ${found}, not a page blob.`,
    );
  }
  return new SignedDisk(url, client, contentLength);
}

class SignedDisk implements ExportedDisk {
  readonly sizeBytes: number;
  // Private to the language: nothing that prints or stores this object sees the signature.
  readonly #url: string;
  readonly #client: PageBlobClient;

  constructor(url: string, client: PageBlobClient, sizeBytes: number) {
    this.#url = url;
    this.#client = client;
    this.sizeBytes = sizeBytes;
  }

  async listRanges(window: ByteRange): Promise<ByteRange[]> {
    return safely('list', async () => {
      const ranges: ByteRange[] = [];
      const { offsetBytes, lengthBytes } = window;
      for await (const { start, end, isClear } of this.#client.listPageRanges(offsetBytes, lengthBytes))
        // The wire's ends are inclusive, ours are not.
        if (!isClear) ranges.push({ offsetBytes: start, lengthBytes: end - start + 1 });
      return joinRanges(ranges, window);
    });
  }

  async listChanges(window: ByteRange, earlier: ExportedDisk): Promise<ByteRange[] | undefined> {
    if (!(earlier instanceof SignedDisk)) return undefined;
    const end = window.offsetBytes + window.lengthBytes;
    const ranges: ByteRange[] = [];
    for (let from = window.offsetBytes; from < end;) {
      const page = await this.#changesFrom(from, end - from, earlier.#url);
      if (page === undefined) return undefined;
      ranges.push(...page.ranges);
      const last = page.ranges.at(-1);
      // An answer that was cut is continued behind what it named: this request cannot carry the service's marker.
      if (!page.isCut || !last) break;
      from = last.offsetBytes + last.lengthBytes;
    }
    return joinRanges(ranges, window);
  }

  async #changesFrom(
    offsetBytes: number,
    lengthBytes: number,
    earlierUrl: string,
  ): Promise<{ ranges: ByteRange[]; isCut: boolean } | undefined> {
    try {
      const answer = await this.#client.getPageRangesDiffForManagedDisks(
        offsetBytes,
        lengthBytes,
        earlierUrl,
      );
      const { pageRange = [], clearRange = [] } = answer;
      const { continuationToken } = answer as { continuationToken?: string };
      const ranges = [...pageRange, ...clearRange]
        // The client's counts are one byte short of the wire's inclusive ends; pages are whole in any case.
        .map(({ offset, count = 0 }) => ({
          offsetBytes: offset,
          lengthBytes: Math.ceil(count / pageSizeBytes) * pageSizeBytes,
        }))
        .sort((a, b) => a.offsetBytes - b.offsetBytes);
      return { ranges, isCut: continuationToken !== undefined && continuationToken !== '' };
    } catch (error) {
      if (notCompared.has((error as ServiceError).statusCode ?? 0)) return undefined;
      throw mapped('compare', error);
    }
  }

  async read({ offsetBytes, lengthBytes }: ByteRange): Promise<Uint8Array> {
    return safely('read', () => this.#client.downloadToBuffer(offsetBytes, lengthBytes));
  }
}

async function safely<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw mapped(what, error);
  }
}

/** A URL that does not work any more is granted anew by whoever tries again; what the target forbids is not. */
function mapped(what: string, error: unknown): LifeboatError {
  const { code = '', statusCode, message } = error as ServiceError;
  const facts = [code, statusCode && `HTTP ${statusCode}`].filter(Boolean).join(', ');
  const text = `${what} an exported disk: ${redact(message.split('\n', 1)[0] ?? '')} (${facts})`;
  if (statusCode === 403 && code !== 'AuthenticationFailed') return new LifeboatError('ComputeDenied', text);
  const isPassing =
    statusCode === undefined || [401, 403, 404, 408, 429].includes(statusCode) || statusCode >= 500;
  return new LifeboatError(isPassing ? 'ComputeUnavailable' : 'ComputeFailed', text);
}
