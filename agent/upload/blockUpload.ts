// A log as blocks that are sent at the same time and committed once: the blob appears whole, with the metadata that is known
// only at the end, or not at all. Blocks of attempts that failed are forgotten by the service; their names are never used again.
import { randomBytes } from 'node:crypto';
import pMap from 'p-map';
import { AgentError } from '../agentError.ts';
import type { BandwidthLimiter } from './bandwidth.ts';
import { logMetadata, type LogStatement } from './logStatement.ts';
import { logExists, logExistsCodes } from './logExists.ts';
import { contentMd5, transferOptions } from './storageClient.ts';
import { uploadError } from './uploadErrors.ts';
import { hasServiceCode } from '../../lib/storage/azure/errors.ts';

export const blockBytes = 8 * 1024 * 1024;
/** The service's limit of blocks in a blob. */
const maxBlocks = 50_000;

export interface BlockUpload {
  /** In order; each of `blockBytes`, the last may be shorter. */
  blocks: AsyncIterable<Uint8Array>;
  /** A URL that may write this blob. */
  blocksUrl: string;
  /** Asked when all blocks have arrived. */
  statement: () => LogStatement;
  /** Takes the place of a log of that name. Default: `LogExists`. */
  replaces?: boolean;
  /** Blocks in flight, default 4. */
  concurrency?: number;
  limiter?: BandwidthLimiter | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((doneBytes: number) => void) | undefined;
}

/** Sends and commits the log. Throws as `uploadLog`. Nothing is there after an error, unless it is that of the commit. */
export async function uploadBlocks(upload: BlockUpload): Promise<void> {
  const { blocks, blocksUrl, statement, concurrency = 4, limiter, signal, onProgress } = upload;
  const { AnonymousCredential, BlockBlobClient } = await import('@azure/storage-blob');
  const client = new BlockBlobClient(blocksUrl, new AnonymousCredential(), transferOptions);
  const attempt = randomBytes(6).toString('hex');
  const abort = signal ? { abortSignal: signal } : {};
  const ids: string[] = [];
  let doneBytes = 0;
  try {
    const send = async (bytes: Uint8Array, index: number): Promise<void> => {
      if (index >= maxBlocks)
        throw new AgentError(
          'LogTooLarge',
          'The log has too many blocks for one blob.',
          'Make smaller cycles.',
        );
      const id = Buffer.from(`${attempt}-${String(index).padStart(6, '0')}`).toString('base64');
      ids[index] = id;
      await limiter?.take(bytes.length, signal);
      await client.stageBlock(id, bytes, bytes.length, {
        ...abort,
        transactionalContentMD5: contentMd5(bytes),
      });
      doneBytes += bytes.length;
      onProgress?.(doneBytes);
    };
    await pMap(blocks, send, { concurrency, ...(signal ? { signal } : {}) });
    const metadata = logMetadata(statement());
    const conditions = upload.replaces === true ? {} : { ifNoneMatch: '*' };
    await client.commitBlockList(ids, { ...abort, metadata, conditions });
  } catch (error) {
    if (hasServiceCode(error, ...logExistsCodes)) throw logExists(error);
    throw uploadError(error, 'uploading the log', signal);
  }
}
