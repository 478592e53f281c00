// Requests that are done when they are answered still leave a job, so that every client can poll them the same way.
import { completedJob, newJob } from '../jobs/job.ts';
import type { JobKind, JobRecord } from '../jobs/job.ts';
import { insertJob } from '../jobs/jobStore.ts';
import type { ApiContext } from './http.ts';

export async function recordCompletedJob(
  { replication }: ApiContext,
  about: { kind: JobKind; targetId: string; targetName: string },
): Promise<JobRecord> {
  const now = replication.clock.now().toISOString();
  const job = completedJob(newJob({ id: replication.newId(), ...about, createdAt: now }), now);
  await insertJob(replication.storage.jobs, job);
  return job;
}
