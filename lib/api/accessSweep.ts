// Forgets what the table `access` keeps for a time only: used assertions, answers to repeated requests, and the audit after
// its retention. Partitions carry their time in their name, so that nothing has to be searched.
import { auditPartition } from '../auth/audit.ts';
import { assertionsPartition } from '../auth/hostTokens.ts';
import type { TablePort } from '../storage/ports.ts';
import { requestsPartition } from './repetition.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** How far back is looked, so that a sweep that failed for days is made up for. */
const lookBackHours = 72;
const lookBackDays = 10;
const batchRows = 90;

/** Deletes the partition's rows, at most `limit`. Returns how many. */
async function deletePartition(access: TablePort, partition: string, limit: number): Promise<number> {
  let keys: { key: string; etag: string }[] = [];
  let deleted = 0;
  const flush = async () => {
    if (keys.length > 0)
      await access.transact(
        partition,
        keys.map((row) => ({ kind: 'delete' as const, ...row })),
      );
    deleted += keys.length;
    keys = [];
  };
  for await (const { key, etag } of access.list(partition)) {
    keys.push({ key, etag });
    if (keys.length === batchRows) await flush();
    if (deleted >= limit) return deleted;
  }
  await flush();
  return deleted;
}

export interface SweepOptions {
  /** Days for which the audit is kept. */
  auditDays: number;
  /** At most so many rows. */
  limit: number;
}

/** May be called at any time and by several at once. Returns how many rows went. */
export async function sweepAccess(
  access: TablePort,
  now: Date,
  { auditDays, limit }: SweepOptions,
): Promise<number> {
  const ago = (ms: number) => new Date(now.getTime() - ms);
  const over = [
    ...Array.from({ length: lookBackHours }, (_, hour) => assertionsPartition(ago((hour + 2) * hourMs))),
    ...Array.from({ length: lookBackDays }, (_, day) => requestsPartition(ago((day + 2) * dayMs))),
    ...Array.from({ length: lookBackDays }, (_, day) =>
      auditPartition(
        ago((day + auditDays + 1) * dayMs)
          .toISOString()
          .slice(0, 10),
      ),
    ),
  ];
  let deleted = 0;
  for (const partition of over) {
    if (deleted >= limit) break;
    deleted += await deletePartition(access, partition, limit - deleted);
  }
  return deleted;
}
