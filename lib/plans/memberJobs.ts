// The job of one member, begun as its own verb begins it.
import type { JobRecord } from '../jobs/job.ts';
import type { PlanOptions, PlanVerb } from '../jobs/planRun.ts';
import type { OrchestrationClient } from '../protection/orchestrations.ts';
import type { PointSelector } from '../recovery/choosePoint.ts';
import { startCancel, startCommit } from '../recovery/afterFailover.ts';
import { startFailback, startReverse } from '../recovery/failback.ts';
import { startFailover } from '../recovery/failover.ts';
import { startTestCleanup, startTestFailover } from '../recovery/testFailover.ts';
import type { ReplicationContext } from '../replication/context.ts';

export interface MemberRequest {
  item: string;
  verb: PlanVerb;
  options: PlanOptions;
}

function selectorOf({ recoveryPoint, moment }: PlanOptions): PointSelector {
  if (recoveryPoint !== 'latestMultiVm') return { kind: recoveryPoint };
  if (moment !== null) return { kind: 'moment', moment };
  throw new Error('Invariant broken: a plan over one moment has chosen it');
}

/** Throws what the verb of the item throws. `context.onBehalfOf` names the plan. */
export function beginMemberJob(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  { item, verb, options }: MemberRequest,
): Promise<JobRecord> {
  const { networkId, asksSource, comments } = options;
  const selector = selectorOf(options);
  switch (verb) {
    case 'testFailover':
      return startTestFailover(context, orchestrations, { item, selector, networkId });
    case 'testFailoverCleanup':
      return startTestCleanup(context, orchestrations, item, comments);
    case 'plannedFailover':
      return startFailover(context, orchestrations, { item, kind: 'planned' });
    case 'unplannedFailover':
      return startFailover(context, orchestrations, { item, kind: 'unplanned', selector, asksSource });
    case 'failback':
      return startFailback(context, orchestrations, { item });
    case 'failoverCommit':
      return startCommit(context, orchestrations, item);
    case 'failoverCancel':
      return startCancel(context, orchestrations, item);
    case 'reProtect':
      return startReverse(context, orchestrations, item);
  }
}
