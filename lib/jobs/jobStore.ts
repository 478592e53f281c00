// Jobs in the table `jobs`: partition `jobs` (key = id, newest first, see jobId.ts) and partition `running`, which names the
// jobs that are not over, so that whoever looks after running jobs reads no others.
import type { TablePort } from '../storage/ports.ts';
import { updateRow } from '../storage/updateRow.ts';
import { firstIdAt } from './jobId.ts';
import { isOver, jobRecord } from './job.ts';
import type { JobRecord } from './job.ts';

const partition = 'jobs';
const runningPartition = 'running';

export async function findJob(jobs: TablePort, id: string): Promise<JobRecord | undefined> {
  const row = await jobs.find(partition, id);
  return row && jobRecord.parse(row.value);
}

/** Makes sure that whoever looks after running jobs sees the job. May be repeated. */
export async function markRunning(jobs: TablePort, id: string): Promise<void> {
  await jobs.transact(runningPartition, [{ kind: 'put', key: id, value: {} }]);
}

/** Stores a new job. Again with the same id: `PreconditionFailed`. */
export async function insertJob(jobs: TablePort, job: JobRecord): Promise<void> {
  // First the entry: one without a job is dropped by its reader, a job without entry would be forgotten.
  if (!isOver(job)) await markRunning(jobs, job.id);
  await jobs.transact(partition, [{ kind: 'insert', key: job.id, value: job }]);
}

/** Applies a pure change; see `updateRow`. Returns the job after it. */
export function updateJob(
  jobs: TablePort,
  id: string,
  change: (job: JobRecord) => JobRecord,
): Promise<JobRecord> {
  return updateRow({ table: jobs, partition, key: id, schema: jobRecord, what: `Job "${id}"` }, change);
}

export interface JobPage {
  /** Ids after this one only (older jobs). */
  after?: string;
  /** At most this many rows are read. */
  limit?: number;
}

/** Jobs, newest first. */
export async function* listJobs(jobs: TablePort, { after, limit }: JobPage = {}): AsyncIterable<JobRecord> {
  // A key directly behind `after`.
  const from = after === undefined ? {} : { from: `${after}~` };
  for await (const row of jobs.list(partition, { ...from, ...(limit === undefined ? {} : { limit }) })) {
    yield jobRecord.parse(row.value);
  }
}

/** The jobs that are not over. Entries whose job is over or was never stored are forgotten, the latter when they are old. */
export async function* listRunningJobs(jobs: TablePort, forgetBefore: Date): AsyncIterable<JobRecord> {
  for await (const { key, etag } of jobs.list(runningPartition)) {
    const job = await findJob(jobs, key);
    if (job && !isOver(job)) yield job;
    else if (job || key > firstIdAt(forgetBefore))
      await jobs.transact(runningPartition, [{ kind: 'delete', key, etag }]);
  }
}

/** Deletes the jobs that were created before `before` and are over, at most `limit` of them. Returns how many. */
export async function deleteOldJobs(jobs: TablePort, before: Date, limit: number): Promise<number> {
  let deleted = 0;
  for await (const { key, etag, value } of jobs.list(partition, { from: firstIdAt(before), limit })) {
    if (!isOver(jobRecord.parse(value))) continue;
    await jobs.transact(partition, [{ kind: 'delete', key, etag }]);
    deleted++;
  }
  return deleted;
}
