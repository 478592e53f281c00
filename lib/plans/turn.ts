// A member's failover in a plan stops twice: before its disks are made and before it starts. It goes on when the plan gives it the
// turn. The turn is in the row of the plan's last job, so a failed plan holds its machines where they are until it is
// restarted, or its failover is cancelled.
import { LifeboatError } from '../errors.ts';
import { findJob } from '../jobs/jobStore.ts';
import { planPhases } from '../jobs/planRun.ts';
import type { PlanPhase, PlanRun } from '../jobs/planRun.ts';
import type { ItemJob } from '../protection/orchestrations.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { findPlan } from './planStore.ts';
import { verbTable } from './verbs.ts';

export type TurnJob = ItemJob & { plan: string; phase: PlanPhase };

const pauseSeconds = 5;

/** True when the member may enter the phase. Pure. */
export function hasTurn(run: PlanRun, item: string, phase: PlanPhase): boolean {
  const turn = run.members.find((member) => member.item === item)?.turn ?? null;
  return turn !== null && planPhases.indexOf(turn) >= planPhases.indexOf(phase);
}

/**
 * Again and again: whether the member may go on. Throws `PlanNotReady` when nobody is left who could say so, which undoes the
 * member's failover.
 */
export async function awaitPlanTurn(
  context: ReplicationContext,
  { item, jobId, plan: name, phase }: TurnJob,
): Promise<{ isDone: boolean; retryAfterSeconds: number }> {
  const plan = await findPlan(context, name);
  const [own, last] = await Promise.all([
    findJob(context.storage.jobs, jobId),
    plan?.lastJob ? findJob(context.storage.jobs, plan.lastJob) : undefined,
  ]);
  if (!last?.run) {
    const message = `Recovery plan "${name}" is gone, or nothing runs it any more: nobody starts this failover's next part.`;
    throw new LifeboatError('PlanNotReady', message, { target: name });
  }
  // A job that undoes failovers gives no turn to one.
  const isSame = verbTable[last.run.verb].memberJob === own?.kind;
  return { isDone: isSame && hasTurn(last.run, item, phase), retryAfterSeconds: pauseSeconds };
}
