// Makes a disk equal to a recovery point: chunk by chunk, compared first, and only the 4 KiB blocks that differ are written.
// A cursor has the digest of what every chunk shall be; with it the disk is read back at the end, without a second download.
import { createHash } from 'node:crypto';
import { forEachBounded } from '../../lib/merge/bounded.ts';
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import { changedRuns } from '../changedBlocks.ts';
import type { ChunkRecord, CopyCursor } from '../upload/copyCursor.ts';
import { copyChunkBytes } from '../upload/uploadReplica.ts';
import type { RecoveryPoint } from './recoveryPoint.ts';
import type { WritableDisk } from './sourceDiskWriter.ts';

/** Chunks whose ranges are asked for at once. */
const windowChunks = 64;
/** Each holds a chunk of both sides: 8 MiB. */
const concurrency = 4;

export interface Application {
  target: Pick<WritableDisk, 'reader' | 'write' | 'sync'>;
  point: RecoveryPoint;
  /** Of a plan with chunks of `copyChunkBytes`; what it has under `viewId` was compared by an earlier run. */
  cursor: Pick<CopyCursor, 'chunks' | 'record'>;
  /** Of the recovery point. */
  viewId: string;
  signal: AbortSignal;
  onProgress?: (doneBytes: number) => void;
}

export interface AppliedDisk {
  comparedBytes: number;
  writtenBytes: number;
  /** Compared by an earlier run. */
  resumedBytes: number;
}

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function* chunksOf(sizeBytes: number, first: number, end: number) {
  for (let chunk = first; chunk < end && chunk * copyChunkBytes < sizeBytes; chunk++) {
    const offsetBytes = chunk * copyChunkBytes;
    yield { chunk, offsetBytes, lengthBytes: Math.min(copyChunkBytes, sizeBytes - offsetBytes) };
  }
}

const overlaps = (ranges: readonly ByteRange[], { offsetBytes, lengthBytes }: ByteRange): boolean =>
  ranges.some(
    (range) =>
      range.offsetBytes < offsetBytes + lengthBytes && range.offsetBytes + range.lengthBytes > offsetBytes,
  );

/**
 * Compares and writes; durable when it resolves. May be called again after any failure or crash: it goes on behind what the
 * cursor has. Throws errors of the point, the disk, the cursor and the signal.
 */
export async function applyDisk(application: Application): Promise<AppliedDisk> {
  const { target, point, cursor, viewId, signal, onProgress } = application;
  const { reader } = target;
  const result: AppliedDisk = { comparedBytes: 0, writtenBytes: 0, resumedBytes: 0 };
  for (let first = 0; first * copyChunkBytes < reader.sizeBytes; first += windowChunks) {
    const offsetBytes = first * copyChunkBytes;
    const lengthBytes = Math.min(windowChunks * copyChunkBytes, reader.sizeBytes - offsetBytes);
    const open = [...chunksOf(reader.sizeBytes, first, first + windowChunks)].filter(
      ({ chunk }) => cursor.chunks.get(chunk)?.viewId !== viewId,
    );
    result.resumedBytes += lengthBytes - open.reduce((sum, each) => sum + each.lengthBytes, 0);
    const ranges = open.length === 0 ? [] : await point.allocated({ offsetBytes, lengthBytes });
    await forEachBounded(open, { concurrency, signal }, async ({ chunk, ...range }) => {
      const expected = overlaps(ranges, range) ? await point.read(range) : new Uint8Array(range.lengthBytes);
      const found = await reader.read(range.offsetBytes, range.lengthBytes);
      for (const [start, end] of changedRuns(found, expected)) {
        await target.write(range.offsetBytes + start, expected.subarray(start, end));
        result.writtenBytes += end - start;
      }
      await cursor.record(chunk, { digest: digestOf(expected), viewId });
      result.comparedBytes += range.lengthBytes;
      onProgress?.(result.comparedBytes + result.resumedBytes);
    });
  }
  await target.sync();
  return result;
}

export interface Verification {
  chunks: ReadonlyMap<number, ChunkRecord>;
  viewId: string;
  signal: AbortSignal;
  onProgress?: (doneBytes: number) => void;
}

/** Reads the disk and returns the chunks that are not what the recovery point has; none: they are equal. */
export async function findWrongChunks(
  reader: RandomAccessSource,
  { chunks, viewId, signal, onProgress }: Verification,
): Promise<number[]> {
  const wrong: number[] = [];
  let doneBytes = 0;
  await forEachBounded(chunksOf(reader.sizeBytes, 0, Infinity), { concurrency, signal }, async (each) => {
    const known = chunks.get(each.chunk);
    const bytes = await reader.read(each.offsetBytes, each.lengthBytes);
    if (known?.viewId !== viewId || known.digest !== digestOf(bytes)) wrong.push(each.chunk);
    doneBytes += each.lengthBytes;
    onProgress?.(doneBytes);
  });
  return wrong.sort((a, b) => a - b);
}
