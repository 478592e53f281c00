// Forgetting old jobs and events, so that their tables stay as long as the time that they are kept for.
import { deleteOldEvents } from '../events/events.ts';
import type { TablePort } from '../storage/ports.ts';
import { deleteOldJobs } from './jobStore.ts';

/** Rows of one kind that one run deletes; the rest goes with the next. */
const rowsPerRun = 5000;

/** Deletes jobs that are over and events, both from before `before`. May run twice at once. */
export async function purgeRecords(jobs: TablePort, before: Date): Promise<{ jobs: number; events: number }> {
  return {
    jobs: await deleteOldJobs(jobs, before, rowsPerRun),
    events: await deleteOldEvents(jobs, before, rowsPerRun),
  };
}
