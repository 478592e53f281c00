// `lifeboat hrl create`: the log between two states of a disk, found by comparing them or named by extents.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { findChangedBlocks } from '../../agent/changedBlocks.ts';
import { writeDeltaLog, type LogWrites, type DeltaLog } from '../../agent/deltaLog.ts';
import { openDiskSource } from '../../agent/diskSource.ts';
import { parseExtents, totalsOfExtents } from '../../agent/extents.ts';
import { unreadExtents } from '../../agent/unreadExtents.ts';
import { readError } from '../../agent/fileErrors.ts';
import type { HrlTotals, HrlWriterOptions } from '../../lib/hrl/writer.ts';
import { UsageError } from '../failure.ts';
import { formatBytes, formatFacts } from '../humanText.ts';
import { pathOf, print, readStdin, type Io } from '../io.ts';
import { startProgress } from '../progress.ts';
import { requireIds, requireMetadataSize, requireNoInput, requireSectors, requireTime } from './logChecks.ts';

export interface CreateOptions {
  changed: string;
  out: string;
  base?: string;
  extents?: string;
  previous?: string;
  id?: string;
  createdAt?: Date;
  dataWriteGuid?: string;
  metadataSize: number;
  dataChecksums?: boolean;
  force?: boolean;
  json?: boolean;
}

async function readExtentsText(io: Io, source: string): Promise<string> {
  if (source === '-') return readStdin(io);
  const path = pathOf(io, source);
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw readError(error, path);
  });
}

/** The one source of changes that the options name. */
function sourceOfChanges({ base, extents }: CreateOptions): { base: string } | { extents: string } {
  if (base !== undefined && extents === undefined) return { base };
  if (extents !== undefined && base === undefined) return { extents };
  throw new UsageError('Give either --base or --extents.');
}

/** Header fields of the log as the options give them. */
function writerOptions(options: CreateOptions): HrlWriterOptions {
  const { createdAt = new Date(), id = randomUUID(), previous, dataWriteGuid, metadataSize } = options;
  requireMetadataSize(metadataSize);
  requireIds({ id, previous });
  requireTime(createdAt);
  return {
    uniqueId: id,
    createdAt,
    ...(previous === undefined ? {} : { previousUniqueId: previous }),
    ...(dataWriteGuid === undefined ? {} : { vhd2DataWriteGuid: dataWriteGuid }),
    metadataSizeBytes: metadataSize,
    withDataChecksums: options.dataChecksums ?? false,
  };
}

async function printCreated(
  io: Io,
  options: CreateOptions,
  log: DeltaLog,
  diskSizeBytes: number,
): Promise<void> {
  const { out, previous } = options;
  if (options.json === true) {
    const { sizeBytes, sha256, uniqueId, entryCount, dataBytes } = log;
    const document = {
      file: out,
      sizeBytes,
      sha256,
      uniqueId,
      previousUniqueId: previous ?? null,
      entryCount,
    };
    await print(io, `${JSON.stringify({ ...document, dataBytes, diskSizeBytes })}\n`);
    return;
  }
  const facts = formatFacts([
    ['written', out],
    ['id', log.uniqueId],
    ['previous id', previous ?? 'none'],
    ['writes', log.entryCount],
    ['data', `${log.dataBytes} (${formatBytes(log.dataBytes)})`],
    ['size', `${log.sizeBytes} (${formatBytes(log.sizeBytes)})`],
    ['sha256', log.sha256],
  ]);
  await print(io, facts);
}

/** Throws AgentError for the files and extents, UsageError for options that do not fit together. */
export async function createLog(io: Io, options: CreateOptions): Promise<void> {
  const from = sourceOfChanges(options);
  const header = writerOptions(options);
  const out = pathOf(io, options.out);
  await using changed = await openDiskSource(pathOf(io, options.changed));
  await using base = 'base' in from ? await openDiskSource(pathOf(io, from.base)) : null;
  requireSectors(changed);
  await requireNoInput(out, base === null ? [changed.path] : [changed.path, base.path]);
  let writes: LogWrites;
  let expected: HrlTotals | undefined;
  if ('extents' in from) {
    const text = await readExtentsText(io, from.extents);
    const extents = parseExtents(text, changed.sizeBytes);
    writes = unreadExtents(changed, extents);
    expected = totalsOfExtents(extents);
  } else writes = findChangedBlocks(base ?? changed, changed);
  const totalBytes = expected?.dataBytes ?? changed.sizeBytes;
  const progress = startProgress(io, 'log', totalBytes, options.json === true);
  const log = await writeDeltaLog(out, writes, {
    ...header,
    replace: options.force ?? false,
    signal: io.signal,
    ...(expected === undefined ? {} : { expected }),
    // A comparison is as far as its place on the disk; how much it will find nobody knows.
    onProgress: (dataBytes, diskEndBytes) =>
      progress.report(expected === undefined ? diskEndBytes : dataBytes),
  }).finally(progress.end);
  await printCreated(io, options, log, changed.sizeBytes);
}
