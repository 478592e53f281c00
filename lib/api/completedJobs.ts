// Requests that are done when they are answered still leave a job, so that every client can poll them the same way.
import { completedJob, newJob } from '../jobs/job.ts';
import type { JobKindName, JobRecord } from '../jobs/job.ts';
import { timeOrderedId } from '../jobs/jobId.ts';
import { insertJob } from '../jobs/jobStore.ts';
import { accepted } from './arm.ts';
import type { ApiContext, ApiResponse, RoutedRequest } from './http.ts';

interface Done {
  kind: JobKindName;
  /** ARM id of the resource: also where the result of the operation is read. */
  targetId: string;
  targetName: string;
}

async function recordCompletedJob(
  { replication }: ApiContext,
  { kind, targetId, targetName }: Done,
): Promise<JobRecord> {
  const now = replication.clock.now();
  const at = now.toISOString();
  const id = timeOrderedId(now, replication.newId());
  const job = completedJob(newJob({ id, kind, targetId, targetName, createdAt: at }), at);
  await insertJob(replication.storage.jobs, job);
  return job;
}

/** 202 for something that is done already. */
export async function done(context: ApiContext, request: RoutedRequest, about: Done): Promise<ApiResponse> {
  const job = await recordCompletedJob(context, about);
  return accepted(context, { job, resource: about.targetId, apiVersion: request.apiVersion });
}
