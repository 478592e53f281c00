// A plan's job looks at its members after pauses; what ends a phase of one wakes it earlier. An event that is lost costs a pause.
import { changedEvent } from '../protection/orchestrations.ts';
import type { OrchestrationClient } from '../protection/orchestrations.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { findPlan } from './planStore.ts';

/** Wakes the job that runs the plan, if one does. Never throws. */
export async function wakePlan(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  name: string,
): Promise<void> {
  try {
    const plan = await findPlan(context, name);
    if (plan?.currentJob) await orchestrations.raiseEvent(plan.currentJob, changedEvent);
  } catch (error) {
    context.log(`plan ${name} was not woken: ${error instanceof Error ? error.message : String(error)}`);
  }
}
