// Several logs of one disk, one after another, as if they were one: their files end to end, their writes in one list,
// so that planning, comparing and merging them is the work of a single log. Each log is verified whole, and must follow
// the one before it or start a chain of its own. What the logs say of each other is believed before the order in which
// they are given: a log that one before it names as its predecessor, or that was there already, is refused.
import { concatenatedSource } from '../disk/concatenated.ts';
import type { RandomAccessSource } from '../disk/source.ts';
import { assertInvariant } from '../errors.ts';
import { allocateEntries, type HrlEntries } from '../hrl/entries.ts';
import { HrlError } from '../hrl/errors.ts';
import { headerField, maxEntryCount, nilGuid, type HrlHeader } from '../hrl/format.ts';
import type { HrlLog } from '../hrl/reader.ts';
import { verifyHrl } from '../hrl/verify.ts';
import type { HrlWriterOptions } from '../hrl/writer.ts';

/** A log, and what errors call it. */
export interface NamedLog {
  name: string;
  source: RandomAccessSource;
}

export interface LogChain {
  /** In the order in which they are applied. */
  headers: readonly HrlHeader[];
  /** All files end to end. */
  source: RandomAccessSource;
  /** All writes, oldest first; their data offsets are places in `source`. */
  entries: HrlEntries;
}

export interface ChainExpectations {
  /** Size of the disk; without one every place that the format can name is possible. */
  diskSizeBytes?: number;
  /** UniqueId of the log before the first. */
  previousUniqueId?: string;
  /** Most writes of all logs together; the limit of a single log when omitted. */
  maxEntryCount?: number;
  signal?: AbortSignal;
}

/**
 * Verifies the logs, which are in the order in which they were taken. Throws HrlError, with the name of the log that
 * is wrong: all codes of `verifyHrl`, and `LogTooLarge` for more writes than one log may have. `logs` is not empty.
 */
export async function readLogChain(logs: readonly NamedLog[], expect: ChainExpectations): Promise<LogChain> {
  const { diskSizeBytes = Number.MAX_SAFE_INTEGER, signal } = expect;
  const mostEntries = expect.maxEntryCount ?? maxEntryCount;
  let previousUniqueId = (expect.previousUniqueId ?? nilGuid).toLowerCase();
  // Where a log is in its chain, as far as it is known: the ids that may not come any more, and why.
  const past = new Map([[previousUniqueId, 'another log than the one applied last']]);
  let entryCount = 0;
  const verify = async ({ name, source }: NamedLog): Promise<HrlLog> => {
    signal?.throwIfAborted();
    try {
      const { log } = await verifyHrl(source, { diskSizeBytes, previousUniqueId });
      refusePast(log.header, past);
      past.set(log.header.previousUniqueId, `a place before ${name}, which follows this log`);
      past.set(log.header.uniqueId, `another log than ${name}, which has this id`);
      entryCount += log.entries.count;
      if (entryCount > mostEntries) refuseEntryCount(entryCount, mostEntries);
      previousUniqueId = log.header.uniqueId;
      return log;
    } catch (error) {
      throw error instanceof HrlError ? error.inFile(name) : error;
    }
  };
  assertInvariant(logs.length > 0, 'a chain has a log');
  const read: ReadLog[] = [];
  for (const log of logs) read.push({ ...(await verify(log)), sizeBytes: log.source.sizeBytes });
  return {
    headers: read.map(({ header }) => header),
    source: concatenatedSource(logs.map(({ source }) => source)),
    entries: joinEntries(read, entryCount),
  };
}

/** Refuses a log that is given twice, or after one that follows it. */
function refusePast({ uniqueId }: HrlHeader, past: ReadonlyMap<string, string>): void {
  const expected = past.get(uniqueId);
  if (expected === undefined || uniqueId === nilGuid) return;
  throw new HrlError('LogChainBroken', {
    structure: 'log header',
    offsetBytes: headerField.UniqueId,
    field: 'UniqueId',
    expected,
    found: uniqueId,
  });
}

interface ReadLog extends HrlLog {
  /** Of the file. */
  sizeBytes: number;
}

function joinEntries(read: readonly ReadLog[], entryCount: number): HrlEntries {
  const joined = allocateEntries(entryCount);
  let index = 0;
  let fileStart = 0;
  for (const { entries, sizeBytes } of read) {
    joined.diskOffsets.set(entries.diskOffsets, index);
    joined.lengths.set(entries.lengths, index);
    joined.timestamps.set(entries.timestamps, index);
    joined.dataChecksums.set(entries.dataChecksums, index);
    joined.dataOffsets.set(
      entries.dataOffsets.map((offset) => fileStart + offset),
      index,
    );
    index += entries.count;
    fileStart += sizeBytes;
  }
  return joined;
}

/**
 * What the header of the one log says that takes the place of the chain: it follows what the first followed, and the
 * next log follows it as it followed the last. Every write has the time of `lastModifiedAt`.
 */
export function mergedHeader({ headers }: LogChain): {
  options: HrlWriterOptions & { previousUniqueId: string };
  lastModifiedAt: Date;
} {
  const first = headers[0];
  const last = headers.at(-1);
  assertInvariant(first !== undefined && last !== undefined, 'a chain has a log');
  const lastModifiedAt = new Date(Math.max(...headers.map((header) => header.lastModifiedAt.getTime())));
  const options = {
    uniqueId: last.uniqueId,
    previousUniqueId: first.previousUniqueId,
    createdAt: first.createdAt,
    vhd2DataWriteGuid: last.vhd2DataWriteGuid ?? nilGuid,
  };
  return { options, lastModifiedAt };
}

function refuseEntryCount(entryCount: number, mostEntries: number): never {
  throw new HrlError('LogTooLarge', {
    structure: 'log header',
    offsetBytes: headerField.TotalMetadataEntries,
    field: 'TotalMetadataEntries',
    expected: `at most ${mostEntries} in all logs together (merge fewer)`,
    found: entryCount,
  });
}
