// Initial replication of one disk: its bytes as page writes into the replica, through a signed URL that may write
// pages and nothing else.
//
// Zeros are not sent. An earlier upload that was interrupted may have left bytes where the disk has zeros now, so what the
// cursor does not vouch for is cleared first. Late writes of that earlier upload cannot land afterwards: each upload raises
// the blob's sequence number and every write of it demands that number; it is raised once more after clearing, so that a
// late clear cannot land either. Within one upload every place is written once, so a page write that the SDK repeats can
// bring nothing old back.
//
// The cursor holds a digest of every chunk that was acknowledged. A run with the same frozen view skips those chunks; a run
// with another view reads them and sends the ones that changed. In both cases the replica equals this run's view at the end.
import { createHash } from 'node:crypto';
import type { PageBlobClient } from '@azure/storage-blob';
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import { forEachBounded } from '../../lib/merge/bounded.ts';
import { splitZeroRuns, type DataRun } from '../../lib/merge/zeroRuns.ts';
import { pageWriteLimitBytes, type ByteRange } from '../../lib/storage/ports.ts';
import { AgentError } from '../agentError.ts';
import type { BandwidthLimiter } from './bandwidth.ts';
import type { ChunkRecord, CopyCursor } from './copyCursor.ts';
import { RenewingClient, type UploadUrl } from './renewingClient.ts';
import { contentMd5 } from './storageClient.ts';
import { uploadError } from './uploadErrors.ts';

export type { UploadUrl } from './renewingClient.ts';

/** The unit of a cursor; one page write takes it. */
export const copyChunkBytes = pageWriteLimitBytes;

export interface ReplicaUpload {
  source: RandomAccessSource;
  /** Asked at the start and again before the URL expires. */
  getUploadUrl: () => Promise<UploadUrl>;
  /** Page writes in flight, default 4; each holds 4 MiB. */
  concurrency?: number;
  /** Everything outside is zeros and is not read: ascending, disjoint. Default: the whole disk. */
  extents?: readonly ByteRange[];
  /** What is known to have arrived, of a plan with chunks of `copyChunkBytes`; `viewId` changes whenever the bytes of the source may. */
  resume?: { cursor: CopyCursor; viewId: string };
  limiter?: BandwidthLimiter | undefined;
  signal?: AbortSignal | undefined;
  /** Called after every chunk with the bytes of the disk that are done. */
  onProgress?: (doneBytes: number) => void;
}

export interface ReplicaUploadResult {
  diskBytes: number;
  /** Sent. */
  writtenBytes: number;
  writeRequests: number;
  /** Of the disk, that an earlier run had sent and that is still so. */
  resumedBytes: number;
}

interface Run {
  upload: ReplicaUpload;
  renewing: RenewingClient;
  conditions: { ifSequenceNumberEqualTo: number };
  known: ReadonlyMap<number, ChunkRecord>;
  result: ReplicaUploadResult;
}

const chunkRange = (chunk: number, diskSizeBytes: number): ByteRange => {
  const offsetBytes = chunk * copyChunkBytes;
  return { offsetBytes, lengthBytes: Math.min(copyChunkBytes, diskSizeBytes - offsetBytes) };
};

function* chunkNumbers(sizeBytes: number): Generator<number, void, undefined> {
  for (let chunk = 0; chunk * copyChunkBytes < sizeBytes; chunk++) yield chunk;
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

/** Runs of chunks that nothing is known of, as ranges of the disk. */
function unknownRanges(known: ReadonlyMap<number, ChunkRecord>, sizeBytes: number): ByteRange[] {
  const ranges: ByteRange[] = [];
  for (const chunk of chunkNumbers(sizeBytes)) {
    if (known.has(chunk)) continue;
    const range = chunkRange(chunk, sizeBytes);
    const last = ranges.at(-1);
    if (last && last.offsetBytes + last.lengthBytes === range.offsetBytes)
      last.lengthBytes += range.lengthBytes;
    else ranges.push(range);
  }
  return ranges;
}

async function raise(client: PageBlobClient, signal: AbortSignal | undefined): Promise<number> {
  const abort = signal ? { abortSignal: signal } : {};
  const { blobSequenceNumber } = await client.updateSequenceNumber('increment', undefined, abort);
  return blobSequenceNumber ?? 0;
}

/** Fences earlier uploads off, clears what is not known, and returns what this run may rely on. */
async function begin({ upload, renewing }: Pick<Run, 'upload' | 'renewing'>) {
  const { source, resume, signal } = upload;
  const client = await renewing.get();
  const cursor = resume?.cursor;
  const first = await raise(client, signal);
  if (cursor && cursor.sequenceNumber !== first - 1) await cursor.reset();
  await cursor?.recordSequence(first);
  const known = cursor?.chunks ?? new Map<number, ChunkRecord>();
  const options = {
    ...(signal ? { abortSignal: signal } : {}),
    conditions: { ifSequenceNumberEqualTo: first },
  };
  for (const { offsetBytes, lengthBytes } of unknownRanges(known, source.sizeBytes))
    await client.clearPages(offsetBytes, lengthBytes, options);
  const sequenceNumber = await raise(client, signal);
  await cursor?.recordSequence(sequenceNumber);
  return { known: new Map(known), conditions: { ifSequenceNumberEqualTo: sequenceNumber } };
}

function isInside(extents: readonly ByteRange[] | undefined, range: ByteRange): boolean {
  if (extents === undefined) return true;
  let low = 0;
  let high = extents.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { offsetBytes, lengthBytes } = extents[middle] ?? range;
    if (offsetBytes + lengthBytes <= range.offsetBytes) low = middle + 1;
    else high = middle;
  }
  const next = extents[low];
  return next !== undefined && next.offsetBytes < range.offsetBytes + range.lengthBytes;
}

async function copyChunk(run: Run, chunk: number): Promise<void> {
  const { upload, known, result } = run;
  const { source, resume } = upload;
  const range = chunkRange(chunk, source.sizeBytes);
  const before = known.get(chunk);
  if (before !== undefined && before.viewId === resume?.viewId) {
    result.resumedBytes += range.lengthBytes;
    return;
  }
  const bytes = isInside(upload.extents, range)
    ? await source.read(range.offsetBytes, range.lengthBytes)
    : new Uint8Array(range.lengthBytes);
  const runs = splitZeroRuns(bytes);
  if (!resume) return sendRuns(run, { bytes, runs, range, isKnown: false });
  const isZero = runs.every((each) => each.isZero);
  const digest = isZero ? 'zero' : createHash('sha256').update(bytes).digest('hex');
  if (before?.digest === digest) result.resumedBytes += range.lengthBytes;
  else {
    if (before) await resume.cursor.forget(chunk);
    await sendRuns(run, { bytes, runs, range, isKnown: before !== undefined });
  }
  await resume.cursor.record(chunk, { digest, viewId: resume.viewId });
}

interface ChunkRuns {
  bytes: Uint8Array;
  runs: readonly DataRun[];
  range: ByteRange;
  /** An earlier run has sent it, so it holds something; other chunks were cleared at the start. */
  isKnown: boolean;
}

async function sendRuns(run: Run, { bytes, runs, range, isKnown }: ChunkRuns): Promise<void> {
  for (const { offset, length, isZero } of runs) {
    const offsetBytes = range.offsetBytes + offset;
    if (!isZero) await write(run, bytes.subarray(offset, offset + length), offsetBytes);
    else if (isKnown) await clear(run, { offsetBytes, lengthBytes: length });
  }
}

async function clear({ upload, renewing, conditions }: Run, range: ByteRange): Promise<void> {
  const client = await renewing.get();
  const abort = upload.signal ? { abortSignal: upload.signal } : {};
  await client.clearPages(range.offsetBytes, range.lengthBytes, { ...abort, conditions });
}

async function write(run: Run, data: Uint8Array, offsetBytes: number): Promise<void> {
  const { upload, renewing, conditions, result } = run;
  await upload.limiter?.take(data.length, upload.signal);
  const client = await renewing.get();
  await client.uploadPages(data, offsetBytes, data.length, {
    ...(upload.signal ? { abortSignal: upload.signal } : {}),
    conditions,
    transactionalContentMD5: contentMd5(data),
  });
  result.writtenBytes += data.length;
  result.writeRequests++;
}

/**
 * Copies the source into the replica. May be called again after any failure: with the same cursor, what has arrived is not
 * sent again. When the source changes meanwhile, the copy is of no single moment: every write since its start must be in the
 * log of the first cycle. Throws AgentError `UploadRefused`, `UploadSuperseded`, `UploadUnreachable`, and errors of the source.
 */
export async function uploadReplica(upload: ReplicaUpload): Promise<ReplicaUploadResult> {
  const { source, signal, concurrency = 4, onProgress } = upload;
  requireSectors(source);
  const renewing = new RenewingClient(upload.getUploadUrl);
  const result: ReplicaUploadResult = { diskBytes: 0, writtenBytes: 0, writeRequests: 0, resumedBytes: 0 };
  try {
    const run: Run = { upload, renewing, result, ...(await begin({ upload, renewing })) };
    await forEachBounded(chunkNumbers(source.sizeBytes), { concurrency, signal }, async (chunk) => {
      await copyChunk(run, chunk);
      result.diskBytes += chunkRange(chunk, source.sizeBytes).lengthBytes;
      onProgress?.(result.diskBytes);
    });
  } catch (error) {
    throw uploadError(error, 'uploading the disk', signal);
  }
  return result;
}
