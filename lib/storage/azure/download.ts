// Reads a range of a blob in pieces of 8 MiB, four at a time: one request of any size would be slower and, when it
// breaks, lost as a whole. (The emulator reads pieces of up to 4 MiB twice, so larger ones are also faster there.)
import type { BlobClient, BlobRequestConditions } from '@azure/storage-blob';
import pMap from 'p-map';
import type { ByteRange } from '../ports.ts';
import type { AzureConnection, Operation } from './connection.ts';

const pieceSizeBytes = 8 * 1024 * 1024;
const piecesAtOnce = 4;

export interface DownloadOptions {
  operation: Operation;
  conditions?: BlobRequestConditions;
}

/** Returns exactly the range's bytes. RangeError when the blob ends before; errors mapped as `operation` says. */
export async function downloadRange(
  connection: AzureConnection,
  blob: BlobClient,
  range: ByteRange,
  options: DownloadOptions,
): Promise<Uint8Array> {
  const target = new Uint8Array(range.lengthBytes);
  await pMap(
    piecesOf(range),
    async (piece) => {
      const { offsetBytes, lengthBytes } = piece;
      const operation = { ...options.operation, bytes: lengthBytes };
      const start = offsetBytes - range.offsetBytes;
      await connection.safely(operation, (abortSignal) =>
        downloadPiece(blob, piece, {
          target: target.subarray(start, start + lengthBytes),
          maxTries: connection.retry.maxTries,
          conditions: options.conditions ?? {},
          abortSignal,
        }),
      );
    },
    { concurrency: piecesAtOnce },
  );
  return target;
}

interface PieceDownload {
  target: Uint8Array;
  maxTries: number;
  conditions: BlobRequestConditions;
  abortSignal: AbortSignal;
}

/**
 * Fills `target`. A body that breaks off is continued where it broke, of the same version of the blob: the SDK does that
 * only for bodies that end early, not for connections that are reset.
 */
async function downloadPiece(blob: BlobClient, piece: ByteRange, download: PieceDownload): Promise<void> {
  const { target, maxTries, abortSignal } = download;
  let { conditions } = download;
  let filled = 0;
  for (let attempt = 1; ; attempt++) {
    const options = { abortSignal, conditions, maxRetryRequests: 0 };
    const response = await blob.download(piece.offsetBytes + filled, piece.lengthBytes - filled, options);
    if (response.etag !== undefined) conditions = { ifMatch: response.etag };
    try {
      for await (const chunk of response.readableStreamBody ?? []) {
        const bytes = chunk as Buffer;
        target.set(bytes, filled);
        filled += bytes.length;
      }
      break;
    } catch (error) {
      if (attempt >= maxTries || abortSignal.aborted) throw error;
      if (filled === target.length) break;
    }
  }
  if (filled !== target.length) {
    const found = `only ${filled} of ${target.length} bytes at ${piece.offsetBytes}`;
    throw new RangeError(`${blob.containerName}/${blob.name}: the blob has ${found}`);
  }
}

function piecesOf(range: ByteRange): ByteRange[] {
  const pieces: ByteRange[] = [];
  for (let done = 0; done < range.lengthBytes; done += pieceSizeBytes) {
    const lengthBytes = Math.min(pieceSizeBytes, range.lengthBytes - done);
    pieces.push({ offsetBytes: range.offsetBytes + done, lengthBytes });
  }
  return pieces;
}
