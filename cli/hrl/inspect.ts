// `lifeboat hrl inspect`: what a log says, from its metadata alone. A log of millions of writes is printed as a stream.
import { openFileSource } from '../../agent/fileSource.ts';
import { fromHrlSeconds, headerSizeBytes, nilGuid } from '../../lib/hrl/format.ts';
import type { HrlEntries } from '../../lib/hrl/entries.ts';
import { readHrl, type HrlLog } from '../../lib/hrl/reader.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { totalLength } from '../../lib/merge/segments.ts';
import { formatBytes, formatFacts } from '../humanText.ts';
import { isUnread, pathOf, print, type Io } from '../io.ts';
import { headerJson, previousIdText } from './headerFacts.ts';
import { inFile } from './verifyProgress.ts';
import { heatMapCells, heatMapOf, heatMapText } from './heatMap.ts';

export interface InspectOptions {
  blocks?: boolean;
  diskSize?: number;
  entries?: boolean;
  json?: boolean;
}

const entriesPerWrite = 1000;

function summarize(log: HrlLog, diskSize: number | undefined) {
  const { count, diskOffsets, lengths } = log.entries;
  let dataBytes = 0;
  let highestEndBytes = 0;
  for (let index = 0; index < count; index++) {
    const length = lengths[index] ?? 0;
    dataBytes += length;
    highestEndBytes = Math.max(highestEndBytes, (diskOffsets[index] ?? 0) + length);
  }
  const segments = planMerge(log.entries);
  const effectiveBytes = totalLength(segments);
  return {
    entryCount: count,
    dataBytes,
    /** After last-writer-wins. */
    effectiveBytes,
    rewrittenBytes: dataBytes - effectiveBytes,
    segmentCount: segments.count,
    highestEndBytes,
    startsChain: log.header.previousUniqueId === nilGuid,
    // Of the disk if its size is known, but never without a place that the log writes.
    heatMap: heatMapOf(segments, Math.max(diskSize ?? 0, highestEndBytes)),
  };
}

function entryJson(entries: HrlEntries, index: number) {
  return {
    diskOffset: entries.diskOffsets[index] ?? 0,
    length: entries.lengths[index] ?? 0,
    dataOffset: entries.dataOffsets[index] ?? 0,
    timestamp: fromHrlSeconds(entries.timestamps[index] ?? 0).toISOString(),
    dataChecksum: entries.dataChecksums[index] ?? 0,
  };
}

function entryLine(entries: HrlEntries, index: number): string {
  const { diskOffset, length, dataOffset, timestamp } = entryJson(entries, index);
  const columns = [index, diskOffset, length, dataOffset].map((value) => String(value).padStart(15));
  return `${columns.join('')}  ${timestamp}\n`;
}

async function printEntries(io: Io, entries: HrlEntries, format: (index: number) => string): Promise<void> {
  for (let start = 0; start < entries.count; start += entriesPerWrite) {
    io.signal.throwIfAborted();
    if (isUnread(io)) return;
    const size = Math.min(entriesPerWrite, entries.count - start);
    await print(io, Array.from({ length: size }, (_, index) => format(start + index)).join(''));
  }
}

/** The blocks with their data: what lies between the end of the one before and their own start. */
function* blockFacts({ header, blocks }: HrlLog) {
  let dataStart = headerSizeBytes;
  for (const [index, { offset, entryCount }] of blocks.entries()) {
    yield { index, offset, entryCount, dataStart, dataBytes: offset - dataStart };
    dataStart = offset + header.metadataSizeBytes;
  }
}

async function printBlocks(io: Io, log: HrlLog): Promise<void> {
  const line = (cells: readonly (string | number)[]): string =>
    `${cells.map((cell) => String(cell).padStart(15)).join('')}\n`;
  await print(io, `\n${line(['block', 'offset', 'writes', 'data from', 'data'])}`);
  for (const { index, offset, entryCount, dataStart, dataBytes } of blockFacts(log)) {
    io.signal.throwIfAborted();
    if (isUnread(io)) return;
    await print(io, line([index, offset, entryCount, dataStart, dataBytes]));
  }
}

async function printJson(io: Io, file: string, log: HrlLog, options: InspectOptions): Promise<void> {
  const document = JSON.stringify({
    file,
    header: headerJson(log.header),
    ...summarize(log, options.diskSize),
    blocks: [...blockFacts(log)],
  });
  if (options.entries !== true) return print(io, `${document}\n`);
  await print(io, `${document.slice(0, -1)},"entries":[`);
  await printEntries(io, log.entries, (index) => {
    return `${index === 0 ? '' : ','}${JSON.stringify(entryJson(log.entries, index))}`;
  });
  await print(io, ']}\n');
}

async function printText(io: Io, file: string, log: HrlLog, options: InspectOptions): Promise<void> {
  const { header, blocks, entries } = log;
  const summary = summarize(log, options.diskSize);
  const facts = formatFacts([
    ['log', file],
    ['version', header.version],
    ['id', header.uniqueId],
    ['previous id', previousIdText(header.previousUniqueId)],
    ['created', header.createdAt.toISOString()],
    ['last modified', header.lastModifiedAt.toISOString()],
    [
      'creator',
      `${JSON.stringify(header.creatorApplication.trimEnd())} 0x${header.creatorVersion.toString(16)}`,
    ],
    ['end of log', `${header.endOfLogBytes} (${formatBytes(header.endOfLogBytes)})`],
    ['metadata blocks', `${blocks.length} of ${formatBytes(header.metadataSizeBytes)}`],
    ['writes', summary.entryCount],
    ['data', `${summary.dataBytes} (${formatBytes(summary.dataBytes)})`],
    ['effective data', `${summary.effectiveBytes} (${formatBytes(summary.effectiveBytes)})`],
    ['rewritten', `${summary.rewrittenBytes} (${formatBytes(summary.rewrittenBytes)})`],
    ['disk segments', summary.segmentCount],
    ['highest end', summary.highestEndBytes],
    ['heat map', `[${heatMapText(summary.heatMap)}]`],
    ['', `each of the ${heatMapCells} cells is ${formatBytes(summary.heatMap.cellBytes)} of the disk`],
  ]);
  await print(io, facts);
  if (options.blocks === true) await printBlocks(io, log);
  if (options.entries !== true) return;
  const titles = ['write', 'disk offset', 'length', 'data offset'].map((title) => title.padStart(15));
  await print(io, `\n${titles.join('')}  time\n`);
  await printEntries(io, entries, (index) => entryLine(entries, index));
}

/** Throws HrlError for a file that is no readable log. */
export async function inspectLog(io: Io, file: string, options: InspectOptions): Promise<void> {
  await using source = await openFileSource(pathOf(io, file));
  const log = await inFile(file, readHrl(source));
  const printLog = options.json === true ? printJson : printText;
  await printLog(io, file, log, options);
}
