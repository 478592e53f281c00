// Jobs in the table `jobs`, one partition, changed by compare-and-set.
import { LifeboatError, isLifeboatError } from '../errors.ts';
import type { TablePort } from '../storage/ports.ts';
import { jobRecord } from './job.ts';
import type { JobRecord } from './job.ts';

const partition = 'jobs';
const updateAttempts = 20;

export async function findJob(jobs: TablePort, id: string): Promise<JobRecord | undefined> {
  const row = await jobs.find(partition, id);
  return row && jobRecord.parse(row.value);
}

/** Stores a new job. Again with the same id: `PreconditionFailed`. */
export async function insertJob(jobs: TablePort, job: JobRecord): Promise<void> {
  await jobs.transact(partition, [{ kind: 'insert', key: job.id, value: job }]);
}

/** Applies a pure change, repeating while others change the job; returns the job after it. */
export async function updateJob(
  jobs: TablePort,
  id: string,
  change: (job: JobRecord) => JobRecord,
): Promise<JobRecord> {
  for (let attempt = 1; ; attempt++) {
    const row = await jobs.find(partition, id);
    if (!row) throw new LifeboatError('ResourceNotFound', `Job "${id}" does not exist.`, { target: id });
    const current = jobRecord.parse(row.value);
    const changed = change(current);
    if (changed === current) return current;
    try {
      await jobs.transact(partition, [{ kind: 'replace', key: id, value: changed, etag: row.etag }]);
      return changed;
    } catch (error) {
      if (!isLifeboatError(error, 'PreconditionFailed') || attempt >= updateAttempts) throw error;
    }
  }
}

/** All jobs, newest first. */
export async function listJobs(jobs: TablePort): Promise<JobRecord[]> {
  const all: JobRecord[] = [];
  for await (const row of jobs.list(partition)) all.push(jobRecord.parse(row.value));
  return all.sort((a, b) => b.createdAt.localeCompare(a.createdAt));
}
