// Uploading one log through a signed URL that may create this one blob and nothing else. That permission does not
// cover block uploads (Azure asks for "write" there), so a log of any size travels as one Put Blob, streamed from the
// file: constant memory, and the blob appears only when its last byte has arrived.
import { Readable } from 'node:stream';
import { readSequentially } from '../lib/disk/sequential.ts';
import type { RandomAccessSource } from '../lib/disk/source.ts';
import { hasServiceCode } from '../lib/storage/azure/errors.ts';
import { AgentError } from './agentError.ts';
import { uploadError } from './uploadErrors.ts';

const chunkBytes = 4 * 1024 * 1024;
/** Largest Put Blob of the service. */
const maxLogBytes = 5000 * 1024 * 1024;

/**
 * How the service says that the blob exists. The last one is the emulator's: a URL that permits creation, asked to
 * create, lacks permission only where there is something to overwrite.
 */
const existsCodes = ['BlobAlreadyExists', 'UnauthorizedBlobOverwrite', 'AuthorizationPermissionMismatch'];

/** What travels with a log as blob metadata. */
export interface LogStatement {
  /** Of the file, hex. */
  sha256: string;
  /** When the source was frozen. */
  takenAt?: Date | undefined;
  consistency?: 'crash' | 'application' | undefined;
  /** What the log holds: the changes of a cycle (default), or what differs after a resynchronization. */
  kind?: 'delta' | 'resync' | undefined;
}

/** Blob metadata of a log, as the public contract names it. */
export function logMetadata({
  sha256,
  takenAt,
  consistency,
  kind = 'delta',
}: LogStatement): Record<string, string> {
  return {
    sha256,
    ...(takenAt === undefined ? {} : { takenat: takenAt.toISOString() }),
    ...(consistency === undefined ? {} : { consistency }),
    kind,
  };
}

export interface LogUpload {
  source: RandomAccessSource;
  uploadUrl: string;
  statement: LogStatement;
  signal?: AbortSignal | undefined;
  onProgress?: (doneBytes: number) => void;
}

/**
 * Uploads the log. Throws AgentError `LogExists` when a log has that name already (an earlier attempt may have arrived
 * although its answer was lost), `LogTooLarge`, `UploadRefused`, `UploadUnreachable`.
 */
export async function uploadLog({
  source,
  uploadUrl,
  statement,
  signal,
  onProgress,
}: LogUpload): Promise<void> {
  if (source.sizeBytes > maxLogBytes) {
    const message = `The log has ${source.sizeBytes} bytes; one upload takes at most ${maxLogBytes}.`;
    throw new AgentError(
      'LogTooLarge',
      message,
      'Make smaller cycles, or copy it with azcopy and the account.',
    );
  }
  const { BlockBlobClient } = await import('@azure/storage-blob');
  const client = new BlockBlobClient(uploadUrl);
  try {
    await client.upload(
      () => Readable.from(chunksOf(source), { objectMode: false, highWaterMark: chunkBytes }),
      source.sizeBytes,
      {
        metadata: logMetadata(statement),
        // The URL permits creation only; the condition makes the refusal say why.
        conditions: { ifNoneMatch: '*' },
        ...(signal ? { abortSignal: signal } : {}),
        ...(onProgress ? { onProgress: ({ loadedBytes }) => onProgress(loadedBytes) } : {}),
      },
    );
  } catch (error) {
    if (hasServiceCode(error, ...existsCodes)) {
      const action =
        'Ask for the assignment again: it names the next cycle. The same log twice changes nothing.';
      throw new AgentError('LogExists', 'A log was uploaded under this name already.', action, {
        cause: error,
      });
    }
    throw uploadError(error, 'uploading the log', signal);
  }
}

async function* chunksOf(source: RandomAccessSource): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const { bytes } of readSequentially(source, chunkBytes)) yield bytes;
}
