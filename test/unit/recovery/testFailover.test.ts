// Test failovers and drills: what they make, that replication does not notice, and that nothing is left.
import { describe, expect, it } from 'vitest';
import { LifeboatError } from '../../../lib/errors.ts';
import { cancelJob, restartJob } from '../../../lib/protection/jobControl.ts';
import { allowedOperations } from '../../../lib/protection/allowed.ts';
import { scheduleDrills, startTestCleanup, startTestFailover } from '../../../lib/recovery/testFailover.ts';
import { codeOf } from '../../contract/outcomes.ts';
import { hourMs } from '../../support/manualClock.ts';
import { RecoveryLife, item } from '../../support/recoveryLife.ts';

const start = (life: RecoveryLife, request: object = {}) =>
  startTestFailover(life.context, life.orchestrations, { item, ...request });
const cleanup = (life: RecoveryLife, comments?: string) =>
  startTestCleanup(life.context, life.orchestrations, item, comments);

describe('a test failover', () => {
  it('makes a machine of the latest data beside the running replication, and is cleaned up without a trace', async () => {
    const life = await RecoveryLife.create();
    // Uploaded, but not merged yet: `latest` means this one.
    life.life.clock.advance(60_000);
    await life.life.source.cycle();
    const job = await life.finish(await start(life));
    expect(job).toMatchObject({
      state: 'Succeeded',
      scenario: 'TestFailover',
      result: { verdict: 'passed' },
    });
    expect(job.steps.map(({ state }) => state)).toEqual(Array(4).fill('Succeeded'));
    expect(await life.cycleOf(job.id)).toBe(3);
    expect([...life.compute.machines.values()].map(({ order }) => [order.purpose, order.name])).toEqual([
      ['test', 'web01'],
    ]);
    expect(await life.life.record()).toMatchObject({
      state: 'Protected',
      currentJob: null,
      testFailover: { jobId: job.id, state: 'completed' },
    });
    await life.cycle();
    expect(await life.life.verifiedCycles()).toEqual([0, 1, 2, 3, 4]);
    // What the test machine writes stays in the test.
    await life.storage.recovered.writePages(`${item}/${job.id}/os.vhd`, 0, new Uint8Array(512).fill(7));
    expect(await life.life.verifiedCycles()).toEqual([0, 1, 2, 3, 4]);
    expect(await life.report(job.id)).toMatchObject({
      verdict: 'passed',
      recoveryPoint: { cycle: 3 },
      disks: [{ disk: 'data' }, { disk: 'os' }],
    });
    const cleaned = await life.finish(await cleanup(life, 'it worked'));
    expect(cleaned).toMatchObject({ state: 'Succeeded', result: { comments: 'it worked' } });
    expect(await life.leftovers()).toEqual([]);
    expect((await life.life.record()).testFailover).toBeNull();
    expect((await life.life.points()).find(({ cycle }) => cycle === 3)?.drills).toMatchObject([
      { jobId: job.id, verdict: 'passed' },
    ]);
  });

  it('takes the point that was asked for, and says what there is when there is none', async () => {
    const life = await RecoveryLife.create(3);
    const [, first] = await life.life.points();
    const job = await life.finish(await start(life, { selector: { kind: 'point', id: first!.id } }));
    expect(await life.cycleOf(job.id)).toBe(1);
    await life.finish(await cleanup(life));
    const failed = await life.finish(
      await start(life, { selector: { kind: 'latestApplicationConsistent' } }),
    );
    expect(failed.errors).toMatchObject([
      {
        code: 'RecoveryPointMissing',
        message: expect.stringMatching(/application-consistent.*The newest is/) as string,
      },
    ]);
    expect(await life.leftovers()).toEqual([]);
    expect((await life.life.record()).testFailover).toBeNull();
  });

  it('is one at a time, and allowedOperations says so', async () => {
    const life = await RecoveryLife.create(1);
    expect(allowedOperations(await life.life.record()).slice(0, 4)).toEqual([
      'PlannedFailover',
      'UnplannedFailover',
      'DisableProtection',
      'TestFailover',
    ]);
    expect(await codeOf(cleanup(life))).toBe('OperationNotSupportedInState');
    const job = await start(life);
    expect(await codeOf(start(life))).toBe('ItemBusy');
    await life.finish(job);
    expect(await codeOf(start(life))).toBe('OperationNotSupportedInState');
    const operations = allowedOperations(await life.life.record());
    expect(operations).toContain('TestFailoverCleanup');
    expect(operations).not.toContain('TestFailover');
  });

  it('that cannot make its machine, or is cancelled, leaves nothing, and can be started again', async () => {
    const life = await RecoveryLife.create(1);
    life.compute.failures.push({
      method: 'createMachine',
      error: new LifeboatError('ComputeFailed', 'The quota is used up.'),
    });
    const failed = await life.finish(await start(life));
    expect(failed).toMatchObject({ state: 'Failed', errors: [{ code: 'ComputeFailed' }] });
    expect(await life.leftovers()).toEqual([]);
    const again = await restartJob(life.context, life.orchestrations, failed.id);
    life.life.clock.advance(1000);
    await cancelJob(life.context, life.orchestrations, again.id);
    expect(await life.finish(again)).toMatchObject({ state: 'Cancelled' });
    expect(await life.leftovers()).toEqual([]);
    expect(await life.life.record()).toMatchObject({
      state: 'Protected',
      currentJob: null,
      testFailover: null,
    });
    // A busy target is waited for.
    life.compute.failures.push({
      method: 'createMachine',
      error: new LifeboatError('ComputeUnavailable', 'busy'),
    });
    expect(await life.finish(await start(life))).toMatchObject({ state: 'Succeeded' });
  });

  it('is cleaned up by itself when its time is over', async () => {
    const life = await RecoveryLife.create(1);
    const job = await life.finish(await start(life, { expiresAfterHours: 2 }));
    life.life.clock.advance(hourMs);
    await life.settle();
    expect(life.compute.machines.has(job.id)).toBe(true);
    life.life.clock.advance(hourMs);
    for (let look = 0; look < 4; look++) {
      await life.settle();
      life.life.clock.advance(2000);
    }
    expect(await life.leftovers()).toEqual([]);
    expect((await life.life.jobs()).find(({ kind }) => kind === 'testFailoverCleanup')?.result).toEqual({
      comments: 'Its time was over.',
    });
  });

  it('whose machine never shows the marker says so, and keeps the machine for people to look at', async () => {
    const life = await RecoveryLife.create(1);
    life.compute.console = async () => 'kernel panic';
    const job = await life.finish(await start(life, { marker: 'web01 is up', bootLimitSeconds: 20 }));
    expect(job).toMatchObject({ state: 'Succeeded', result: { verdict: 'failed' } });
    expect(life.compute.machines.size).toBe(1);
    expect(await life.report(job.id)).toMatchObject({
      verdict: 'failed',
      boot: { consoleText: 'kernel panic' },
    });
    expect((await life.life.record()).lastGoodTestFailoverAt).toBeNull();
  });
});

describe('drills', () => {
  const drill = { everyDays: 7, marker: 'up', bootLimitSeconds: 30 };
  const drills = async (life: RecoveryLife) =>
    (await life.life.jobs()).filter(({ kind }) => kind === 'testFailover').reverse();

  it('run on their schedule, leave a report on the recovery point and nothing else', async () => {
    const life = await RecoveryLife.create(1);
    life.compute.console = async () => 'up';
    await scheduleDrills(life.context, item, drill);
    for (let day = 0; day < 15; day++) {
      await life.settle();
      for (let second = 0; second < 10; second++) {
        life.life.clock.advance(1000);
        await life.life.api.runner.run();
      }
      expect(await life.leftovers()).toEqual([]);
      life.life.clock.advance(24 * hourMs);
    }
    const jobs = await drills(life);
    expect(jobs.map(({ state }) => state)).toEqual(['Succeeded', 'Succeeded', 'Succeeded']);
    const point = (await life.life.points()).at(-1);
    expect(point!.drills.map(({ jobId, verdict }) => [jobId, verdict])).toEqual(
      jobs.map(({ id }) => [id, 'passed']),
    );
    expect(await life.report(jobs[0]!.id)).toMatchObject({ kind: 'drill', verdict: 'passed' });
    expect((await life.life.record()).lastGoodTestFailoverAt).not.toBeNull();
    await scheduleDrills(life.context, item, null);
    life.life.clock.advance(8 * 24 * hourMs);
    await life.settle();
    expect(await drills(life)).toHaveLength(3);
  });

  it('that fail are failed jobs, with the report kept and nothing else', async () => {
    const life = await RecoveryLife.create(1);
    await scheduleDrills(life.context, item, { ...drill, marker: 'never shown' });
    await life.settle();
    const [job] = await drills(life);
    expect(await life.finish(job!, 120)).toMatchObject({
      state: 'Failed',
      errors: [{ code: 'DrillFailed' }],
    });
    expect(await life.leftovers()).toEqual([]);
    expect(await life.report(job!.id)).toMatchObject({ kind: 'drill', verdict: 'failed' });
  });
});
