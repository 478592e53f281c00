// Requests that are done when they are answered still leave a job, so that every client can poll them the same way.
import { completedJob, newJob } from '../jobs/job.ts';
import type { JobKindName, JobRecord } from '../jobs/job.ts';
import { timeOrderedId } from '../jobs/jobId.ts';
import { insertJob } from '../jobs/jobStore.ts';
import type { ApiContext } from './http.ts';

export async function recordCompletedJob(
  { replication }: ApiContext,
  about: { kind: JobKindName; targetId: string; targetName: string },
): Promise<JobRecord> {
  const now = replication.clock.now();
  const at = now.toISOString();
  const job = completedJob(
    newJob({ id: timeOrderedId(now, replication.newId()), ...about, createdAt: at }),
    at,
  );
  await insertJob(replication.storage.jobs, job);
  return job;
}
