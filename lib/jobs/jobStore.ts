// Jobs in the table `jobs`, one partition, changed by compare-and-set.
import type { TablePort } from '../storage/ports.ts';
import { updateRow } from '../storage/updateRow.ts';
import { jobRecord } from './job.ts';
import type { JobRecord } from './job.ts';

const partition = 'jobs';

export async function findJob(jobs: TablePort, id: string): Promise<JobRecord | undefined> {
  const row = await jobs.find(partition, id);
  return row && jobRecord.parse(row.value);
}

/** Stores a new job. Again with the same id: `PreconditionFailed`. */
export async function insertJob(jobs: TablePort, job: JobRecord): Promise<void> {
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

/** All jobs, newest first. */
export async function listJobs(jobs: TablePort): Promise<JobRecord[]> {
  const all: JobRecord[] = [];
  for await (const row of jobs.list(partition)) all.push(jobRecord.parse(row.value));
  return all.sort((a, b) => b.createdAt.localeCompare(a.createdAt));
}
