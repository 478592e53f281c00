// `lifeboat hrl merge`: consecutive logs of one disk into one log with the same effect, each byte of it once.
import { writeDeltaLog } from '../../agent/deltaLog.ts';
import { requireReplaceable } from '../../agent/outputFile.ts';
import type { HrlWrite } from '../../lib/hrl/writer.ts';
import { mergedHeader } from '../../lib/merge/logChain.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { countSegmentData, readSegments, type DiskData } from '../../lib/merge/segmentData.ts';
import { formatBytes, formatFacts } from '../humanText.ts';
import { pathOf, print, type Io } from '../io.ts';
import { startProgress } from '../progress.ts';
import { previousIdText } from './headerFacts.ts';
import { openChain } from './openLogs.ts';
import { requireMetadataSize, requireNoInput } from './logChecks.ts';

export interface MergeOptions {
  previous?: string;
  diskSize?: number;
  metadataSize: number;
  dataChecksums?: boolean;
  force?: boolean;
  json?: boolean;
}

async function* timedWrites(
  pieces: AsyncIterable<DiskData>,
  timestamp: Date,
): AsyncGenerator<HrlWrite, void, undefined> {
  for await (const piece of pieces) yield { ...piece, timestamp };
}

/**
 * Writes `out` from the logs, which are in the order in which they were taken. Throws HrlError for a log that is wrong
 * or does not follow the one before it; nothing is written then.
 */
export async function mergeLogs(
  io: Io,
  files: { out: string; logs: readonly string[] },
  options: MergeOptions,
): Promise<void> {
  requireMetadataSize(options.metadataSize);
  const out = pathOf(io, files.out);
  // Before the logs are read, which may take long.
  await requireNoInput(
    out,
    files.logs.map((log) => pathOf(io, log)),
  );
  await requireReplaceable(out, options.force ?? false);
  await using chain = await openChain(io, files.logs, options);
  const segments = planMerge(chain.entries);
  const totals = countSegmentData(segments);
  const header = mergedHeader(chain);
  const progress = startProgress(io, 'merging', totals.dataBytes, options.json === true);
  const pieces = readSegments(chain.source, segments, io.signal);
  const log = await writeDeltaLog(out, timedWrites(pieces, header.lastModifiedAt), {
    ...header.options,
    metadataSizeBytes: options.metadataSize,
    withDataChecksums: options.dataChecksums ?? false,
    replace: options.force ?? false,
    signal: io.signal,
    expected: totals.entryCount === 0 ? totals : { ...totals, lastModifiedAt: header.lastModifiedAt },
    onProgress: progress.report,
  }).finally(progress.end);
  const { sizeBytes, sha256, uniqueId, entryCount, dataBytes } = log;
  const previousUniqueId = header.options.previousUniqueId;
  const input = {
    logCount: files.logs.length,
    inputBytes: chain.inputBytes,
    inputEntryCount: chain.entries.count,
  };
  if (options.json === true) {
    const document = {
      file: files.out,
      sizeBytes,
      sha256,
      uniqueId,
      previousUniqueId,
      entryCount,
      dataBytes,
    };
    await print(io, `${JSON.stringify({ ...document, ...input })}\n`);
    return;
  }
  await print(
    io,
    formatFacts([
      ['written', files.out],
      ['id', `${uniqueId} (that of the last log)`],
      ['previous id', `${previousIdText(previousUniqueId)} (that of the first log)`],
      ['writes', `${entryCount}, from ${input.inputEntryCount} in ${input.logCount} logs`],
      ['data', `${dataBytes} (${formatBytes(dataBytes)})`],
      ['size', `${sizeBytes} (${formatBytes(sizeBytes)}), from ${formatBytes(input.inputBytes)}`],
      ['sha256', sha256],
    ]),
  );
}
