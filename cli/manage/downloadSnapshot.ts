// One snapshot of a replica as a file: only the ranges that hold something are fetched, each with the service's checksum; the
// rest stays a hole. A journal beside the file says what is there, so that a download goes on where it was.
import { createHash } from 'node:crypto';
import { appendFile, open, readFile, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import type { PageBlobClient } from '@azure/storage-blob';
import pMap from 'p-map';
import { AgentError } from '../../agent/agentError.ts';
import { errnoOf, writeError } from '../../agent/fileErrors.ts';
import { fileSha256 } from '../../agent/deltaLog.ts';
import { writeFully } from '../../agent/fileWrite.ts';
import { parseVhdFooter, vhdFooterSizeBytes } from '../../lib/vhd/fixed.ts';
import { containerNames } from '../../lib/storage/azure/names.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';

/** `vhd`: with the footer, as Hyper-V and Azure take it. `raw`: the bytes of the disk. */
export type ImageKind = 'vhd' | 'raw';

export interface SnapshotDownload {
  connectionString: string;
  blobName: string;
  snapshotId: string;
  path: string;
  kind: ImageKind;
  signal: AbortSignal;
  onStart: (totalBytes: number) => void;
  onProgress: (doneBytes: number) => void;
}

export interface DownloadedSnapshot {
  sizeBytes: number;
  /** Of the ranges that hold something. */
  fetchedBytes: number;
  resumedBytes: number;
  sha256: string;
}

/** The largest range whose checksum the service tells. */
const pieceBytes = 4 * 1024 * 1024;

interface Journal {
  path: string;
  done: Map<number, string>;
}

async function openJournal({ path, blobName, snapshotId, kind }: SnapshotDownload): Promise<Journal> {
  const journalPath = `${path}.download`;
  const head = JSON.stringify({ blobName, snapshotId, kind });
  const text = await readFile(journalPath, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  });
  const [first, ...lines] = text.split('\n');
  const hasPart = (await stat(`${path}.part`).catch(() => undefined)) !== undefined;
  if (first !== head || !hasPart) {
    await unlink(journalPath).catch(() => undefined);
    await appendFile(journalPath, `${head}\n`);
    return { path: journalPath, done: new Map() };
  }
  const known = lines.flatMap((line) => {
    const match = /^(\d+) ([0-9a-f]{32})$/.exec(line);
    return match ? [[Number(match[1]), match[2] ?? ''] as const] : [];
  });
  return { path: journalPath, done: new Map(known) };
}

function* piecesOf(ranges: readonly ByteRange[], endBytes: number): Generator<ByteRange, void, undefined> {
  for (const { offsetBytes, lengthBytes } of ranges)
    for (let start = offsetBytes; start < Math.min(offsetBytes + lengthBytes, endBytes); start += pieceBytes)
      yield {
        offsetBytes: start,
        lengthBytes: Math.min(pieceBytes, Math.min(offsetBytes + lengthBytes, endBytes) - start),
      };
}

const md5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest();

type Snapshot = Pick<PageBlobClient, 'getProperties' | 'downloadToBuffer' | 'listPageRanges' | 'download'>;

async function openSnapshot({ connectionString, blobName, snapshotId }: SnapshotDownload): Promise<Snapshot> {
  const { BlobServiceClient } = await import('@azure/storage-blob');
  const container = BlobServiceClient.fromConnectionString(connectionString).getContainerClient(
    containerNames.replicas,
  );
  return container.getPageBlobClient(blobName).withSnapshot(snapshotId);
}

/** Size of the file to be made, and what of it is not zeros. */
async function measure(
  snapshot: Snapshot,
  { blobName, kind, signal }: SnapshotDownload,
): Promise<{ sizeBytes: number; ranges: ByteRange[] }> {
  const abort = { abortSignal: signal };
  const { contentLength = 0 } = await snapshot.getProperties(abort).catch((error: unknown) => {
    const message = `The snapshot of ${blobName} cannot be read.`;
    const action = 'Choose another point; check LIFEBOAT_STORAGE.';
    throw new AgentError('OperationFailed', message, action, { cause: error });
  });
  const footer = parseVhdFooter(
    await snapshot.downloadToBuffer(contentLength - vhdFooterSizeBytes, vhdFooterSizeBytes, abort),
  );
  const sizeBytes = kind === 'raw' ? footer.sizeBytes : contentLength;
  const ranges: ByteRange[] = [];
  for await (const { start, end, isClear } of snapshot.listPageRanges(0, sizeBytes, abort))
    // The end of a range is its last byte.
    if (!isClear) ranges.push({ offsetBytes: start, lengthBytes: end + 1 - start });
  return { sizeBytes, ranges };
}

/** Fetches a piece and compares it with the service's checksum. */
async function fetchPiece(
  snapshot: Snapshot,
  { offsetBytes, lengthBytes }: ByteRange,
  signal: AbortSignal,
): Promise<{ bytes: Buffer; sum: string }> {
  const answer = await snapshot.download(offsetBytes, lengthBytes, {
    ...{ rangeGetContentMD5: true, abortSignal: signal, maxRetryRequests: 5 },
  });
  const chunks: Buffer[] = [];
  for await (const chunk of answer.readableStreamBody ?? []) chunks.push(Buffer.from(chunk as Buffer));
  const bytes = Buffer.concat(chunks);
  const sum = md5(bytes);
  const isGood = !answer.contentMD5 || sum.equals(Buffer.from(answer.contentMD5));
  if (bytes.length === lengthBytes && isGood) return { bytes, sum: sum.toString('hex') };
  const message = `Bytes ${offsetBytes} and following arrived damaged.`;
  throw new AgentError('OperationFailed', message, 'Repeat the command.');
}

/** True when the part of the file is what was fetched for it before. */
async function isThere(handle: FileHandle, range: ByteRange, sum: string | undefined): Promise<boolean> {
  if (sum === undefined) return false;
  const bytes = Buffer.alloc(range.lengthBytes);
  const { bytesRead } = await handle.read(bytes, 0, range.lengthBytes, range.offsetBytes);
  return bytesRead === range.lengthBytes && md5(bytes).toString('hex') === sum;
}

/** May be called again after any failure. Throws AgentError for the file and for what cannot be read. */
export async function downloadSnapshot(download: SnapshotDownload): Promise<DownloadedSnapshot> {
  const { path, signal } = download;
  const snapshot = await openSnapshot(download);
  const { sizeBytes, ranges } = await measure(snapshot, download);
  download.onStart(ranges.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0));
  const journal = await openJournal(download);
  const result = { sizeBytes, fetchedBytes: 0, resumedBytes: 0 };
  try {
    const handle = await open(`${path}.part`, journal.done.size > 0 ? 'r+' : 'w+');
    const takePiece = async (range: ByteRange): Promise<void> => {
      if (await isThere(handle, range, journal.done.get(range.offsetBytes)))
        result.resumedBytes += range.lengthBytes;
      else {
        const { bytes, sum } = await fetchPiece(snapshot, range, signal);
        await writeFully(handle, range.offsetBytes, bytes);
        await handle.datasync();
        await appendFile(journal.path, `${range.offsetBytes} ${sum}\n`);
        result.fetchedBytes += range.lengthBytes;
      }
      download.onProgress(result.resumedBytes + result.fetchedBytes);
    };
    try {
      await handle.truncate(sizeBytes);
      await pMap(piecesOf(ranges, sizeBytes), takePiece, { concurrency: 4, signal });
      await handle.sync();
    } finally {
      await handle.close();
    }
    const sha256 = await fileSha256(`${path}.part`, signal);
    await rename(`${path}.part`, path);
    await unlink(journal.path);
    return { ...result, sha256 };
  } catch (error) {
    throw writeError(error, path, 'What was fetched is kept for the next attempt.');
  }
}
