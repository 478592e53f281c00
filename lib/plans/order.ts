// The order of a plan, decided before anything begins: Shutdown → Failover → Boot groups, each with its actions around it.
//
// A failover goes through three phases. In the Shutdown group the sources shut down and send what is left: in a planned failover
// the last Boot group first, so that what depends on others goes before them; in an unplanned one all at once, for each source
// that is gone costs ten minutes. In the Failover group the disks of all machines are made, and in its Boot group a machine
// starts. What follows a failover (clean-up, commit, cancel, failback, reprotect) is done for all machines at once, in the
// Failover group.
import type { ActionStep, MemberStep, PlanPhase, PlanStep, PlanVerb } from '../jobs/planRun.ts';
import type { PlanAction, PlanGroup } from '../vault/recoveryPlans.ts';
import { itemsOf } from './members.ts';
import { verbTable } from './verbs.ts';

const notStarted = { state: 'NotStarted', startTime: null, endTime: null, errors: [] } as const;

const memberStep = (group: number, phase: PlanPhase, items: readonly string[]): MemberStep[] =>
  items.length === 0
    ? []
    : [
        {
          ...{ ...notStarted, errors: [], group, kind: 'members', phase },
          ...{ items: [...items], passed: [], failed: [] },
        },
      ];

const actionStep = (group: number, action: PlanAction): ActionStep => ({
  ...{ ...notStarted, errors: [], group, kind: 'action', action },
  ...{ attempts: 0, resumedAt: null, observation: null },
});

/** True when the action is to run with the verb. */
export function runsWith({ failoverTypes, failoverDirections }: PlanAction, verb: PlanVerb): boolean {
  const row = verbTable[verb];
  const words = failoverTypes.map((word) => word.toLowerCase());
  return (
    failoverDirections.includes(row.direction) &&
    row.failoverTypes.some((word) => words.includes(word.toLowerCase()))
  );
}

/**
 * The steps of a verb. `takesPart` says which items have something to do. Every item of a Boot group stands in one step of each
 * phase, and no step is empty.
 */
export function planSteps(
  groups: readonly PlanGroup[],
  verb: PlanVerb,
  takesPart: (item: string) => boolean,
): PlanStep[] {
  const { phases } = verbTable[verb];
  const items = itemsOf(groups).map((each) => each.filter(takesPart));
  const all = items.flat();
  const membersOf = (index: number, { groupType }: PlanGroup): MemberStep[] => {
    const has = (phase: PlanPhase): boolean => phases.includes(phase);
    if (groupType === 'Shutdown' && has('shutdown')) {
      const stages = verb === 'plannedFailover' ? items.toReversed() : [all];
      return stages.flatMap((stage) => memberStep(index, 'shutdown', stage));
    }
    if (groupType === 'Failover') return memberStep(index, has('whole') ? 'whole' : 'failover', all);
    return groupType === 'Boot' && has('boot') ? memberStep(index, 'boot', items[index] ?? []) : [];
  };
  return groups.flatMap((group, index) => [
    ...actionsOf(index, group.startGroupActions, verb),
    ...membersOf(index, group),
    ...actionsOf(index, group.endGroupActions, verb),
  ]);
}

const actionsOf = (
  index: number,
  actions: readonly PlanAction[] | null | undefined,
  verb: PlanVerb,
): ActionStep[] =>
  (actions ?? []).filter((action) => runsWith(action, verb)).map((action) => actionStep(index, action));

/** What people call the groups; the Boot groups are counted from 1. */
export function namesOfGroups(groups: readonly Pick<PlanGroup, 'groupType'>[]): string[] {
  let boot = 0;
  return groups.map(({ groupType }) => (groupType === 'Boot' ? `Group ${++boot}` : groupType));
}
