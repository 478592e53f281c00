// Forgets what is older than anybody asks for: jobs, events, and the histories of orchestrations that are over.
import { app } from '@azure/functions';
import type { InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import { purgeRecords } from '../../lib/jobs/purge.ts';
import { replicationContext, services } from '../services.ts';

const dayMs = 24 * 3_600_000;
/** Histories go sooner than jobs: a job's own record says what people ask for. */
const historyDays = 7;

const over = [
  df.OrchestrationRuntimeStatus.Completed,
  df.OrchestrationRuntimeStatus.Failed,
  df.OrchestrationRuntimeStatus.Terminated,
];

async function purge(_timer: unknown, invocation: InvocationContext): Promise<void> {
  const { settings } = await services();
  const { storage, clock } = await replicationContext(invocation);
  const now = clock.now().getTime();
  const before = new Date(now - settings.LIFEBOAT_JOB_RETENTION_DAYS * dayMs);
  const { jobs, events } = await purgeRecords(storage.jobs, before);
  const histories = await df.getClient(invocation).purgeInstanceHistoryBy({
    createdTimeFrom: new Date(0),
    createdTimeTo: new Date(now - historyDays * dayMs),
    runtimeStatus: over,
  });
  invocation.log(`forgot ${jobs} jobs, ${events} events, ${histories.instancesDeleted} histories`);
}

app.timer('purge', { schedule: '0 7 * * * *', extraInputs: [df.input.durableClient()], handler: purge });
