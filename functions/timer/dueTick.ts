// A timer that looks at the items that are due, and at no others. It may run late, twice, or in two instances at once.
import { app } from '@azure/functions';
import type { InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import { runDue } from '../../lib/agenda/agenda.ts';
import type { AgendaKind, ItemRecord } from '../../lib/protection/item.ts';
import type { OrchestrationClient } from '../../lib/protection/orchestrations.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import { orchestrationClient, replicationContext } from '../services.ts';

/** What a tick works with. */
export interface Tick {
  context: ReplicationContext;
  orchestrations: OrchestrationClient;
}

/** Looks at one item; says when to look again. See lib/agenda. */
export type Look = (tick: Tick, record: ItemRecord) => Promise<string | null>;

export function registerDueTick(name: string, schedule: string, kind: AgendaKind, look: Look): void {
  app.timer(name, {
    schedule,
    extraInputs: [df.input.durableClient()],
    handler: async (_timer: unknown, invocation: InvocationContext) => {
      const context = await replicationContext(invocation);
      const tick: Tick = { context, orchestrations: orchestrationClient(invocation) };
      const looked = await runDue(context, kind, (record) => look(tick, record));
      if (looked > 0) invocation.log(`${name}: looked at ${looked} items`);
    },
  });
}
