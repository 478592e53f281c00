// Finds work whose trigger, start or event was lost, and tries again what failed and is due.
import { app } from '@azure/functions';
import type { InvocationContext, Timer } from '@azure/functions';
import * as df from 'durable-functions';
import { reconcileJobs, wakeJobOf } from '../../lib/protection/reconcileJobs.ts';
import { reconcileDeltas } from '../../lib/replication/reconcile.ts';
import { telemetryOf } from '../../lib/replication/context.ts';
import { secondsSince } from '../../lib/telemetry/telemetry.ts';
import { drainUntil } from '../limits.ts';
import { orchestrationClient, replicationContext, services } from '../services.ts';
import { lookAtDue } from './looks.ts';

async function reconcile(_timer: Timer, invocation: InvocationContext): Promise<void> {
  const context = await replicationContext(invocation);
  const startMs = performance.now();
  const orchestrations = orchestrationClient(invocation);
  const resyncsAtOnce = (await services()).settings.LIFEBOAT_RESYNCS_AT_ONCE;
  const stopAt = drainUntil();
  await reconcileJobs(context, orchestrations);
  await lookAtDue({ context, orchestrations, resyncsAtOnce, stopAt }, ['retry']);
  for (const item of await reconcileDeltas(context, { stopAt }))
    await wakeJobOf(context, orchestrations, item);
  telemetryOf(context).record('lifeboat.reconcile.duration', secondsSince(startMs), {});
}

app.timer('reconcile', {
  schedule: '%LIFEBOAT_RECONCILE_SCHEDULE%',
  extraInputs: [df.input.durableClient()],
  handler: reconcile,
});
