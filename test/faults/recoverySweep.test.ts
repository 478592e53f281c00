// Dies at every named fault point that failovers pass, one after another, starts again and expects the same end: the right bytes,
// every job over, no orphan disk, machine, row or pin.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { startChangePoint, startCommit } from '../../lib/recovery/afterFailover.ts';
import {
  failbackWork,
  reportFailbackApplied,
  startFailback,
  startReverse,
} from '../../lib/recovery/failback.ts';
import { reportSourceStopped, startFailover } from '../../lib/recovery/failover.ts';
import { sweepOrphans } from '../../lib/recovery/sweep.ts';
import { startTestCleanup, startTestFailover } from '../../lib/recovery/testFailover.ts';
import { replicaName } from '../../lib/replication/names.ts';
import type { JobRecord } from '../../lib/jobs/job.ts';
import { patternBytes } from '../contract/outcomes.ts';
import { deathAt, repeatAfterDeath } from '../support/deaths.ts';
import { RecoveryLife, item } from '../support/recoveryLife.ts';

class MortalLife {
  readonly life: RecoveryLife;
  readonly passed: string[];

  private constructor(life: RecoveryLife, passed: string[]) {
    this.life = life;
    this.passed = passed;
  }

  static async create(n: number): Promise<MortalLife> {
    const life = await RecoveryLife.create(2);
    const { fault, passed } = deathAt(n);
    life.life.fault = fault;
    return new MortalLife(life, passed);
  }

  /** Asks for a job unless it runs already: its caller looks before it repeats. */
  async ask(kind: string, request: () => Promise<JobRecord>): Promise<void> {
    await repeatAfterDeath(async () => {
      const { currentJob } = await this.life.life.record();
      const running = (await this.life.life.jobs()).find((job) => job.kind === kind && job.id === currentJob);
      if (!running) await request();
    });
  }

  /** Lives on, with the app's timers, until no job runs; `during` is what the source does meanwhile. */
  async rest(during: () => Promise<unknown> = async () => undefined): Promise<void> {
    for (let second = 0; second < 240; second++) {
      this.life.life.clock.advance(second % 60 === 59 ? 60_000 : 1000);
      await repeatAfterDeath(() =>
        second % 10 === 9 ? this.life.settle() : this.life.life.api.runner.run(),
      );
      await repeatAfterDeath(during);
      if ((await this.life.life.record()).currentJob === null) break;
    }
    expect((await this.life.life.record()).currentJob).toBeNull();
    await repeatAfterDeath(() => this.life.settle());
  }
}

const overStates = (jobs: readonly JobRecord[]): string[] =>
  [...new Set(jobs.map(({ state }) => state))].sort();

async function testAndCleanup(n: number): Promise<MortalLife> {
  const mortal = await MortalLife.create(n);
  const { life } = mortal;
  const { context, orchestrations } = life;
  await mortal.ask('testFailover', () => startTestFailover(context, orchestrations, { item }));
  await mortal.rest();
  const { testFailover } = await life.life.record();
  expect(testFailover?.state).toBe('completed');
  expect(await life.cycleOf(testFailover!.jobId)).toBe(2);
  expect(life.compute.machines.size).toBe(1);
  await mortal.ask('testFailoverCleanup', () => startTestCleanup(context, orchestrations, item));
  await mortal.rest();
  return mortal;
}

async function circle(n: number): Promise<MortalLife> {
  const mortal = await MortalLife.create(n);
  const { life } = mortal;
  const { context, orchestrations } = life;
  await mortal.ask('plannedFailover', () =>
    startFailover(context, orchestrations, { item, kind: 'planned' }),
  );
  await mortal.rest(async () => {
    const { failover, state } = await life.life.record();
    if (state !== 'PlannedFailoverInitiated' || failover?.source !== 'asked') return;
    const { nextCycle } = await life.life.source.assignment();
    const finalCycle = nextCycle === 3 ? await life.life.source.cycle() : 3;
    await reportSourceStopped(context, orchestrations, item, finalCycle);
  });
  expect(await life.life.record()).toMatchObject({
    state: 'PlannedFailoverCompleted',
    failover: { dataLossSeconds: 0 },
  });
  const points = await life.life.points();
  await mortal.ask('changeRecoveryPoint', () =>
    startChangePoint(context, orchestrations, item, points[1]!.id),
  );
  await mortal.rest();
  const { failover } = await life.life.record();
  expect(failover?.point?.cycle).toBe(1);
  expect([...life.compute.machines.keys()]).toEqual([failover!.jobId]);
  await mortal.ask('commitFailover', () => startCommit(context, orchestrations, item));
  await mortal.rest();
  expect((await life.life.points()).map(({ cycle }) => cycle)).toEqual([1]);
  await life.storage.recovered.writePages(`${item}/${failover!.jobId}/os.vhd`, 0, patternBytes(1024, 9));
  const expected = await life.recoveredDigest(failover!.jobId, 'os');
  await mortal.ask('failback', () => startFailback(context, orchestrations, { item }));
  await mortal.rest(async () => {
    const work = await failbackWork(context, await life.life.record());
    for (const { disk, sizeBytes, snapshotId, isApplied } of work?.disks ?? []) {
      if (isApplied) continue;
      const range = { offsetBytes: 0, lengthBytes: sizeBytes };
      life.life.source.disks.set(
        disk,
        await life.storage.replicas.read(replicaName(item, disk), range, snapshotId),
      );
      await reportFailbackApplied(context, orchestrations, item, { disk, cycle: work!.cycle });
    }
  });
  expect(life.sourceDigest('os')).toBe(expected);
  await mortal.ask('reverseReplication', () => startReverse(context, orchestrations, item));
  await mortal.rest();
  life.life.source.continueFrom(await life.life.source.assignment());
  await repeatAfterDeath(() => life.cycle());
  // A drain that died is on the ladder of retries, as after any failure.
  for (let minute = 0; minute < 3; minute++) {
    life.life.clock.advance(60_000);
    await repeatAfterDeath(() => life.settle());
  }
  for (const disk of life.life.source.disks.keys())
    expect(await life.replicaDigest(disk)).toBe(life.sourceDigest(disk));
  return mortal;
}

async function expectClean({ life }: MortalLife, where: string): Promise<void> {
  // A job whose start was lost is found by the reconciliation timer.
  life.life.clock.advance(2 * 60_000);
  await life.settle();
  expect(await life.leftovers(), where).toEqual([]);
  const record = await life.life.record();
  expect(record, where).toMatchObject({
    state: 'Protected',
    currentJob: null,
    testFailover: null,
    failover: null,
  });
  expect(
    overStates(await life.life.jobs()).filter((state) => state !== 'Cancelled'),
    where,
  ).toEqual(['Succeeded']);
  expect(await sweepOrphans(life.context), where).toEqual([]);
}

describe('death at a fault point of a failover', () => {
  it('in a test failover or its clean-up: the same end, wherever it comes', async () => {
    const clean = await testAndCleanup(0);
    await expectClean(clean, 'without a death');
    for (let n = 1; n <= clean.passed.length; n++) {
      await nextTurn();
      const life = await testAndCleanup(n);
      await expectClean(life, `after dying at ${life.passed[n - 1] ?? ''} (${n})`);
    }
  });

  it('on the way there and back: the same end, at the first and the last time that each point is passed', async () => {
    const clean = await circle(0);
    await expectClean(clean, 'without a death');
    // Draining has sweeps of its own.
    const own = [...clean.passed.entries()].filter(([, name]) => !/^(drain|apply|supersede)\./.test(name));
    const names = own.map(([, name]) => name);
    expect(names).toEqual(
      expect.arrayContaining(['failover.afterReport', 'failback.afterStop', 'failback.afterLog']),
    );
    const chosen = own.filter(([, name], at) => names.indexOf(name) === at || names.lastIndexOf(name) === at);
    for (const [index] of chosen) {
      await nextTurn();
      const life = await circle(index + 1);
      await expectClean(life, `after dying at ${life.passed[index] ?? ''} (${index + 1})`);
    }
  });

  it('removes what a failed test left when its job is known, and never what may be in production', async () => {
    const life = await RecoveryLife.create(1);
    const failover = await life.finish(
      await startFailover(life.context, life.orchestrations, { item, kind: 'unplanned' }),
    );
    const before = await life.leftovers();
    expect(await sweepOrphans(life.context)).toEqual([]);
    // A blob of a job that nobody knows stays; a late write of a dead test goes.
    await life.storage.recovered.create(`${item}/unknown-job/os.vhd`, 512);
    const test = await RecoveryLife.create(1);
    const job = await test.finish(await startTestFailover(test.context, test.orchestrations, { item }));
    await test.finish(await startTestCleanup(test.context, test.orchestrations, item));
    await test.storage.recovered.create(`${item}/${job.id}/os.vhd`, 512);
    expect(await sweepOrphans(test.context)).toEqual([{ item, jobId: job.id }]);
    expect(await test.leftovers()).toEqual([]);
    expect(await sweepOrphans(life.context)).toEqual([]);
    expect(await life.leftovers()).toEqual(
      expect.arrayContaining([...before, `blob ${item}/unknown-job/os.vhd`]),
    );
    expect(life.compute.machines.has(failover.id)).toBe(true);
  });
});
