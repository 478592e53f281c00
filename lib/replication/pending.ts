// What lies under deltas/<item>/: logs that are not applied yet, logs of cycles that are, and names that are neither.
// Applied logs are deleted, so the listing is always the work that is left.
import { joinedDisks } from '../protection/item.ts';
import type { ItemRecord } from '../protection/item.ts';
import type { BlobInfo, BlobPort } from '../storage/ports.ts';
import { formatDeltaName, parseDeltaName } from './names.ts';
import { belongsToResync, isSetApart } from './supersede.ts';

export interface PendingLogs {
  /** Logs of cycles after the last applied one: cycle → disk → blob. Cycles ascending. */
  waiting: Map<number, Map<string, BlobInfo>>;
  /** Logs whose cycle is applied already: duplicates, or different logs under an old name. */
  stale: BlobInfo[];
  /** Logs from before a resynchronization that runs: they may not be merged any more. */
  superseded: BlobInfo[];
  /** Blobs whose name is no log name, or names a disk that is not protected or has not arrived; logs of the wrong kind. */
  unexpected: BlobInfo[];
  /** Name and ETag of everything listed, to tell whether a later listing has something new. */
  seen: Set<string>;
}

export const versionOf = (blob: BlobInfo): string => `${blob.name}@${blob.etag}`;

type PendingItem = Pick<ItemRecord, 'item' | 'appliedCycle' | 'disks' | 'resync'>;
type Place = 'waiting' | 'superseded' | 'unexpected';

/** A disk that was added joins with a log of kind `resync`; a marked one takes no other while it is being resynchronized. */
function placeOf(record: PendingItem, disk: string, blob: BlobInfo, joining: Set<string>): Place {
  const row = record.disks.find((each) => each.disk === disk);
  if (!row) return 'unexpected';
  const isResync = blob.metadata['kind'] === 'resync';
  if (isSetApart(record)) {
    if (!belongsToResync(record, blob)) return 'superseded';
    return row.resync !== null && !isResync ? 'unexpected' : 'waiting';
  }
  if (row.joinedAtCycle !== null || joining.has(disk)) return 'waiting';
  if (!isResync || row.arrivedAt === null) return 'unexpected';
  // Its later logs, which are listed after it, follow it.
  joining.add(disk);
  return 'waiting';
}

export async function listPendingLogs(
  deltas: Pick<BlobPort, 'list'>,
  record: PendingItem,
): Promise<PendingLogs> {
  const pending: PendingLogs = {
    ...{ waiting: new Map(), stale: [], superseded: [], unexpected: [], seen: new Set() },
  };
  const joining = new Set<string>();
  for await (const blob of deltas.list(`${record.item}/`)) {
    pending.seen.add(versionOf(blob));
    const name = parseDeltaName(blob.name);
    const isKnown = name && record.disks.some(({ disk }) => disk === name.disk);
    if (!name || !isKnown) pending.unexpected.push(blob);
    else if (name.cycle <= record.appliedCycle) pending.stale.push(blob);
    else {
      const place = placeOf(record, name.disk, blob, joining);
      if (place !== 'waiting') pending[place].push(blob);
      else {
        const cycle = pending.waiting.get(name.cycle) ?? new Map<string, BlobInfo>();
        pending.waiting.set(name.cycle, cycle.set(name.disk, blob));
      }
    }
  }
  return pending;
}

/** Names of the logs that keep `cycle` from being applied; empty when the cycle is complete. */
export function missingLogs(
  { waiting }: PendingLogs,
  record: Pick<ItemRecord, 'item' | 'disks'>,
  cycle: number,
): string[] {
  const present = waiting.get(cycle);
  return joinedDisks(record)
    .filter(({ disk }) => !present?.has(disk))
    .map(({ disk }) => formatDeltaName({ item: record.item, cycle, disk }));
}

/** First cycle after the applied ones that is not completely uploaded: the one a source sends next. */
export function nextCycleToSend(
  pending: PendingLogs,
  record: Pick<ItemRecord, 'item' | 'disks' | 'appliedCycle'>,
): number {
  let cycle = record.appliedCycle + 1;
  while (missingLogs(pending, record, cycle).length === 0) cycle++;
  return cycle;
}

/** Bytes of the waiting logs, a number for each disk that has any. */
export function pendingBytes({ waiting }: PendingLogs): Map<string, number> {
  const bytes = new Map<string, number>();
  for (const logs of waiting.values())
    for (const [disk, { sizeBytes }] of logs) bytes.set(disk, (bytes.get(disk) ?? 0) + sizeBytes);
  return bytes;
}
