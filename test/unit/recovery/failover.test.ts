// Failovers in earnest, what may follow them, and the way back: on bytes, rows and states.
import { describe, expect, it } from 'vitest';
import { LifeboatError } from '../../../lib/errors.ts';
import type { JobRecord } from '../../../lib/jobs/job.ts';
import { findJob } from '../../../lib/jobs/jobStore.ts';
import { allowedOperations } from '../../../lib/protection/allowed.ts';
import { cancelJob } from '../../../lib/protection/jobControl.ts';
import { wakeJobOf } from '../../../lib/protection/reconcileJobs.ts';
import { startCancel, startChangePoint, startCommit } from '../../../lib/recovery/afterFailover.ts';
import {
  failbackWork,
  reportFailbackApplied,
  startFailback,
  startReverse,
} from '../../../lib/recovery/failback.ts';
import { reportSourceStopped, startFailover } from '../../../lib/recovery/failover.ts';
import { replicaName } from '../../../lib/replication/names.ts';
import { reconcileDeltas } from '../../../lib/replication/reconcile.ts';
import { codeOf, patternBytes } from '../../contract/outcomes.ts';
import { minuteMs } from '../../support/manualClock.ts';
import { RecoveryLife, item } from '../../support/recoveryLife.ts';

const start = (life: RecoveryLife, kind: 'planned' | 'unplanned', more: object = {}) =>
  startFailover(life.context, life.orchestrations, { item, kind, ...more });
const stateOf = async (life: RecoveryLife) => (await life.life.record()).state;

/** The source shuts down: sends its last changes and says so. */
async function shutDown(life: RecoveryLife): Promise<number> {
  const { phase } = await life.life.source.assignment();
  expect(phase).toBe('shuttingDown');
  const finalCycle = await life.life.source.cycle();
  await reportSourceStopped(life.context, life.orchestrations, item, finalCycle);
  return finalCycle;
}

async function plannedFailover(life: RecoveryLife): Promise<JobRecord> {
  const job = await start(life, 'planned');
  await shutDown(life);
  const done = await life.finish(job);
  expect(done.errors).toEqual([]);
  return done;
}

async function follow(life: RecoveryLife, asked: Promise<JobRecord>): Promise<JobRecord> {
  const done = await life.finish(await asked);
  expect(done).toMatchObject({ state: 'Succeeded', errors: [] });
  return done;
}

const commit = (life: RecoveryLife) => follow(life, startCommit(life.context, life.orchestrations, item));
const cancel = (life: RecoveryLife) => follow(life, startCancel(life.context, life.orchestrations, item));

/** The machine writes: near the start, at the end, zeros, and a whole block. */
async function machineWrites(life: RecoveryLife, jobId: string): Promise<void> {
  for (const [disk, bytes] of life.life.source.disks) {
    const name = `${item}/${jobId}/${disk}.vhd`;
    await life.storage.recovered.writePages(name, 512, patternBytes(1024, 41));
    await life.storage.recovered.writePages(name, bytes.length - 512, patternBytes(512, 42));
    await life.storage.recovered.clearPages(name, { offsetBytes: 4096, lengthBytes: 4096 });
  }
}

/** What the source does when its machine comes home: reads the recovery point, writes its disks, proves it, says so. */
async function applyAtSource(life: RecoveryLife): Promise<void> {
  const work = await failbackWork(life.context, await life.life.record());
  for (const { disk, sizeBytes, snapshotId } of work!.disks) {
    const range = { offsetBytes: 0, lengthBytes: sizeBytes };
    life.life.source.disks.set(
      disk,
      await life.storage.replicas.read(replicaName(item, disk), range, snapshotId),
    );
    for (let time = 0; time < 2; time++)
      await reportFailbackApplied(life.context, life.orchestrations, item, { disk, cycle: work!.cycle });
  }
}

describe('a planned failover', () => {
  it('loses nothing: the machine has the last bytes of the source', async () => {
    const life = await RecoveryLife.create();
    const job = await start(life, 'planned');
    for (let seconds = 0; seconds < 120; seconds += 30) {
      life.life.clock.advance(30_000);
      await life.life.api.runner.run();
    }
    // It waits for the source, however long that takes.
    expect(await stateOf(life)).toBe('PlannedFailoverInitiated');
    expect(life.compute.machines.size).toBe(0);
    const finalCycle = await shutDown(life);
    const done = await life.finish(job);
    expect(done).toMatchObject({ state: 'Succeeded', result: { dataLossSeconds: 0, cycle: finalCycle } });
    expect(await life.cycleOf(job.id)).toBe(finalCycle);
    for (const disk of life.life.source.disks.keys())
      expect(await life.recoveredDigest(job.id, disk)).toBe(life.sourceDigest(disk));
    expect(await life.life.record()).toMatchObject({
      state: 'PlannedFailoverCompleted',
      failover: { kind: 'planned', source: 'stopped', dataLossSeconds: 0, point: { cycle: finalCycle } },
    });
    expect(allowedOperations(await life.life.record())).toEqual([
      'DisableProtection',
      'Commit',
      'ChangePit',
      'CancelFailover',
    ]);
    expect((await life.life.source.assignment()).phase).toBe('failedOver');
    expect(await life.report(job.id)).toMatchObject({ kind: 'plannedFailover', verdict: 'prepared' });
  });

  it('goes on when the last cycle is applied, and not at its next look', async () => {
    const life = await RecoveryLife.create();
    const job = await start(life, 'planned');
    await life.life.api.runner.run();
    const finalCycle = (await life.life.record()).appliedCycle + 1;
    await reportSourceStopped(life.context, life.orchestrations, item, finalCycle);
    const stateOfShutdown = async () => {
      await life.life.api.runner.run();
      const { steps = [] } = (await findJob(life.storage.jobs, job.id)) ?? {};
      return steps.find(({ taskId }) => taskId === 'ShutdownVmOnPrimary')?.state;
    };
    expect(await life.life.source.cycle()).toBe(finalCycle);
    for (const state of ['InProgress', 'Succeeded']) {
      // The event of the source has been heard by now: the cycle's own is what counts.
      expect(await stateOfShutdown()).toBe('InProgress');
      await wakeJobOf(life.context, life.orchestrations, item);
      expect(await stateOfShutdown()).toBe(state);
      await reconcileDeltas(life.context);
    }
    expect(await life.finish(job)).toMatchObject({ state: 'Succeeded', result: { cycle: finalCycle } });
  });

  it('refuses a last cycle that is older than what is applied, and one that nobody asked for', async () => {
    const life = await RecoveryLife.create(2);
    const stopped = (cycle: number) =>
      codeOf(reportSourceStopped(life.context, life.orchestrations, item, cycle));
    expect(await stopped(2)).toBe('OperationNotSupportedInState');
    await start(life, 'planned');
    expect(await stopped(1)).toBe('InvalidRequest');
    expect(await stopped(2)).toBe('ok');
  });

  it('that is cancelled while it waits, or fails, gives the source its machine back', async () => {
    const life = await RecoveryLife.create();
    const job = await start(life, 'planned');
    await cancelJob(life.context, life.orchestrations, job.id);
    expect(await life.finish(job)).toMatchObject({ state: 'Cancelled' });
    expect(await stateOf(life)).toBe('Protected');
    life.compute.failures.push({
      method: 'createMachine',
      error: new LifeboatError('ComputeFailed', 'quota'),
    });
    const second = await start(life, 'planned');
    await shutDown(life);
    expect(await life.finish(second)).toMatchObject({ state: 'Failed', errors: [{ code: 'ComputeFailed' }] });
    expect(await stateOf(life)).toBe('Protected');
    expect(await life.leftovers()).toEqual([]);
    await life.cycle();
    expect(await life.life.verifiedCycles()).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('an unplanned failover', () => {
  it('takes what there is, at once, and states what is missing', async () => {
    const life = await RecoveryLife.create();
    life.life.clock.advance(7 * minuteMs);
    const job = await life.finish(await start(life, 'unplanned'));
    expect(job.result).toMatchObject({ cycle: 2, dataLossSeconds: 7 * 60 });
    expect(await life.cycleOf(job.id)).toBe(2);
    expect(await stateOf(life)).toBe('UnplannedFailoverCompleted');
  });

  it('first asks the source when it should, for ten minutes; a source that answers loses nothing', async () => {
    const life = await RecoveryLife.create();
    const job = await start(life, 'unplanned', { asksSource: true });
    life.life.clock.advance(9 * minuteMs);
    await life.life.api.runner.run();
    expect(await stateOf(life)).toBe('UnplannedFailoverInitiated');
    life.life.clock.advance(2 * minuteMs);
    await life.life.api.runner.run();
    await life.finish(job);
    expect((await life.life.record()).failover).toMatchObject({ source: 'unreachable', point: { cycle: 2 } });
    await cancel(life);
    const answered = await start(life, 'unplanned', { asksSource: true });
    const finalCycle = await shutDown(life);
    expect((await life.finish(answered)).result).toMatchObject({ cycle: finalCycle, dataLossSeconds: 0 });
  });
});

describe('after a failover', () => {
  it('another recovery point may be chosen, again and again, until it is committed', async () => {
    const life = await RecoveryLife.create(3);
    const job = await life.finish(await start(life, 'unplanned'));
    const points = await life.life.points();
    const change = (cycle: number) =>
      startChangePoint(
        life.context,
        life.orchestrations,
        item,
        points.find((point) => point.cycle === cycle)!.id,
      );
    const toFirst = await follow(life, change(1));
    expect(await life.cycleOf(toFirst.id)).toBe(1);
    expect([...life.compute.machines.keys()]).toEqual([toFirst.id]);
    expect((await life.leftovers()).filter((text) => text.includes(job.id))).toEqual([]);
    // A change that fails leaves the machine of the earlier choice.
    life.compute.failures.push({
      method: 'createMachine',
      error: new LifeboatError('ComputeFailed', 'quota'),
    });
    expect(await life.finish(await change(2))).toMatchObject({ state: 'Failed' });
    expect([...life.compute.machines.keys()]).toEqual([toFirst.id]);
    expect(await life.life.record()).toMatchObject({
      state: 'UnplannedFailoverCompleted',
      failover: { jobId: toFirst.id },
    });
    await follow(life, change(2));
    await commit(life);
    expect((await life.life.points()).map(({ cycle }) => cycle)).toEqual([2]);
    expect(await codeOf(change(2))).toBe('OperationNotSupportedInState');
    expect(allowedOperations(await life.life.record())).toEqual(['DisableProtection', 'Failback']);
  });

  it('cancelling removes the machine, and replication goes on with what the source sent meanwhile', async () => {
    const life = await RecoveryLife.create();
    const before = await life.life.source.assignment();
    await life.finish(await start(life, 'unplanned'));
    // The source has not heard of it yet.
    await life.life.source.send(...life.life.source.cutCycle(before));
    await life.settle();
    // Nothing is merged under a machine that may be undone.
    expect((await life.life.record()).appliedCycle).toBe(2);
    await cancel(life);
    await life.settle();
    expect(await life.leftovers()).toEqual([]);
    expect(await life.life.verifiedCycles()).toEqual([0, 1, 2, 3]);
    expect(await stateOf(life)).toBe('Protected');
  });
});

describe('the full circle', () => {
  it('protect, planned failover, commit, changes, failback, deltas: never a second initial replication', async () => {
    const life = await RecoveryLife.create();
    const job = await plannedFailover(life);
    await commit(life);
    await machineWrites(life, job.id);
    const expected = new Map<string, string>();
    for (const disk of life.life.source.disks.keys())
      expected.set(disk, await life.recoveredDigest(job.id, disk));
    const back = await startFailback(life.context, life.orchestrations, { item });
    for (let seconds = 0; seconds < 40; seconds++) {
      life.life.clock.advance(1000);
      await life.life.api.runner.run();
    }
    expect((await life.life.source.assignment()).phase).toBe('failback');
    expect(await life.compute.powerState([...life.compute.machines.values()][0]!.order)).toBe('stopped');
    for (const [disk, digest] of expected) expect(await life.replicaDigest(disk)).toBe(digest);
    await applyAtSource(life);
    expect(await life.finish(back)).toMatchObject({ state: 'Succeeded' });
    for (const [disk, digest] of expected) expect(life.sourceDigest(disk)).toBe(digest);
    expect(await stateOf(life)).toBe('FailbackCompleted');
    await follow(life, startReverse(life.context, life.orchestrations, item));
    expect(await life.leftovers()).toEqual([]);
    expect(await life.life.record()).toMatchObject({ state: 'Protected', failover: null, failback: null });
    life.life.source.continueFrom(await life.life.source.assignment());
    const cycle = await life.cycle();
    expect(await life.life.record()).toMatchObject({ appliedCycle: cycle, healthErrors: [] });
    for (const disk of expected.keys()) expect(await life.replicaDigest(disk)).toBe(life.sourceDigest(disk));
    expect((await life.life.jobs()).filter(({ kind }) => kind === 'enableProtection')).toHaveLength(1);
  });

  it('a failback that is cancelled leaves the source alone and the machine running', async () => {
    const life = await RecoveryLife.create();
    const job = await plannedFailover(life);
    await commit(life);
    await machineWrites(life, job.id);
    const before = [...life.life.source.disks.keys()].map((disk) => life.sourceDigest(disk));
    const back = await startFailback(life.context, life.orchestrations, { item });
    for (let seconds = 0; seconds < 20; seconds++) {
      life.life.clock.advance(1000);
      await life.life.api.runner.run();
    }
    await cancelJob(life.context, life.orchestrations, back.id);
    expect(await life.finish(back)).toMatchObject({ state: 'Cancelled' });
    expect(await stateOf(life)).toBe('CommitFailoverCompleted');
    expect([...life.compute.machines.values()].map(({ isRunning }) => isRunning)).toEqual([true]);
    expect([...life.life.source.disks.keys()].map((disk) => life.sourceDigest(disk))).toEqual(before);
    // And it can be done again, with what changed since.
    await life.storage.recovered.writePages(`${item}/${job.id}/os.vhd`, 8192, patternBytes(512, 50));
    const again = await startFailback(life.context, life.orchestrations, { item });
    for (let seconds = 0; seconds < 40; seconds++) {
      life.life.clock.advance(1000);
      await life.life.api.runner.run();
    }
    await applyAtSource(life);
    expect(await life.finish(again)).toMatchObject({ state: 'Succeeded' });
    expect(life.sourceDigest('os')).toBe(await life.recoveredDigest(job.id, 'os'));
  });

  it('brings the machine home although the source went on after an unplanned failover', async () => {
    const life = await RecoveryLife.create();
    const before = await life.life.source.assignment();
    const job = await life.finish(await start(life, 'unplanned'));
    // The source was not dead: its logs belong to another history now.
    await life.life.source.send(...life.life.source.cutCycle(before));
    await commit(life);
    await machineWrites(life, job.id);
    const back = await startFailback(life.context, life.orchestrations, { item });
    for (let seconds = 0; seconds < 40; seconds++) {
      life.life.clock.advance(1000);
      await life.life.api.runner.run();
    }
    await applyAtSource(life);
    expect(await life.finish(back)).toMatchObject({ state: 'Succeeded' });
    for (const disk of life.life.source.disks.keys())
      expect(life.sourceDigest(disk)).toBe(await life.recoveredDigest(job.id, disk));
  });
});
