// The job's own steps: the checks, then one for each group of the plan. What happens inside of a group is in the run (planRun.ts)
// and shown as the group's child tasks.
import { kindOf } from '../jobs/kinds.ts';
import type { JobKindName, JobStep } from '../jobs/job.ts';
import type { PlanRun } from '../jobs/planRun.ts';

export const preflightTask = 'RecoveryPlanPreflightChecksTask';

export const groupTask = (group: number): string => `RecoveryPlanGroup${group}Task`;

/** The steps of a job over these groups. */
export function stepsOfPlan(
  kind: JobKindName,
  groups: PlanRun['groups'],
): Pick<JobStep, 'taskId' | 'name' | 'friendlyName'>[] {
  return [
    ...kindOf(kind).steps,
    ...groups.map(({ name, groupType }, index) => ({
      taskId: groupTask(index),
      name: `RecoveryPlan${groupType}Group`,
      friendlyName: groupType === 'Boot' ? name : `All groups: ${name}`,
    })),
  ];
}
