// Finds work whose trigger, start or event was lost.
import { app } from '@azure/functions';
import type { InvocationContext, Timer } from '@azure/functions';
import * as df from 'durable-functions';
import { reconcileJobs } from '../../lib/protection/reconcileJobs.ts';
import { reconcileDeltas } from '../../lib/replication/reconcile.ts';
import { telemetryOf } from '../../lib/replication/context.ts';
import { secondsSince } from '../../lib/telemetry/telemetry.ts';
import { drainUntil } from '../limits.ts';
import { orchestrationClient, replicationContext } from '../services.ts';

async function reconcile(_timer: Timer, invocation: InvocationContext): Promise<void> {
  const context = await replicationContext(invocation);
  const startMs = performance.now();
  await reconcileJobs(context, orchestrationClient(invocation));
  await reconcileDeltas(context, { stopAt: drainUntil() });
  telemetryOf(context).record('lifeboat.reconcile.duration', secondsSince(startMs), {});
}

app.timer('reconcile', {
  schedule: '%LIFEBOAT_RECONCILE_SCHEDULE%',
  extraInputs: [df.input.durableClient()],
  handler: reconcile,
});
