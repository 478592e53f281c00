// Dies at every named fault point that a failback from Azure passes, at the first and the last time of each, starts again and
// expects the same end: the source and the replica equal the machine, no snapshot is left, and nobody has access to any. And
// what is cancelled, or disabled, in the middle leaves nothing either; the source is not touched.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findJob } from '../../lib/jobs/jobStore.ts';
import type { JobRecord } from '../../lib/jobs/job.ts';
import { cancelJob, resumeJob } from '../../lib/protection/jobControl.ts';
import { startFailback, startReverse } from '../../lib/recovery/failback.ts';
import { sweepOrphans } from '../../lib/recovery/sweep.ts';
import { patternBytes } from '../contract/outcomes.ts';
import { AzureLife } from '../support/azureLife.ts';
import { deathAt, repeatAfterDeath } from '../support/deaths.ts';
import { FakeDisks } from '../support/fakeArm/fakeDisks.ts';
import { item } from '../support/recoveryLife.ts';

let disks: FakeDisks;
beforeAll(async () => {
  disks = await new FakeDisks().listen();
});
afterAll(() => disks.close());
beforeEach(() => {
  for (const map of [disks.disks, disks.snapshots, disks.grants]) map.clear();
});

async function currentJob({ life }: AzureLife): Promise<JobRecord | undefined> {
  const { currentJob: id } = await life.life.record();
  return id === null ? undefined : findJob(life.storage.jobs, id);
}

/** Lives on until the job is over; `during` is what users and the source do meanwhile. */
async function rest(azure: AzureLife, during: () => Promise<unknown>): Promise<void> {
  const { life } = azure;
  for (let second = 0; second < 240; second++) {
    if (second > 0 && !(await currentJob(azure))) break;
    life.life.clock.advance(second % 60 === 59 ? 60_000 : 1000);
    await repeatAfterDeath(() => (second % 10 === 9 ? life.settle() : life.life.api.runner.run()));
    await repeatAfterDeath(during);
  }
}

/** The machine wrote, and comes home with a copy before. Returns the fault points that were passed. */
async function comeHome(n: number): Promise<{ azure: AzureLife; passed: string[] }> {
  const azure = await AzureLife.create(disks);
  const { life } = azure;
  await azure.write('os', 4096, patternBytes(2048, 5));
  const { fault, passed } = deathAt(n);
  life.life.fault = fault;
  let hasWritten = false;
  await repeatAfterDeath(async () => {
    if ((await life.life.record()).currentJob === null)
      await startFailback(life.context, life.orchestrations, { item, syncsFirst: true });
  });
  await rest(azure, async () => {
    const job = await currentJob(azure);
    if (job?.state === 'Suspended') {
      if (!hasWritten) await azure.write('data', 512, patternBytes(1024, 6));
      hasWritten = true;
      await resumeJob(life.context, life.orchestrations, job.id);
    }
    await azure.applyAtSource();
  });
  life.life.fault = () => undefined;
  // What a death at the very end left is put in order by the timers.
  life.life.clock.advance(120_000);
  await life.settle();
  return { azure, passed };
}

describe('death at a fault point of a failback from Azure', () => {
  it('the same end, wherever it comes', async () => {
    const clean = await comeHome(0);
    const names = clean.passed;
    expect(names).toEqual(
      expect.arrayContaining([
        ...['failback.afterFreeze', 'failback.afterLog', 'failback.afterSlice', 'failback.afterStop'],
        ...['failback.afterProof', 'failback.afterSeal', 'failback.afterPin', 'recovery.afterRemoveMachine'],
      ]),
    );
    const chosen = [...names.entries()].filter(
      ([at, name]) =>
        !/^(drain|apply|supersede|agenda)\./.test(name) &&
        (names.indexOf(name) === at || names.lastIndexOf(name) === at),
    );
    for (const [index, name] of chosen) {
      const where = `after dying at ${name} (${index + 1})`;
      const { azure } = await comeHome(index + 1);
      const { life } = azure;
      const jobs = (await life.life.jobs()).filter(({ kind }) => kind === 'failback');
      // A death before the item names its job leaves one that the reconciliation cancels.
      const states = jobs
        .map(({ state }) => state)
        .filter((state) => state !== 'NotStarted' && state !== 'Cancelled');
      expect(states, `${where}: ${JSON.stringify(jobs.map(({ errors }) => errors))}`).toEqual(['Succeeded']);
      expect(azure.leftovers(), where).toEqual([]);
      for (const disk of life.life.source.disks.keys()) {
        const expected = await azure.machineDigest(disk);
        expect(life.sourceDigest(disk), where).toBe(expected);
        expect(await life.replicaDigest(disk), where).toBe(expected);
      }
      await life.finish(await startReverse(life.context, life.orchestrations, item));
      expect(azure.arm.resources.size, where).toBe(0);
      expect((await life.life.record()).state, where).toBe('Protected');
    }
  }, 120_000);

  it('in cancelling: the machine runs, nothing is left, the source is as it was', async () => {
    const cancelled = async (
      n: number,
    ): Promise<{ azure: AzureLife; passed: string[]; before: string[] }> => {
      const azure = await AzureLife.create(disks);
      const { life } = azure;
      const before = [...life.life.source.disks.keys()].map((disk) => life.sourceDigest(disk));
      await azure.write('os', 4096, patternBytes(2048, 5));
      const job = await startFailback(life.context, life.orchestrations, { item, syncsFirst: true });
      await life.life.api.runner.run();
      const { fault, passed } = deathAt(n);
      life.life.fault = fault;
      await repeatAfterDeath(async () => {
        const found = await findJob(life.storage.jobs, job.id);
        if (!found?.cancelRequestedAt) await cancelJob(life.context, life.orchestrations, job.id);
      });
      await rest(azure, async () => undefined);
      life.life.fault = () => undefined;
      return { azure, passed, before };
    };
    const { passed } = await cancelled(0);
    for (let n = 0; n <= passed.length; n++) {
      const { azure, before } = await cancelled(n);
      const where = `after dying at ${passed[n - 1] ?? 'nothing'} (${n})`;
      const { life } = azure;
      life.life.clock.advance(120_000);
      await life.settle();
      expect(azure.leftovers(), where).toEqual([]);
      expect(azure.power, where).toBe('running');
      expect(
        [...life.life.source.disks.keys()].map((disk) => life.sourceDigest(disk)),
        where,
      ).toEqual(before);
      expect(await life.life.record(), where).toMatchObject({
        state: 'CommitFailoverCompleted',
        failback: null,
      });
    }
  }, 120_000);

  it('snapshots whose failback ended without them are swept; those of one that runs are not', async () => {
    const azure = await AzureLife.create(disks);
    const { life } = azure;
    const job = await startFailback(life.context, life.orchestrations, { item, syncsFirst: true });
    await life.life.api.runner.run();
    const kept = azure.leftovers();
    expect(kept).toHaveLength(2);
    expect(await sweepOrphans(life.context)).toEqual([]);
    expect(azure.leftovers()).toEqual(kept);
    const [snapshot] = disks.snapshots.keys();
    await cancelJob(life.context, life.orchestrations, job.id);
    await life.finish(job);
    expect(azure.leftovers()).toEqual([]);
    // A request of a dead process that landed late, and the access that it was given.
    const again = await startFailback(life.context, life.orchestrations, { item, syncsFirst: true });
    await life.life.api.runner.run();
    const late = [...azure.arm.resources].filter(([, { type }]) => type.endsWith('/snapshots'));
    const copies = [...disks.snapshots];
    await cancelJob(life.context, life.orchestrations, again.id);
    await life.finish(again);
    for (const [key, resource] of late) azure.arm.resources.set(key, { ...resource, state: 'Succeeded' });
    for (const [key, copy] of copies) disks.snapshots.set(key, copy);
    disks.grant(copies[0]![0]);
    expect(snapshot).not.toBe(copies[0]![0]);
    expect(await sweepOrphans(life.context)).toEqual([{ item, jobId: again.id }]);
    expect(azure.leftovers()).toEqual([]);
    expect(azure.power).toBe('running');
  });
});
