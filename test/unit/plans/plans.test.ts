// Recovery plans on the whole service in memory: which bytes, machines and states they leave, in which order, and what stays of
// one that failed.
import { beforeEach, describe, expect, it } from 'vitest';
import { allowedActions } from '../../../lib/jobs/job.ts';
import { cancelJob, restartJob, resumeJob } from '../../../lib/protection/jobControl.ts';
import { LifeboatError } from '../../../lib/errors.ts';
import { PlanLife, action, planName, planPath } from '../../support/planLife.ts';
import type { Group } from '../../support/planLife.ts';

const fixed: Group[] = [{ groupType: 'Shutdown' }, { groupType: 'Failover' }];
const twoGroups: Group[] = [
  ...fixed,
  { groupType: 'Boot', machines: ['db-1', 'db-2'] },
  { groupType: 'Boot', machines: ['web-1'] },
];
const manual = (name: string, ...types: string[]) =>
  action(name, { instanceType: 'ManualActionDetails', description: `Look at ${name}.` }, ...types);
const webhook = (name: string, url: string, ...types: string[]) =>
  action(
    name,
    { instanceType: 'ScriptActionDetails', path: url, timeout: 'PT60S', fabricLocation: 'Recovery' },
    ...types,
  );

/** Ids of the machines that run, in the order in which they came. */
const machinesOf = (life: PlanLife): string[] =>
  [...life.compute.machines.values()].map(({ order }) => order.item);
const states = async (life: PlanLife): Promise<string[]> =>
  Promise.all([...life.sources.keys()].map(async (id) => (await life.record(id)).state));

describe('a recovery plan', () => {
  let life: PlanLife;
  beforeEach(async () => {
    life = await PlanLife.create(twoGroups);
  });

  it('tests the failover of all machines in their order, and cleans up', async () => {
    expect((await life.planProperties())['allowedOperations']).toEqual([
      'TestFailover',
      'PlannedFailover',
      'UnplannedFailover',
    ]);
    const job = await life.act('testFailover');
    expect(machinesOf(life).slice(0, 2).sort()).toEqual(['db-1', 'db-2']);
    expect(machinesOf(life)[2]).toBe('web-1');
    for (const each of await life.jobsOf('testFailover')) {
      expect(each).toMatchObject({ parentId: job.id, state: 'Succeeded' });
      const { recovered, source } = await life.digests(each.item!, each.id);
      expect(recovered).toBe(source);
    }
    expect((await life.planProperties())['allowedOperations']).toContain('TestFailoverCleanup');
    expect((await life.plan()).lastTestFailoverAt).not.toBeNull();
    await life.act('testFailoverCleanup', { comments: 'as expected' });
    expect(await life.leftovers()).toEqual([]);
    expect(await states(life)).toEqual(['Protected', 'Protected', 'Protected']);
  });

  it('goes the full circle: planned failover without loss, commit, failback, reprotect', async () => {
    await life.act('plannedFailover');
    for (const each of await life.jobsOf('plannedFailover')) {
      expect((await life.record(each.item!)).failover).toMatchObject({ dataLossSeconds: 0 });
      const { recovered, source } = await life.digests(each.item!, each.id);
      expect(recovered).toBe(source);
    }
    expect((await life.planProperties())['allowedOperations']).toEqual(['Commit', 'CancelFailover']);
    await life.act('failoverCommit');
    expect(await states(life)).toEqual(Array(3).fill('CommitFailoverCompleted'));
    for (const each of await life.jobsOf('plannedFailover')) {
      const name = `${each.item!}/${each.id}/os.vhd`;
      await life.storage.recovered.writePages(name, 512, new Uint8Array(512).fill(7));
    }
    await life.act('failback');
    for (const [id, source] of life.sources) {
      expect((await life.record(id)).state).toBe('FailbackCompleted');
      expect(source.disks.get('os')![512]).toBe(7);
    }
    await life.act('reProtect');
    expect(await states(life)).toEqual(['Protected', 'Protected', 'Protected']);
    expect(await life.leftovers()).toEqual([]);
    for (const source of life.sources.values()) source.continueFrom(await source.assignment());
    await life.cycles();
    // Two before, the changes of the machine, the empty cycle that ends them, and this one.
    for (const id of life.sources.keys()) expect((await life.record(id)).appliedCycle).toBe(5);
  });

  it('shuts the last group down first, and copies nothing before all are off', async () => {
    for (const id of life.sources.keys()) life.deaf.add(id);
    const job = await life.start('plannedFailover');
    for (let second = 0; second < 60; second++) await life.second();
    expect(await states(life)).toEqual(['Protected', 'Protected', 'PlannedFailoverInitiated']);
    life.deaf.delete('web-1');
    life.deaf.delete('db-1');
    for (let second = 0; second < 200; second++) await life.second();
    expect(await life.leftovers()).toEqual([]);
    expect(await states(life)).toEqual(Array(3).fill('PlannedFailoverInitiated'));
    life.deaf.clear();
    expect((await life.finish(job)).state).toBe('Succeeded');
    expect(machinesOf(life)[2]).toBe('web-1');
  });

  it('undoes a failover', async () => {
    await life.act('unplannedFailover', { recoveryPoint: 'latestProcessed' });
    expect(machinesOf(life)).toHaveLength(3);
    await life.act('failoverCancel');
    expect(await states(life)).toEqual(['Protected', 'Protected', 'Protected']);
    expect(await life.leftovers()).toEqual([]);
  });

  it('is run by one job at a time, and not changed meanwhile', async () => {
    const job = await life.start('testFailover');
    expect((await life.planProperties())['currentScenario']).toMatchObject({ scenarioName: 'TestFailover' });
    await expect(life.start('testFailover')).rejects.toMatchObject({ code: 'PlanBusy' });
    for (const [method, body] of [['DELETE'], ['PATCH', { properties: {} }]] as const)
      expect((await life.api.call(method, planPath, body)).status).toBe(409);
    await life.finish(job);
    await life.act('testFailoverCleanup');
    expect((await life.api.call('DELETE', planPath)).status).toBe(202);
  });

  it('names everything that keeps it from beginning', async () => {
    await life.putPlan([
      { groupType: 'Shutdown', startGroupActions: [webhook('old', 'C:\\stop.ps1', 'TestFailover')] },
      { groupType: 'Failover', endGroupActions: [webhook('far', 'https://forbidden/', 'TestFailover')] },
      { groupType: 'Boot', machines: ['db-1', 'web-1'] },
    ]);
    await life.call('POST', `${life.itemPath('db-1')}/repairReplication`);
    const error = await life.start('testFailover').catch((thrown: unknown) => thrown as LifeboatError);
    expect(error).toMatchObject({ code: 'PlanNotReady' });
    for (const text of ['"old"', '"far"', 'Resynchronize', 'db-1-name'])
      expect((error as LifeboatError).message).toContain(text);
    const readiness = (await life.call('GET', `/lifeboat/v1/plans/${planName}/readiness`)) as {
      operations: { operation: string; problems: string[] }[];
    };
    expect(readiness.operations.find(({ operation }) => operation === 'TestFailover')?.problems).toHaveLength(
      3,
    );
    expect((await life.jobsOf('planTestFailover')).length).toBe(0);
  });

  it('that is cancelled stops its machines, and leaves nothing of them', async () => {
    life.deaf.add('db-2');
    const job = await life.start('plannedFailover');
    await life.until('web-1 and db-1 are off', async () => (await life.record('db-1')).failover !== null);
    await cancelJob(life.context, life.orchestrations, job.id);
    expect((await life.finish(job)).state).toBe('Cancelled');
    expect(await states(life)).toEqual(['Protected', 'Protected', 'Protected']);
    expect(await life.leftovers()).toEqual([]);
    expect((await life.plan()).currentJob).toBeNull();
  });
});

describe('a recovery plan that fails', () => {
  const failing = async (): Promise<PlanLife> => {
    const life = await PlanLife.create(twoGroups);
    life.compute.failures.push({
      method: 'createMachine',
      error: new LifeboatError('ComputeFailed', 'no quota'),
    });
    return life;
  };

  it('lets the group come to its end, and goes on at the failed step when it is restarted', async () => {
    const life = await failing();
    const failed = await life.finish(await life.start('unplannedFailover'));
    expect(failed).toMatchObject({ state: 'Failed', errors: [{ code: 'PlanMemberFailed' }] });
    expect(failed.errors[0]!.message).toContain('no quota');
    expect(failed.steps.map(({ state }) => state)).toEqual([
      ...['Succeeded', 'Succeeded', 'Succeeded', 'Failed', 'NotStarted'],
    ]);
    // One of the first group runs, the other was undone, and the second group waits with its disks made.
    expect(machinesOf(life)).toHaveLength(1);
    const held = (await life.jobsOf('unplannedFailover')).find(({ item }) => item === 'web-1')!;
    expect(held.state).toBe('InProgress');
    for (let second = 0; second < 300; second++) await life.second();
    expect(machinesOf(life)).toHaveLength(1);
    const before = await life.jobsOf('unplannedFailover');
    await expect(life.start('failoverCommit')).rejects.toMatchObject({ code: 'PlanNotReady' });
    expect((await life.api.call('DELETE', planPath)).status).toBe(409);
    const again = await life.finish(await restartJob(life.context, life.orchestrations, failed.id));
    expect(again.errors).toEqual([]);
    expect(again.state).toBe('Succeeded');
    expect(await states(life)).toEqual(Array(3).fill('UnplannedFailoverCompleted'));
    // One new job: of the machine whose job had failed.
    expect(await life.jobsOf('unplannedFailover')).toHaveLength(before.length + 1);
    expect((await life.job(held.id)).state).toBe('Succeeded');
    expect(machinesOf(life).at(-1)).toBe('web-1');
    await expect(restartJob(life.context, life.orchestrations, failed.id)).rejects.toThrow(/has run/);
  });

  it('can be undone as a whole: also what waits in it', async () => {
    const life = await failing();
    await life.finish(await life.start('unplannedFailover'));
    expect((await life.planProperties())['allowedOperations']).toContain('CancelFailover');
    await life.act('failoverCancel');
    expect(await states(life)).toEqual(['Protected', 'Protected', 'Protected']);
    expect(await life.leftovers()).toEqual([]);
  });
});

describe('an action', () => {
  const withActions = (startGroupActions: object[]): Promise<PlanLife> =>
    PlanLife.create([
      ...fixed,
      { groupType: 'Boot', machines: ['db-1'] },
      { groupType: 'Boot', machines: ['web-1'], startGroupActions },
    ]);

  it('of a person is waited for, answered with comments, and runs with its verb alone', async () => {
    const life = await withActions([
      manual('the database', 'TestFailover'),
      manual('not now', 'UnplannedFailover'),
    ]);
    const job = await life.start('testFailover');
    await life.until('the job waits', async () => (await life.job(job.id)).state === 'Suspended');
    expect(machinesOf(life)).toEqual(['db-1']);
    expect(allowedActions(await life.job(job.id))).toEqual(['Cancel', 'Resume']);
    const shown = await life.call(
      'GET',
      `${planPath.replace(/\/replicationRecoveryPlans.*/, '')}/replicationJobs/${job.id}`,
    );
    expect(JSON.stringify(shown)).toContain('"instructions":"Look at the database."');
    await resumeJob(life.context, life.orchestrations, job.id, 'it answers');
    const done = await life.finish(job);
    expect(done.state).toBe('Succeeded');
    expect(done.run?.steps.filter(({ kind }) => kind === 'action')).toMatchObject([
      { observation: 'it answers', state: 'Succeeded' },
    ]);
    expect(machinesOf(life)).toEqual(['db-1', 'web-1']);
  });

  it('of a person whose answer lost its event goes on by itself', async () => {
    const life = await withActions([manual('the database', 'TestFailover')]);
    const job = await life.start('testFailover');
    await life.until('the job waits', async () => (await life.job(job.id)).state === 'Suspended');
    life.api.runner.losesEvents = true;
    await resumeJob(life.context, life.orchestrations, job.id);
    life.api.runner.losesEvents = false;
    await life.settle();
    expect((await life.finish(job)).state).toBe('Succeeded');
  });

  it('that calls is signed, tried again, and decides', async () => {
    const life = await withActions([webhook('switch DNS', 'https://hooks.example/dns', 'TestFailover')]);
    let calls = 0;
    life.outbound.answer = () =>
      ++calls < 3
        ? { kind: 'answered', status: 503, text: '' }
        : { kind: 'answered', status: 200, text: 'done' };
    const job = await life.act('testFailover');
    expect(life.outbound.calls).toHaveLength(3);
    expect(new Set(life.outbound.calls.map(({ headers }) => headers['x-lifeboat-delivery'])).size).toBe(1);
    expect(JSON.parse(life.outbound.calls[0]!.body!)).toMatchObject({
      ...{ recoveryPlanName: planName, failoverType: 'TestFailover', groupName: 'Group 2' },
      ...{ actionName: 'switch DNS', jobId: job.id, machines: [{ name: 'db-1' }, { name: 'web-1' }] },
    });
    expect(job.run?.steps.find(({ kind }) => kind === 'action')).toMatchObject({
      observation: 'HTTP 200 done',
    });
  });

  it('that is refused fails the plan; a restart tries it again and makes no machine twice', async () => {
    const life = await withActions([webhook('switch DNS', 'https://hooks.example/dns', 'UnplannedFailover')]);
    life.outbound.answer = () => ({ kind: 'answered', status: 403, text: 'not you' });
    const failed = await life.finish(await life.start('unplannedFailover'));
    expect(failed).toMatchObject({ state: 'Failed', errors: [{ code: 'PlanActionFailed' }] });
    expect(failed.errors[0]!.message).toContain('HTTP 403 not you');
    life.outbound.answer = () => ({ kind: 'answered', status: 204, text: '' });
    const again = await life.finish(await restartJob(life.context, life.orchestrations, failed.id));
    expect(again.state).toBe('Succeeded');
    expect(await life.jobsOf('unplannedFailover')).toHaveLength(2);
    expect(life.outbound.calls).toHaveLength(2);
  });

  it('that probes waits until it sees what it wants, or gives up', async () => {
    const probe = action(
      'is it up?',
      { instanceType: 'LifeboatProbeActionDetails', url: 'tcp://10.0.0.4:443', deadlineSeconds: 60 },
      'TestFailover',
    );
    const pause = action(
      'settle',
      { instanceType: 'LifeboatDelayActionDetails', seconds: 90 },
      'TestFailover',
    );
    const life = await withActions([pause, probe]);
    life.outbound.answer = () => ({ kind: 'unreachable', reason: 'ECONNREFUSED' });
    const began = life.clock.now().getTime();
    const failed = await life.finish(await life.start('testFailover'));
    expect(failed.errors[0]!.message).toMatch(/is it up\?.*in 60 s.*ECONNREFUSED/);
    expect(life.clock.now().getTime() - began).toBeGreaterThanOrEqual(140_000);
    life.outbound.answer = () => ({ kind: 'connected' });
    const again = await life.finish(await restartJob(life.context, life.orchestrations, failed.id));
    expect(again.state).toBe('Succeeded');
  });
});
