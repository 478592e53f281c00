// `lifeboat hrl apply`: a verified log into a disk image, in place.
import { constants, open, type FileHandle } from 'node:fs/promises';
import { AgentError } from '../../agent/agentError.ts';
import { openDiskSource } from '../../agent/diskSource.ts';
import { readError, writeError } from '../../agent/fileErrors.ts';
import { openFileSource } from '../../agent/fileSource.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { totalLength } from '../../lib/merge/segments.ts';
import { formatBytes, formatFacts } from '../humanText.ts';
import { pathOf, print, type Io } from '../io.ts';
import { startProgress } from '../progress.ts';
import { applyToFile, type FileApplied } from './applyToFile.ts';
import { verifyWithProgress } from './verifyProgress.ts';

export interface ApplyOptions {
  size?: number;
  sha256?: string;
  previous?: string;
  json?: boolean;
}

const again = 'What was written so far is no consistent disk: apply the log again after correcting this.';

/** Opens the image for writing; with `create` an image that does not exist is made, empty. */
async function openImage(path: string, create: boolean): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDWR | (create ? constants.O_CREAT : 0));
  } catch (error) {
    if (create) throw writeError(error, path, 'Nothing was changed.');
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw isMissing ? readError(error, path) : writeError(error, path, 'Nothing was changed.');
  }
}

/** Size of the disk in the image, 0 for one that does not exist yet. */
async function findDiskSize(
  path: string,
  mayBeMissing: boolean,
): Promise<{ sizeBytes: number; isVhd: boolean }> {
  try {
    await using disk = await openDiskSource(path);
    return { sizeBytes: disk.sizeBytes, isVhd: disk.format === 'vhd' };
  } catch (error) {
    if (mayBeMissing && error instanceof AgentError && error.code === 'FileNotFound')
      return { sizeBytes: 0, isVhd: false };
    throw error;
  }
}

function requireSize(
  path: string,
  disk: { sizeBytes: number; isVhd: boolean },
  wanted: number | undefined,
): number {
  if (wanted === undefined || wanted === disk.sizeBytes) return disk.sizeBytes;
  const what = `${path} has ${disk.sizeBytes} bytes`;
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
  const raw = pathOf(io, files.raw);
  const disk = await findDiskSize(raw, options.size !== undefined);
  const diskSizeBytes = requireSize(raw, disk, options.size);
  const expected = {
    diskSizeBytes,
    ...(options.sha256 === undefined ? {} : { sha256: options.sha256 }),
    ...(options.previous === undefined ? {} : { previousUniqueId: options.previous }),
  };
  const { log, sha256, dataBytes } = await verifyWithProgress(io, source, expected, options.json === true);
  io.signal.throwIfAborted();
  const segments = planMerge(log.entries);
  const handle = await openImage(raw, options.size !== undefined);
  const progress = startProgress(io, 'applying', totalLength(segments), options.json === true);
  let result: FileApplied;
  try {
    if (diskSizeBytes > disk.sizeBytes) await handle.truncate(diskSizeBytes);
    result = await applyToFile({ source, segments, handle, signal: io.signal, onProgress: progress.report });
  } catch (error) {
    throw writeError(error, raw, again);
  } finally {
    await progress.end();
    await handle.close();
  }
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
