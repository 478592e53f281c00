// Registers every activity under its name.
import type { InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import type { ItemJob, PlanJob } from '../../lib/protection/orchestrations.ts';
import { activityNames } from '../../orchestrators/activities.ts';
import { activityUntil } from '../limits.ts';
import { orchestrationClient, replicationContext } from '../services.ts';
import { runActivity } from './run.ts';

for (const name of activityNames) {
  df.app.activity(name, {
    extraInputs: [df.input.durableClient()],
    handler: async (input: ItemJob | PlanJob, invocation: InvocationContext) =>
      runActivity(await replicationContext(invocation), name, input, {
        stopAt: activityUntil(),
        orchestrations: orchestrationClient(invocation),
      }),
  });
}
