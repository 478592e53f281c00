// Samples the gauges of all items for the export, so that an item that nobody looks after is seen too.
import { app } from '@azure/functions';
import type { InvocationContext } from '@azure/functions';
import { sampleFleet } from '../../lib/telemetry/fleet.ts';
import { replicationContext } from '../services.ts';

async function fleetTick(_timer: unknown, invocation: InvocationContext): Promise<void> {
  await sampleFleet(await replicationContext(invocation));
}

app.timer('fleetTick', { schedule: '15 */5 * * * *', handler: fleetTick });
