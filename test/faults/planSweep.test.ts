// Dies at every named fault point that a recovery plan itself passes, starts again and expects the same end: every machine there
// once, every job over, nothing left. What its members' jobs pass has a sweep of its own (recoverySweep.test.ts).
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { isOver } from '../../lib/jobs/job.ts';
import type { PlanVerb } from '../../lib/jobs/planRun.ts';
import { listJobs } from '../../lib/jobs/jobStore.ts';
import { cancelJob, resumeJob } from '../../lib/protection/jobControl.ts';
import { sweepOrphans } from '../../lib/recovery/sweep.ts';
import { SimulatedDeath, repeatAfterDeath } from '../support/deaths.ts';
import { PlanLife, action } from '../support/planLife.ts';
import type { Group } from '../support/planLife.ts';

const ownPoints = /^(plan\.|job\.|cancel\.|resume\.)/;

const groups: Group[] = [
  { groupType: 'Shutdown' },
  { groupType: 'Failover' },
  { groupType: 'Boot', machines: ['db-1'] },
  {
    groupType: 'Boot',
    machines: ['web-1'],
    startGroupActions: [
      action('look', { instanceType: 'ManualActionDetails' }, 'UnplannedFailover'),
      action(
        'call',
        { instanceType: 'ScriptActionDetails', path: 'https://hooks.example/', fabricLocation: 'Recovery' },
        'UnplannedFailover',
      ),
    ],
  },
];

class MortalPlan {
  readonly life: PlanLife;
  readonly passed: string[] = [];
  deathAt = 0;

  private constructor(life: PlanLife) {
    this.life = life;
  }

  static async create(deathAt: number): Promise<MortalPlan> {
    const mortal = new MortalPlan(await PlanLife.create(groups));
    mortal.deathAt = deathAt;
    mortal.life.fault = (name) => {
      if (!ownPoints.test(name)) return;
      mortal.passed.push(name);
      if (mortal.passed.length === mortal.deathAt) throw new SimulatedDeath(name);
    };
    return mortal;
  }

  /** Asks for the verb unless it runs already, or has run: its caller looks before it repeats. */
  async run(
    verb: PlanVerb,
    kind: string,
    during: () => Promise<unknown> = async () => undefined,
  ): Promise<void> {
    const before = (await this.life.jobsOf(kind)).length;
    await repeatAfterDeath(async () => {
      const jobs = await this.life.jobsOf(kind);
      if (jobs.length > before && (await this.life.plan()).lastJob === jobs.at(-1)!.id) return;
      await this.life.start(verb);
    });
    for (let second = 0; second < 300; second++) {
      await repeatAfterDeath(() => this.life.second());
      if (second % 10 === 9) await repeatAfterDeath(() => this.life.settle());
      await repeatAfterDeath(during);
      if ((await this.life.plan()).currentJob === null) break;
    }
    expect((await this.life.plan()).currentJob).toBeNull();
    await repeatAfterDeath(() => this.life.settle());
  }

  /** The last job of the plan. */
  async last() {
    return this.life.job((await this.life.plan()).lastJob!);
  }

  async expectAtRest(where: string): Promise<void> {
    this.life.clock.advance(2 * 60_000);
    await this.life.settle();
    for await (const job of listJobs(this.life.storage.jobs)) expect(isOver(job), where).toBe(true);
    expect(await sweepOrphans(this.life.context), where).toEqual([]);
  }
}

async function thereAndBack(deathAt: number): Promise<MortalPlan> {
  const mortal = await MortalPlan.create(deathAt);
  const { life } = mortal;
  await mortal.run('unplannedFailover', 'planUnplannedFailover', async () => {
    const job = await mortal.last();
    if (job.state === 'Suspended') await resumeJob(life.context, life.orchestrations, job.id, 'seen');
  });
  expect(await mortal.last()).toMatchObject({ state: 'Succeeded', errors: [] });
  expect([...life.compute.machines.values()].map(({ order }) => order.item)).toEqual(['db-1', 'web-1']);
  const members = await life.jobsOf('unplannedFailover');
  expect(members.filter(({ state }) => state === 'Succeeded')).toHaveLength(2);
  expect(new Set(life.outbound.calls.map(({ headers }) => headers['x-lifeboat-delivery'])).size).toBe(1);
  await mortal.run('failoverCancel', 'planCancel');
  expect(await mortal.last()).toMatchObject({ state: 'Succeeded' });
  expect(await life.leftovers()).toEqual([]);
  return mortal;
}

async function cancelled(deathAt: number): Promise<MortalPlan> {
  const mortal = await MortalPlan.create(deathAt);
  const { life } = mortal;
  await mortal.run('unplannedFailover', 'planUnplannedFailover', async () => {
    const job = await mortal.last();
    if (job.state === 'Suspended' && job.cancelRequestedAt === null)
      await cancelJob(life.context, life.orchestrations, job.id);
  });
  expect((await mortal.last()).state).toBe('Cancelled');
  // The first group runs; the second waited for its turn, and was undone.
  expect([...life.compute.machines.values()].map(({ order }) => order.item)).toEqual(['db-1']);
  expect((await life.record('web-1')).state).toBe('Protected');
  await mortal.run('failoverCancel', 'planCancel');
  expect(await life.leftovers()).toEqual([]);
  return mortal;
}

describe('death at a fault point of a recovery plan', () => {
  it.each([
    ['there and back', thereAndBack],
    ['and one that is cancelled', cancelled],
  ])('%s: the same end, wherever it comes', async (_name, course) => {
    const clean = await course(0);
    await clean.expectAtRest('without a death');
    const { passed } = clean;
    expect(new Set(passed)).toEqual(
      new Set([...passed, 'plan.afterInsert', 'plan.afterClaim', 'plan.afterTurn', 'plan.afterMember']),
    );
    // The first and the last time that each point is passed.
    const chosen = [...passed.entries()].filter(
      ([at, name]) => passed.indexOf(name) === at || passed.lastIndexOf(name) === at,
    );
    for (const [index, name] of chosen) {
      await nextTurn();
      const mortal = await course(index + 1);
      expect(mortal.passed[index]).toBe(name);
      await mortal.expectAtRest(`after dying at ${name} (${index + 1})`);
    }
  });
});
