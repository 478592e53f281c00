// Removes what failovers left behind when their process died at the one wrong moment.
import { app } from '@azure/functions';
import type { InvocationContext } from '@azure/functions';
import { sweepOrphans } from '../../lib/recovery/sweep.ts';
import { replicationContext } from '../services.ts';

async function sweep(_timer: unknown, invocation: InvocationContext): Promise<void> {
  const removed = await sweepOrphans(await replicationContext(invocation));
  for (const { item, jobId } of removed) invocation.log(`removed what job ${jobId} left of item ${item}`);
}

app.timer('recoverySweep', { schedule: '0 23 * * * *', handler: sweep });
