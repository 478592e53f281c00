// The timer that looks at items that are due. One for all kinds: Flex Consumption runs every timer on instances of its own, and
// bills a second of each at least (docs/cost.md).
import { app } from '@azure/functions';
import type { InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import { tickUntil } from '../limits.ts';
import { orchestrationClient, replicationContext, services } from '../services.ts';
import { lookAtDue, shortKinds } from './looks.ts';

async function tick(_timer: unknown, invocation: InvocationContext): Promise<void> {
  const { settings } = await services();
  const due = {
    context: await replicationContext(invocation),
    orchestrations: orchestrationClient(invocation),
    resyncsAtOnce: settings.LIFEBOAT_RESYNCS_AT_ONCE,
    stopAt: tickUntil(),
  };
  const looked = await lookAtDue(due, shortKinds);
  if (looked > 0) invocation.log(`looked at ${looked} items`);
}

app.timer('tick', {
  schedule: '%LIFEBOAT_TICK_SCHEDULE%',
  extraInputs: [df.input.durableClient()],
  handler: tick,
});
