// What is looked at when it is due, of all kinds: one tick reads the agenda of each and looks at those items, and at no others.
import { runDue } from '../../lib/agenda/agenda.ts';
import { lookAtRetry } from '../../lib/protection/failures.ts';
import type { AgendaKind, ItemRecord } from '../../lib/protection/item.ts';
import { lookAtHealth } from '../../lib/protection/looks.ts';
import type { OrchestrationClient } from '../../lib/protection/orchestrations.ts';
import { lookAtResync } from '../../lib/protection/resyncRequest.ts';
import { lookAtRetention } from '../../lib/protection/retention.ts';
import { lookAtScrub } from '../../lib/protection/scrub.ts';
import { lookAtReadiness } from '../../lib/recovery/readinessCheck.ts';
import { lookAtDrill } from '../../lib/recovery/testFailover.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';

/** What a tick works with. */
export interface Tick {
  context: ReplicationContext;
  orchestrations: OrchestrationClient;
  resyncsAtOnce: number;
  /** What is not looked at by then stays due: the next tick goes on. */
  stopAt: Date;
}

/** Looks at one item; says when to look again. See lib/agenda. */
type Look = (tick: Tick, record: ItemRecord) => Promise<string | null>;

const looks: Record<AgendaKind, Look> = {
  // Tries again what failed, at the times of the ladder.
  retry: ({ context, stopAt }, record) => lookAtRetry(context, record, { stopAt }),
  // RPO, statistics, copy progress and health that change by the passing of time.
  health: ({ context, orchestrations }, record) => lookAtHealth(context, orchestrations, record),
  // Begins, and wakes, resynchronizations inside their windows.
  resync: ({ context, orchestrations, resyncsAtOnce }, record) =>
    lookAtResync(context, orchestrations, record, resyncsAtOnce),
  // Prunes recovery points that no tier of the policy wants any more, and what pruning that was cut left behind.
  retention: ({ context }, record) => lookAtRetention(context, record),
  // Compares recovery points with their sources where the policy wants it every so many days.
  scrub: ({ context, orchestrations }, record) => lookAtScrub(context, orchestrations, record),
  // Begins drills that are due, and cleans up test failovers whose time is over.
  drill: ({ context, orchestrations }, record) => lookAtDrill(context, orchestrations, record),
  // Finds settings that would make a failover fail, while there is time to mend them.
  readiness: ({ context }, record) => lookAtReadiness(context, record),
};

/** Kinds whose looks are short. Trying again may merge for minutes, and goes with the reconciliation. */
export const shortKinds = ['health', 'resync', 'retention', 'scrub', 'drill', 'readiness'] as const;

/**
 * Looks at everything of these kinds that is due, the kinds side by side: none waits for another. May run late, twice, or in two
 * instances at once. Returns how many items were looked at; throws the first kind's error when the others are done.
 */
export async function lookAtDue(tick: Tick, kinds: readonly AgendaKind[]): Promise<number> {
  const { context, stopAt } = tick;
  const runs = kinds.map((kind) => runDue(context, kind, (record) => looks[kind](tick, record), { stopAt }));
  const counts = await Promise.allSettled(runs);
  const failed = counts.find((each) => each.status === 'rejected');
  if (failed) throw failed.reason;
  return counts.reduce((sum, each) => sum + (each.status === 'fulfilled' ? each.value : 0), 0);
}
