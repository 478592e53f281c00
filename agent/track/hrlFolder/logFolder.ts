// Logs that Hyper-V, or anyone, leaves in a folder: each is taken when it is closed, in the order of its chain.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LifeboatError, isLifeboatError } from '../../../lib/errors.ts';
import { nilGuid, type HrlHeader } from '../../../lib/hrl/format.ts';
import { readHrlHeader } from '../../../lib/hrl/reader.ts';
import { verifyHrl } from '../../../lib/hrl/verify.ts';
import { openFileSource } from '../../fileSource.ts';
import { readError } from '../../fileErrors.ts';

/** A log that is whole. */
export interface ClosedLog {
  path: string;
  header: HrlHeader;
}

/** The logs of the folder by name; without a header: still written, or no log yet. */
async function* logsOf(
  folder: string,
): AsyncGenerator<{ path: string; header: HrlHeader | undefined }, void, undefined> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw readError(error, folder);
  });
  for (const name of names.filter((each) => each.toLowerCase().endsWith('.hrl')).sort()) {
    const path = join(folder, name);
    await using file = await openFileSource(path);
    const header = await readHrlHeader(file).catch((error: unknown) => {
      if (isLifeboatError(error, 'LogNotClosed', 'LogTruncated')) return undefined;
      throw error;
    });
    yield { path, header };
  }
}

/** Every closed log of the folder, in no order. One that is still written, or is no log yet, is left for later. */
export async function listClosedLogs(folder: string): Promise<ClosedLog[]> {
  const logs: ClosedLog[] = [];
  for await (const { path, header } of logsOf(folder)) if (header) logs.push({ path, header });
  return logs;
}

/** Path of a log that is still written, if there is one. */
export async function findOpenLog(folder: string): Promise<string | undefined> {
  for await (const { path, header } of logsOf(folder)) if (!header) return path;
  return undefined;
}

/** Id of the last log of the newest chain; undefined without logs. */
export function endOfChain(logs: readonly ClosedLog[]): string | undefined {
  const followed = new Set(logs.map(({ header }) => header.previousUniqueId));
  const ends = logs.filter(({ header }) => !followed.has(header.uniqueId));
  const newest = (a: ClosedLog, b: ClosedLog): number =>
    b.header.lastModifiedAt.getTime() - a.header.lastModifiedAt.getTime();
  return [...ends].sort(newest)[0]?.header.uniqueId;
}

const isFirst = ({ header }: ClosedLog): boolean => header.previousUniqueId === nilGuid;

/**
 * The log that follows `previousUniqueId`; undefined when it is not there yet. Null: the first of the chain, which names nobody,
 * or somebody who is not in the folder. Throws `TrackingLost` when there are newer logs and none follows: one is missing.
 */
export function findNextLog(
  logs: readonly ClosedLog[],
  previousUniqueId: string | null,
): ClosedLog | undefined {
  const ids = new Set(logs.map(({ header }) => header.uniqueId));
  if (previousUniqueId === null) {
    const begins = logs.filter((log) => isFirst(log) || !ids.has(log.header.previousUniqueId));
    if (begins.length > 1)
      throw new LifeboatError(
        'TrackingLost',
        `${begins.length} chains of logs begin in the folder: ${begins.map(({ path }) => path).join(', ')}`,
      );
    return begins[0];
  }
  const followers = logs.filter(({ header }) => header.previousUniqueId === previousUniqueId);
  const [next] = followers;
  if (followers.length > 1)
    throw new LifeboatError(
      'TrackingLost',
      `Two logs follow ${previousUniqueId}: ${followers.map(({ path }) => path).join(', ')}`,
    );
  if (next) return next;
  // What was shipped may still lie there; a log whose predecessor is neither there nor the last one shows a gap.
  const orphan = logs.find(
    (log) =>
      !isFirst(log) &&
      !ids.has(log.header.previousUniqueId) &&
      log.header.uniqueId !== previousUniqueId &&
      !leadsTo(logs, log, previousUniqueId),
  );
  if (orphan)
    throw new LifeboatError(
      'TrackingLost',
      `The log between ${previousUniqueId} and ${orphan.path} is missing.`,
    );
  return undefined;
}

/** True when the chain from `log` on comes to the log with this id: then it is older. */
function leadsTo(logs: readonly ClosedLog[], log: ClosedLog, uniqueId: string): boolean {
  const byPrevious = new Map(logs.map((each) => [each.header.previousUniqueId, each]));
  const seen = new Set<string>();
  for (
    let at: ClosedLog | undefined = log;
    at && !seen.has(at.header.uniqueId);
    at = byPrevious.get(at.header.uniqueId)
  ) {
    if (at.header.uniqueId === uniqueId) return true;
    seen.add(at.header.uniqueId);
  }
  return false;
}

/** Checks the log whole, as the service will; its digest and size. Throws HrlError. */
export async function checkLog(
  { path }: ClosedLog,
  expected: { diskSizeBytes: number; previousUniqueId: string | null },
): Promise<{ sha256: string; sizeBytes: number }> {
  await using file = await openFileSource(path);
  const { diskSizeBytes, previousUniqueId } = expected;
  const { sha256 } = await verifyHrl(file, {
    diskSizeBytes,
    ...(previousUniqueId === null ? {} : { previousUniqueId }),
  });
  return { sha256, sizeBytes: file.sizeBytes };
}
