// The order of a plan and the bound on what is on its way, for plans that nobody would write.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planPhases, planVerbs } from '../../lib/jobs/planRun.ts';
import type { PlanRun, PlanStep } from '../../lib/jobs/planRun.ts';
import { timeoutSeconds } from '../../lib/plans/actions.ts';
import { memberProblems, planOperations, standingOf } from '../../lib/plans/members.ts';
import type { MemberView } from '../../lib/plans/members.ts';
import { namesOfGroups, planSteps, runsWith } from '../../lib/plans/order.ts';
import { pauseAfter } from '../../lib/plans/runAction.ts';
import { nextTurns } from '../../lib/plans/runMembers.ts';
import { runAgain } from '../../lib/plans/startPlan.ts';
import { hasTurn } from '../../lib/plans/turn.ts';
import { verbTable } from '../../lib/plans/verbs.ts';
import { allows } from '../../lib/protection/allowed.ts';
import { itemRecord } from '../../lib/protection/item.ts';
import { protectionStates } from '../../lib/protection/states.ts';
import type { PlanGroup } from '../../lib/vault/recoveryPlans.ts';

const verbs = fc.constantFrom(...planVerbs);
const words = ['TestFailover', 'PlannedFailover', 'UnplannedFailover', 'Commit', 'Failback', 'nonsense'];
const actions = fc.array(
  fc.record({
    actionName: fc.string({ minLength: 1, maxLength: 5 }),
    failoverTypes: fc.subarray(words, { minLength: 1 }),
    failoverDirections: fc.subarray(['PrimaryToRecovery', 'RecoveryToPrimary'] as const, { minLength: 1 }),
    customDetails: fc.constant({ instanceType: 'ManualActionDetails' as const }),
  }),
  { maxLength: 2 },
);

/** Plans with distinct items in their Boot groups. */
const plans = fc
  .tuple(
    fc.uniqueArray(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 30 }),
    fc.array(fc.nat({ max: 4 }), { minLength: 30, maxLength: 30 }),
    fc.array(fc.tuple(actions, actions), { minLength: 7, maxLength: 7 }),
  )
  .map(([ids, places, around]): PlanGroup[] => {
    const boot = Array.from({ length: 5 }, (_, group) => ids.filter((_id, at) => places[at] === group));
    return [[], [], ...boot].map((items, at) => ({
      groupType: (['Shutdown', 'Failover'] as const)[at] ?? ('Boot' as const),
      replicationProtectedItems: items.map((id) => ({ id: `/x/replicationProtectedItems/VM-${id}` })),
      startGroupActions: [...around[at]![0]],
      endGroupActions: [...around[at]![1]],
    }));
  });

const itemsIn = (group: PlanGroup): string[] =>
  (group.replicationProtectedItems ?? []).map(({ id }) => id.split('/').at(-1)!.toLowerCase());

const membersOf = (steps: readonly PlanStep[]) =>
  steps.flatMap((step) => (step.kind === 'members' ? [step] : []));

function runOf(groups: readonly PlanGroup[], steps: PlanStep[]): PlanRun {
  return {
    ...{ plan: 'p', verb: 'plannedFailover', continues: null, groups: [], steps },
    options: { recoveryPoint: 'latest', moment: null, networkId: null, asksSource: false, comments: '' },
    members: groups.flatMap(itemsIn).map((item) => ({
      ...{ item, name: item, armId: '', machineName: item, jobId: null, turn: null, standing: 'takesPart' },
    })),
  };
}

describe('the order of a plan', () => {
  it('has every item that takes part once in each phase, the phases one after another, and no empty step', () => {
    fc.assert(
      fc.property(plans, verbs, fc.integer({ min: 1, max: 5 }), (groups, verb, modulus) => {
        const takesPart = (item: string): boolean => Number(item.slice(3)) % modulus === 0;
        const steps = planSteps(groups, verb, takesPart);
        const wanted = groups.flatMap(itemsIn).filter(takesPart).sort();
        for (const phase of verbTable[verb].phases) {
          const found = membersOf(steps).filter((step) => step.phase === phase);
          expect(found.flatMap(({ items }) => items).sort()).toEqual(wanted);
          expect(found.every(({ items }) => items.length > 0)).toBe(true);
        }
        const order = membersOf(steps).map(({ phase }) => planPhases.indexOf(phase));
        expect(order).toEqual(order.toSorted((one, other) => one - other));
        const inGroups = steps.map(({ group }) => group);
        expect(inGroups).toEqual(inGroups.toSorted((one, other) => one - other));
      }),
    );
  });

  it('starts machines in the order of their groups and shuts the sources of a planned failover down in the reverse', () => {
    fc.assert(
      fc.property(plans, (groups) => {
        const steps = membersOf(planSteps(groups, 'plannedFailover', () => true));
        const of = (phase: string) => steps.filter((step) => step.phase === phase).map(({ items }) => items);
        expect(of('boot')).toEqual(groups.map(itemsIn).filter((items) => items.length > 0));
        expect(of('shutdown')).toEqual(of('boot').toReversed());
      }),
    );
  });

  it('has exactly the actions of the verb and its direction', () => {
    fc.assert(
      fc.property(plans, verbs, (groups, verb) => {
        const all = groups.flatMap((group) => [...group.startGroupActions!, ...group.endGroupActions!]);
        const { failoverTypes, direction } = verbTable[verb];
        const expected = all.filter(
          (each) =>
            each.failoverDirections.includes(direction) &&
            each.failoverTypes.some((word) => failoverTypes.includes(word)),
        );
        const steps = planSteps(groups, verb, () => true);
        const found = steps.flatMap((step) => (step.kind === 'action' ? [step.action] : []));
        expect(found).toEqual(expected);
        expect(all.filter((each) => runsWith(each, verb))).toEqual(expected);
        expect(namesOfGroups(groups).slice(0, 3)).toEqual(['Shutdown', 'Failover', 'Group 1']);
      }),
    );
  });
});

describe('turns', () => {
  it('come to everybody, never to more than the limit at once, and in any order of ends', () => {
    fc.assert(
      fc.property(
        plans,
        fc.integer({ min: 1, max: 12 }),
        fc.infiniteStream(fc.nat()),
        (groups, limit, picks) => {
          const steps = planSteps(groups, 'unplannedFailover', () => true);
          let run = runOf(groups, steps);
          let [step] = membersOf(steps);
          while (step && step.passed.length + step.failed.length < step.items.length) {
            const turns = nextTurns(run, step, limit);
            run = {
              ...run,
              members: run.members.map((each) =>
                turns.includes(each.item) ? { ...each, turn: step!.phase } : each,
              ),
            };
            const isOpen = (item: string): boolean =>
              !step!.passed.includes(item) && !step!.failed.includes(item);
            const active = step.items.filter((item) => isOpen(item) && hasTurn(run, item, step!.phase));
            expect(active.length).toBeGreaterThan(0);
            expect(active.length).toBeLessThanOrEqual(limit);
            const pick = (picks.next().value as number | undefined) ?? 0;
            const ended = active[pick % active.length]!;
            step =
              pick % 3 === 0
                ? { ...step, failed: [...step.failed, ended] }
                : { ...step, passed: [...step.passed, ended] };
          }
          expect(run.members.every(({ item }) => !hasTurn(run, item, 'boot'))).toBe(true);
        },
      ),
    );
  });

  it('a run that goes on keeps what is done, and gives those that failed a new job', () => {
    fc.assert(
      fc.property(plans, fc.nat(), fc.nat(), (groups, at, who) => {
        const steps = planSteps(groups, 'plannedFailover', () => true);
        const failedAt = at % steps.length;
        const ended = steps.map((step, index): PlanStep => {
          if (index > failedAt) return step;
          const state = index < failedAt ? 'Succeeded' : 'Failed';
          if (step.kind === 'action') return { ...step, state, attempts: 3 };
          const failed = index < failedAt ? [] : [step.items[who % step.items.length]!];
          const passed = step.items.filter((item) => !failed.includes(item));
          return { ...step, state, passed, failed };
        });
        const before = runOf(groups, ended);
        const run = { ...before, members: before.members.map((each) => ({ ...each, jobId: 'j' })) };
        const next = runAgain('job-1', run);
        expect(next.continues).toBe('job-1');
        expect(next.steps.slice(0, failedAt)).toEqual(ended.slice(0, failedAt));
        for (const step of next.steps.slice(failedAt))
          expect(step).toMatchObject({ state: 'NotStarted', errors: [] });
        const failed = membersOf(ended).flatMap((step) => step.failed);
        for (const { item, jobId } of next.members) expect(jobId).toBe(failed.includes(item) ? null : 'j');
        const [again, was] = [next.steps[failedAt]!, ended[failedAt]!];
        if (again.kind === 'members' && was.kind === 'members') expect(again.passed).toEqual(was.passed);
      }),
    );
  });
});

const views = fc
  .array(
    fc.record({ state: fc.constantFrom(...protectionStates), isBusy: fc.boolean(), isTested: fc.boolean() }),
    { minLength: 1, maxLength: 5 },
  )
  .map((all) =>
    all.map(({ state, isBusy, isTested }, index): MemberView => ({
      item: `vm-${index}`,
      job: undefined,
      record: itemRecord.parse({
        ...{ item: `vm-${index}`, name: `vm-${index}`, fabric: 'f', container: 'c', machine: `m-${index}` },
        ...{ machineName: `name-${index}`, policy: 'p', providerInput: {}, state, disks: [] },
        ...{ currentJob: isBusy ? 'job' : null, createdAt: '2026-01-01T00:00:00Z', consistentFromCycle: 1 },
        ...{ appliedCycle: 1, applying: null, healthErrors: [] },
        testFailover: isTested
          ? {
              ...{ jobId: 'j', startedBy: 'user', pointId: 'p', state: 'completed' },
              ...{ startedAt: '2026-01-01T00:00:00Z', expiresAt: '2026-02-01T00:00:00Z' },
            }
          : null,
      }),
    })),
  );

describe('what a plan allows', () => {
  it('is allowed exactly when nobody is in the way and somebody has something to do, which each item allows itself', () => {
    fc.assert(
      fc.property(views, verbs, (members, verb) => {
        const standings = members.map((view) => standingOf('p', verb, view).kind);
        const isAllowed = planOperations('p', members).includes(verbTable[verb].operation);
        expect(isAllowed).toBe(!standings.includes('blocked') && standings.includes('ready'));
        expect(isAllowed).toBe(memberProblems('p', verb, members).length === 0);
        for (const [index, { record }] of members.entries())
          expect(standings[index] === 'ready').toBe(allows(record!, verbTable[verb].operation));
      }),
      { numRuns: 300 },
    );
  });

  it('names every member that is in the way', () => {
    fc.assert(
      fc.property(views, verbs, (members, verb) => {
        const problems = memberProblems('p', verb, members).join('\n');
        for (const view of members)
          if (standingOf('p', verb, view).kind === 'blocked')
            expect(problems).toContain(view.record!.machineName);
      }),
    );
  });
});

it('reads the three ways of writing a time, and nothing else', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 86_399 }), (seconds) => {
      const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
      const two = (part: number): string => String(part).padStart(2, '0');
      for (const text of [
        String(seconds),
        `PT${h}H${m}M${s}S`,
        `PT${seconds}S`,
        `${two(h)}:${two(m)}:${two(s)}`,
      ])
        expect(timeoutSeconds(text)).toBe(seconds);
    }),
  );
  for (const bad of ['', '0', 'PT', 'P1D', '86401', '5 minutes', '-5', '1e3', 'PT5'])
    expect(timeoutSeconds(bad)).toBeUndefined();
  expect([1, 2, 3, 9].map(pauseAfter)).toEqual([2, 4, 8, 60]);
});
