// Jobs whose start or event was lost between two durable steps: the rows say what should have happened, so say it again.
import { findJob } from '../jobs/jobStore.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { listItems } from './itemStore.ts';
import { enableProtectionName, initialReplicationCompletedEvent } from './orchestrations.ts';
import type { ItemJob, OrchestrationClient } from './orchestrations.ts';

/** A job that has not started this long after its rows were written has lost its start. */
const lostStartMs = 30_000;

/** May be called at any time: starting a running orchestration or raising an event twice changes nothing. */
export async function reconcileJobs(
  { storage, clock, log }: ReplicationContext,
  orchestrations: OrchestrationClient,
): Promise<void> {
  for await (const record of listItems(storage)) {
    if (record.currentJob === null) continue;
    const job = await findJob(storage.jobs, record.currentJob);
    if (!job) continue;
    if (job.state === 'NotStarted' && clock.now().getTime() - Date.parse(job.createdAt) > lostStartMs) {
      log(`job ${job.id} on ${record.item} had not started; starting it again`);
      const input: ItemJob = { item: record.item, jobId: job.id };
      await orchestrations.start(enableProtectionName, job.id, input);
    }
    const waits = job.steps.some(
      ({ taskId, state }) => taskId === 'StartInitialReplicationTask' && state === 'InProgress',
    );
    if (waits && record.state === 'InitialReplicationCompletedOnPrimary') {
      await orchestrations.raiseEvent(job.id, initialReplicationCompletedEvent);
    }
  }
}
