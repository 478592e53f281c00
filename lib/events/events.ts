// The feed of what happened: jobs that ended, health errors that came and went. An event's key is made from what it says, so
// that saying it again (after a crash, or at the next look) changes nothing; keys sort newest first.
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { firstIdAt, timeOrderedId } from '../jobs/jobId.ts';
import type { TablePort } from '../storage/ports.ts';

export const eventRecord = z.object({
  id: z.string(),
  at: z.iso.datetime(),
  /** Site Recovery's words. */
  eventType: z.enum(['VmHealth', 'JobStatus', 'ServerHealth', 'AgentHealth']),
  severity: z.enum(['OK', 'Warning', 'Critical', 'Unknown']),
  /** An error code of the catalogue, or a job's scenario. */
  eventCode: z.string(),
  description: z.string(),
  /** What it is about: the machine's name and the item's id. */
  objectName: z.string(),
  objectId: z.string(),
  fabric: z.string().nullable(),
  jobId: z.string().nullable(),
  jobStatus: z.string().nullable(),
});
export type EventRecord = z.infer<typeof eventRecord>;
export type NewEvent = Omit<EventRecord, 'id'>;

const partition = 'events';

function idOf({ at, eventType, eventCode, severity, objectId, jobId }: NewEvent): string {
  const text = [at, eventType, eventCode, severity, objectId, jobId ?? ''].join('\0');
  const hex = createHash('sha256').update(text).digest('hex');
  const guid = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ];
  return timeOrderedId(new Date(at), guid.join('-'));
}

/** Records the event. The same event again: no change. */
export async function recordEvent(jobs: TablePort, event: NewEvent): Promise<void> {
  const id = idOf(event);
  await jobs.transact(partition, [{ kind: 'put', key: id, value: { ...event, id } }]);
}

export interface EventPage {
  /** Ids after this one only (older events). */
  after?: string;
  /** At most this many rows are read. */
  limit?: number;
}

/** Events, newest first. */
export async function* listEvents(
  jobs: TablePort,
  { after, limit }: EventPage = {},
): AsyncIterable<EventRecord> {
  const from = after === undefined ? {} : { from: `${after}~` };
  for await (const row of jobs.list(partition, { ...from, ...(limit === undefined ? {} : { limit }) }))
    yield eventRecord.parse(row.value);
}

export async function findEvent(jobs: TablePort, id: string): Promise<EventRecord | undefined> {
  const row = await jobs.find(partition, id);
  return row && eventRecord.parse(row.value);
}

/** Deletes at most `limit` events from before `before`. Returns how many. */
export async function deleteOldEvents(jobs: TablePort, before: Date, limit: number): Promise<number> {
  let deleted = 0;
  for await (const { key, etag } of jobs.list(partition, { from: firstIdAt(before), limit })) {
    await jobs.transact(partition, [{ kind: 'delete', key, etag }]);
    deleted++;
  }
  return deleted;
}
