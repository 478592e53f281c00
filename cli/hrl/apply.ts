// `lifeboat hrl apply`: a verified log into a disk image, in place.
import { open, type FileHandle } from 'node:fs/promises';
import { AgentError } from '../../agent/agentError.ts';
import { openDiskSource } from '../../agent/diskSource.ts';
import { readError, writeError } from '../../agent/fileErrors.ts';
import { openFileSource } from '../../agent/fileSource.ts';
import { makeOutputFile } from '../../agent/outputFile.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { totalLength } from '../../lib/merge/segments.ts';
import { formatBytes, formatFacts } from '../humanText.ts';
import { pathOf, print, type Io } from '../io.ts';
import { startProgress } from '../progress.ts';
import { Interrupted } from '../failure.ts';
import { applyToFile, type FileApplied } from './applyToFile.ts';
import { requireSectors } from './logChecks.ts';
import { verifyWithProgress } from './verifyProgress.ts';

export interface ApplyOptions {
  size?: number;
  sha256?: string;
  previous?: string;
  json?: boolean;
}

const again = 'What was written so far is no consistent disk: apply the log again after correcting this.';

/** What is known of the image before it is written. */
interface Image {
  path: string;
  /** Of the disk in it; 0 while there is none. */
  sizeBytes: number;
  isVhd: boolean;
  isMissing: boolean;
}

async function findImage(path: string, mayBeMissing: boolean): Promise<Image> {
  try {
    await using disk = await openDiskSource(path);
    return { path, sizeBytes: disk.sizeBytes, isVhd: disk.format === 'vhd', isMissing: false };
  } catch (error) {
    if (mayBeMissing && error instanceof AgentError && error.code === 'FileNotFound')
      return { path, sizeBytes: 0, isVhd: false, isMissing: true };
    throw error;
  }
}

/** Works on the image in place; one that is missing is made, whole or not at all. */
async function writeImage<T>(
  io: Io,
  { path, isMissing }: Image,
  work: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  if (isMissing) return makeOutputFile(path, {}, work);
  const handle = await open(path, 'r+').catch((error: unknown) => {
    const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw isGone ? readError(error, path) : writeError(error, path, 'Nothing was changed.');
  });
  try {
    return await work(handle);
  } catch (error) {
    if (io.signal.aborted) throw new Interrupted(`Interrupted while ${path} was written. ${again}`);
    throw writeError(error, path, again);
  } finally {
    await handle.close();
  }
}

/** The size that the disk will have. */
function requireSize(disk: Image, wanted: number | undefined): number {
  // What is no disk yet may become one of the wanted size.
  if (wanted === undefined || disk.sizeBytes > 0) requireSectors(disk);
  if (wanted === undefined || wanted === disk.sizeBytes) return disk.sizeBytes;
  const what = `${disk.path} has ${disk.sizeBytes} bytes`;
  if (disk.isVhd)
    throw new AgentError(
      'DiskSizeMismatch',
      `${what} and is a VHD, which --size cannot resize.`,
      'Leave --size out.',
    );
  if (wanted < disk.sizeBytes)
    throw new AgentError(
      'DiskSizeMismatch',
      `${what}, more than --size ${wanted}.`,
      'A disk is never made smaller.',
    );
  return wanted;
}

/** Throws HrlError before anything was changed; AgentError when the image cannot be written. */
export async function applyLog(
  io: Io,
  files: { log: string; raw: string },
  options: ApplyOptions,
): Promise<void> {
  await using source = await openFileSource(pathOf(io, files.log));
  const image = await findImage(pathOf(io, files.raw), options.size !== undefined);
  const diskSizeBytes = requireSize(image, options.size);
  const expected = {
    diskSizeBytes,
    ...(options.sha256 === undefined ? {} : { sha256: options.sha256 }),
    ...(options.previous === undefined ? {} : { previousUniqueId: options.previous }),
  };
  const { log, sha256, dataBytes } = await verifyWithProgress(
    io,
    { file: files.log, source },
    expected,
    options.json === true,
  );
  io.signal.throwIfAborted();
  const segments = planMerge(log.entries);
  const progress = startProgress(io, 'applying', totalLength(segments), options.json === true);
  const result = await writeImage(io, image, async (handle): Promise<FileApplied> => {
    if (diskSizeBytes > image.sizeBytes) await handle.truncate(diskSizeBytes);
    return applyToFile({ source, segments, handle, signal: io.signal, onProgress: progress.report });
  }).finally(progress.end);
  const { writtenBytes, clearedBytes } = result;
  const document = { log: files.log, file: files.raw, diskSizeBytes, sha256, uniqueId: log.header.uniqueId };
  const counts = { entryCount: log.entries.count, dataBytes, writtenBytes, clearedBytes };
  if (options.json === true) {
    await print(io, `${JSON.stringify({ ...document, ...counts })}\n`);
    return;
  }
  const facts = formatFacts([
    ['applied', files.log],
    ['to', files.raw],
    ['id', log.header.uniqueId],
    ['writes', counts.entryCount],
    ['written', `${writtenBytes} (${formatBytes(writtenBytes)})`],
    ['zeroed', `${clearedBytes} (${formatBytes(clearedBytes)})`],
  ]);
  await print(io, facts);
}
