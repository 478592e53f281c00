// The recovery point that a disk comes home to: its digests, which say where the disk differs, and its bytes, read through a
// signed URL, with the storage service's checksum of every answer.
import { LifeboatError } from '../../lib/errors.ts';
import { blockCount, coarseBlockBytes } from '../../lib/resync/blocks.ts';
import { parseFine } from '../../lib/resync/digestFormat.ts';
import type { DigestScope } from '../../lib/resync/names.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import { RenewingClient, type UploadUrl } from '../upload/renewingClient.ts';
import { contentMd5 } from '../upload/storageClient.ts';
import { uploadError } from '../upload/uploadErrors.ts';

/** The bytes that a disk shall have. */
export interface RecoveryPoint {
  /** SHA-256 of each 4 KiB block of the window, one after the other; the window is whole coarse blocks, at most 256 of them. */
  digests(window: ByteRange): Promise<Uint8Array>;
  /** At most 4 MiB. */
  read(range: ByteRange): Promise<Uint8Array>;
}

const attempts = 3;

export interface BlobPoint {
  /** Asked at the start and again before the URL expires. */
  getUrl: () => Promise<UploadUrl>;
  /** The service's answer with the digests of these coarse blocks. */
  getDigests: (coarseBlocks: readonly number[]) => Promise<Uint8Array>;
  scope: DigestScope;
  diskSizeBytes: number;
  signal: AbortSignal;
}

/** Reads throw AgentError of uploads' names, `StorageUnavailable`; digests `DigestsInvalid`, `DigestsForeign` and ServiceError. */
export function blobRecoveryPoint(options: BlobPoint): RecoveryPoint {
  const { getUrl, getDigests, scope, diskSizeBytes, signal } = options;
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
    async digests({ offsetBytes, lengthBytes }) {
      const first = offsetBytes / coarseBlockBytes;
      const count = blockCount(lengthBytes, coarseBlockBytes);
      const coarseBlocks = Array.from({ length: count }, (_, index) => first + index);
      return parseFine(await getDigests(coarseBlocks), { scope, diskSizeBytes, coarseBlocks });
    },
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
