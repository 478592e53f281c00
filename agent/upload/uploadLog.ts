// Uploading one log. A small one, or one without a URL for blocks, travels as one Put Blob through a URL that may create this
// blob and nothing else; a larger one as blocks in parallel. Either way the blob appears when its last byte has arrived.
import { readSequentially } from '../../lib/disk/sequential.ts';
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import { hasServiceCode } from '../../lib/storage/azure/errors.ts';
import { AgentError } from '../agentError.ts';
import type { BandwidthLimiter } from './bandwidth.ts';
import { blockBytes, uploadBlocks } from './blockUpload.ts';
import { logExists, logExistsCodes } from './logExists.ts';
import { logMetadata, type LogStatement } from './logStatement.ts';
import { contentMd5, transferOptions } from './storageClient.ts';
import { uploadError } from './uploadErrors.ts';

export { logMetadata, type LogStatement } from './logStatement.ts';

const chunkBytes = 4 * 1024 * 1024;
/** Largest Put Blob of the service. */
const maxPutBytes = 5000 * 1024 * 1024;

export interface LogUpload {
  source: RandomAccessSource;
  uploadUrl: string;
  /** For logs of more than one block; without it they travel as one stream. */
  blocksUrl?: string | undefined;
  statement: LogStatement;
  limiter?: BandwidthLimiter | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: (doneBytes: number) => void;
}

/**
 * Uploads the log. Throws AgentError `LogExists` when a log has that name already (an earlier attempt may have arrived
 * although its answer was lost), `LogTooLarge`, `UploadRefused`, `UploadUnreachable`.
 */
export async function uploadLog(upload: LogUpload): Promise<void> {
  const { source, blocksUrl, statement } = upload;
  if (blocksUrl === undefined || source.sizeBytes <= blockBytes) return putLog(upload);
  const { limiter, signal, onProgress } = upload;
  const blocks = fileBlocks(source);
  await uploadBlocks({ blocks, blocksUrl, statement: () => statement, limiter, signal, onProgress });
}

/** One Put Blob: whole when it is small, so that it carries a checksum; else as a stream. */
async function putLog({
  source,
  uploadUrl,
  statement,
  limiter,
  signal,
  onProgress,
}: LogUpload): Promise<void> {
  const { sizeBytes } = source;
  if (sizeBytes > maxPutBytes) {
    const message = `The log has ${sizeBytes} bytes; one upload takes at most ${maxPutBytes}.`;
    throw new AgentError(
      'LogTooLarge',
      message,
      'Make smaller cycles, or copy it with azcopy and the account.',
    );
  }
  const { AnonymousCredential, BlockBlobClient } = await import('@azure/storage-blob');
  const { Readable } = await import('node:stream');
  const client = new BlockBlobClient(uploadUrl, new AnonymousCredential(), transferOptions);
  const small = sizeBytes <= blockBytes ? await source.read(0, sizeBytes) : undefined;
  try {
    await limiter?.take(sizeBytes, signal);
    await client.upload(
      small ??
        (() => Readable.from(chunksOf(source, chunkBytes), { objectMode: false, highWaterMark: chunkBytes })),
      sizeBytes,
      {
        metadata: logMetadata(statement),
        // The URL permits creation only; the condition makes the refusal say why.
        conditions: { ifNoneMatch: '*' },
        ...(small && small.length > 0 ? { transactionalContentMD5: contentMd5(small) } : {}),
        ...(signal ? { abortSignal: signal } : {}),
        ...(onProgress ? { onProgress: ({ loadedBytes }) => onProgress(loadedBytes) } : {}),
      },
    );
  } catch (error) {
    if (hasServiceCode(error, ...logExistsCodes)) throw logExists(error);
    throw uploadError(error, 'uploading the log', signal);
  }
}

/** The blocks of a log that lies in a file. */
export function fileBlocks(source: RandomAccessSource): AsyncIterable<Uint8Array> {
  return chunksOf(source, blockBytes);
}

async function* chunksOf(
  source: RandomAccessSource,
  bytesEach: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const { bytes } of readSequentially(source, bytesEach)) yield bytes;
}
