// Makes a disk equal to a recovery point: chunk by chunk, compared by digests first; only the 4 KiB blocks that differ are
// fetched and written. A cursor has the digest of what every chunk shall be; with it the disk is read back at the end.
import { createHash } from 'node:crypto';
import { forEachBounded } from '../../lib/merge/bounded.ts';
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import { LifeboatError } from '../../lib/errors.ts';
import { digestBytes, digestsWithin } from '../../lib/resync/blockDigests.ts';
import { coarseBlockBytes, fineBlockBytes } from '../../lib/resync/blocks.ts';
import { maxFineBlocks } from '../../lib/resync/digestFormat.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import type { ChunkRecord, CopyCursor } from '../upload/copyCursor.ts';
import { copyChunkBytes } from '../upload/uploadReplica.ts';
import type { RecoveryPoint } from './recoveryPoint.ts';
import type { WritableDisk } from './sourceDiskWriter.ts';

/** Chunks whose digests are asked for at once: 64 MiB, 512 KiB of digests. */
const windowChunks = (maxFineBlocks * coarseBlockBytes) / copyChunkBytes;
/** More places than that in a chunk are fetched in one request, with what lies between them. */
const maxFetches = 8;
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
  /** Fetched from the recovery point. */
  fetchedBytes: number;
  writtenBytes: number;
  /** Compared by an earlier run. */
  resumedBytes: number;
}

interface Chunk extends ByteRange {
  chunk: number;
}

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function* chunksOf(sizeBytes: number, first: number, end: number): Generator<Chunk, void, undefined> {
  for (let chunk = first; chunk < end && chunk * copyChunkBytes < sizeBytes; chunk++) {
    const offsetBytes = chunk * copyChunkBytes;
    yield { chunk, offsetBytes, lengthBytes: Math.min(copyChunkBytes, sizeBytes - offsetBytes) };
  }
}

/** The runs of 4 KiB blocks whose digests are others, as [start, end) inside the chunk. */
function differingRuns(found: Uint8Array, digests: Uint8Array): [number, number][] {
  const runs: [number, number][] = [];
  const own = digestsWithin(found, fineBlockBytes);
  for (let block = 0; block * fineBlockBytes < found.length; block++) {
    const at = block * digestBytes;
    if (Buffer.compare(own.subarray(at, at + digestBytes), digests.subarray(at, at + digestBytes)) === 0)
      continue;
    const [start, end] = [block * fineBlockBytes, Math.min((block + 1) * fineBlockBytes, found.length)];
    const last = runs.at(-1);
    if (last?.[1] === start) last[1] = end;
    else runs.push([start, end]);
  }
  return runs;
}

/** Makes `bytes`, the chunk as the disk has it, what the recovery point has; returns what was fetched. */
async function fetchInto(
  bytes: Uint8Array,
  runs: readonly [number, number][],
  fetch: (start: number, end: number) => Promise<Uint8Array>,
): Promise<number> {
  const [first, last] = [runs[0], runs.at(-1)];
  if (!first || !last) return 0;
  const fetches = runs.length > maxFetches ? [[first[0], last[1]] as const] : runs;
  let fetchedBytes = 0;
  for (const [start, end] of fetches) {
    bytes.set(await fetch(start, end), start);
    fetchedBytes += end - start;
  }
  return fetchedBytes;
}

async function applyChunk(
  { target, point }: Application,
  { offsetBytes, lengthBytes }: Chunk,
  digests: Uint8Array,
): Promise<{ digest: string; fetchedBytes: number; writtenBytes: number }> {
  const bytes = await target.reader.read(offsetBytes, lengthBytes);
  const runs = differingRuns(bytes, digests);
  const fetchedBytes = await fetchInto(bytes, runs, (start, end) =>
    point.read({ offsetBytes: offsetBytes + start, lengthBytes: end - start }),
  );
  if (differingRuns(bytes, digests).length > 0) {
    const message = `What was read of the recovery point at byte ${offsetBytes} is not what its digests say.`;
    throw new LifeboatError('StorageUnavailable', message);
  }
  let writtenBytes = 0;
  for (const [start, end] of runs) {
    await target.write(offsetBytes + start, bytes.subarray(start, end));
    writtenBytes += end - start;
  }
  return { digest: digestOf(bytes), fetchedBytes, writtenBytes };
}

/**
 * Compares and writes; durable when it resolves. May be called again after any failure or crash: it goes on behind what the
 * cursor has. Throws errors of the point, the disk, the cursor and the signal.
 */
export async function applyDisk(application: Application): Promise<AppliedDisk> {
  const { target, point, cursor, viewId, signal, onProgress } = application;
  const { sizeBytes } = target.reader;
  const result: AppliedDisk = { comparedBytes: 0, fetchedBytes: 0, writtenBytes: 0, resumedBytes: 0 };
  for (let first = 0; first * copyChunkBytes < sizeBytes; first += windowChunks) {
    const offsetBytes = first * copyChunkBytes;
    const lengthBytes = Math.min(windowChunks * copyChunkBytes, sizeBytes - offsetBytes);
    const open = [...chunksOf(sizeBytes, first, first + windowChunks)].filter(
      ({ chunk }) => cursor.chunks.get(chunk)?.viewId !== viewId,
    );
    result.resumedBytes += lengthBytes - open.reduce((sum, each) => sum + each.lengthBytes, 0);
    if (open.length === 0) continue;
    const digests = await point.digests({ offsetBytes, lengthBytes });
    await forEachBounded(open, { concurrency, signal }, async (each) => {
      const from = ((each.offsetBytes - offsetBytes) / fineBlockBytes) * digestBytes;
      const applied = await applyChunk(application, each, digests.subarray(from));
      result.fetchedBytes += applied.fetchedBytes;
      result.writtenBytes += applied.writtenBytes;
      await cursor.record(each.chunk, { digest: applied.digest, viewId });
      result.comparedBytes += each.lengthBytes;
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
