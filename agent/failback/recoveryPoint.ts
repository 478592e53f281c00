// The recovery point that a disk comes home to, read through a signed URL: where it has bytes, and those bytes with the
// storage service's checksum of every answer.
import { LifeboatError } from '../../lib/errors.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import { RenewingClient, type UploadUrl } from '../upload/renewingClient.ts';
import { contentMd5 } from '../upload/storageClient.ts';
import { uploadError } from '../upload/uploadErrors.ts';

/** The bytes that a disk shall have. */
export interface RecoveryPoint {
  /** What may be other than zeros inside the window, ascending and disjoint. */
  allocated(window: ByteRange): Promise<ByteRange[]>;
  /** At most 4 MiB. */
  read(range: ByteRange): Promise<Uint8Array>;
}

const attempts = 3;

/** `getUrl` is asked at the start and again before the URL expires. Reads throw AgentError of uploads' names, `StorageUnavailable`. */
export function blobRecoveryPoint(getUrl: () => Promise<UploadUrl>, signal: AbortSignal): RecoveryPoint {
  const renewing = new RenewingClient(getUrl);
  const abort = { abortSignal: signal };
  const mapped = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw uploadError(error, 'reading the recovery point', signal);
    }
  };
  const fetchOnce = async ({ offsetBytes, lengthBytes }: ByteRange): Promise<Buffer | undefined> => {
    const client = await renewing.get();
    const answer = await client.download(offsetBytes, lengthBytes, {
      ...{ ...abort, rangeGetContentMD5: true, maxRetryRequests: 5 },
    });
    const chunks: Buffer[] = [];
    for await (const chunk of answer.readableStreamBody ?? []) chunks.push(Buffer.from(chunk as Buffer));
    const bytes = Buffer.concat(chunks);
    const isGood = !answer.contentMD5 || Buffer.from(answer.contentMD5).equals(contentMd5(bytes));
    return bytes.length === lengthBytes && isGood ? bytes : undefined;
  };
  return {
    allocated: ({ offsetBytes, lengthBytes }) =>
      mapped(async () => {
        const ranges: ByteRange[] = [];
        const client = await renewing.get();
        // The end of a range is its last byte.
        for await (const { start, end, isClear } of client.listPageRanges(offsetBytes, lengthBytes, abort))
          if (!isClear) ranges.push({ offsetBytes: start, lengthBytes: end + 1 - start });
        return ranges;
      }),
    read: (range) =>
      mapped(async () => {
        for (let attempt = 0; attempt < attempts; attempt++) {
          const bytes = await fetchOnce(range);
          if (bytes) return bytes;
        }
        const message = `Bytes ${range.offsetBytes} and following of the recovery point arrive damaged.`;
        throw new LifeboatError('StorageUnavailable', message);
      }),
  };
}
