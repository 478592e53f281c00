// What lies under deltas/<item>/: logs that are not applied yet, logs of cycles that are, and names that are neither.
// Applied logs are deleted, so the listing is always the work that is left.
import type { ItemRecord } from '../protection/item.ts';
import type { BlobInfo, BlobPort } from '../storage/ports.ts';
import { formatDeltaName, parseDeltaName } from './names.ts';

export interface PendingLogs {
  /** Logs of cycles after the last applied one: cycle → disk → blob. Cycles ascending. */
  waiting: Map<number, Map<string, BlobInfo>>;
  /** Logs whose cycle is applied already: duplicates, or different logs under an old name. */
  stale: BlobInfo[];
  /** Blobs whose name is no log name, or names a disk that is not protected. */
  unexpected: BlobInfo[];
  /** Name and ETag of everything listed, to tell whether a later listing has something new. */
  seen: Set<string>;
}

export const versionOf = (blob: BlobInfo): string => `${blob.name}@${blob.etag}`;

export async function listPendingLogs(
  deltas: BlobPort,
  { item, appliedCycle, disks }: Pick<ItemRecord, 'item' | 'appliedCycle' | 'disks'>,
): Promise<PendingLogs> {
  const protectedDisks = new Set(disks.map(({ disk }) => disk));
  const pending: PendingLogs = { waiting: new Map(), stale: [], unexpected: [], seen: new Set() };
  for await (const blob of deltas.list(`${item}/`)) {
    pending.seen.add(versionOf(blob));
    const name = parseDeltaName(blob.name);
    if (!name || !protectedDisks.has(name.disk)) pending.unexpected.push(blob);
    else if (name.cycle <= appliedCycle) pending.stale.push(blob);
    else {
      const cycle = pending.waiting.get(name.cycle) ?? new Map<string, BlobInfo>();
      pending.waiting.set(name.cycle, cycle.set(name.disk, blob));
    }
  }
  return pending;
}

/** Names of the logs that keep `cycle` from being applied; empty when the cycle is complete. */
export function missingLogs(
  { waiting }: PendingLogs,
  { item, disks }: Pick<ItemRecord, 'item' | 'disks'>,
  cycle: number,
): string[] {
  const present = waiting.get(cycle);
  return disks
    .filter(({ disk }) => !present?.has(disk))
    .map(({ disk }) => formatDeltaName({ item, cycle, disk }));
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
