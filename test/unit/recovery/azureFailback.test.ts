// A machine that ran in Azure comes home: what its managed disks hold at the end, and nothing else, reaches the source; nothing
// is left in Azure. Both ways: all of it while the machine is off, or most of it before.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findJob } from '../../../lib/jobs/jobStore.ts';
import type { JobRecord } from '../../../lib/jobs/job.ts';
import { cancelJob, resumeJob } from '../../../lib/protection/jobControl.ts';
import { startFailback, startReverse } from '../../../lib/recovery/failback.ts';
import { patternBytes } from '../../contract/outcomes.ts';
import { AzureLife } from '../../support/azureLife.ts';
import { FakeDisks } from '../../support/fakeArm/fakeDisks.ts';
import { item } from '../../support/recoveryLife.ts';

let disks: FakeDisks;
beforeAll(async () => {
  disks = await new FakeDisks().listen();
});
afterAll(() => disks.close());
beforeEach(() => {
  Object.assign(disks, { refusesDiff: false, diffOmitsFirst: false, rangesPerAnswer: Infinity });
  disks.requests.length = 0;
  for (const map of [disks.disks, disks.snapshots, disks.grants]) map.clear();
});

async function run(azure: AzureLife, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    azure.life.life.clock.advance(1000);
    await azure.life.life.api.runner.run();
  }
}

const start = ({ life }: AzureLife, syncsFirst = false) =>
  startFailback(life.context, life.orchestrations, { item, syncsFirst });

async function waitForSuspension(azure: AzureLife, { id }: JobRecord): Promise<void> {
  for (let second = 0; second < 60; second++) {
    if ((await findJob(azure.life.storage.jobs, id))?.state === 'Suspended') return;
    await run(azure, 1);
  }
  throw new Error(`job ${id} does not wait: ${JSON.stringify(await findJob(azure.life.storage.jobs, id))}`);
}

const resume = ({ life }: AzureLife, { id }: JobRecord) => resumeJob(life.context, life.orchestrations, id);

/** The job goes on to its end; the source does its part. */
async function finish(azure: AzureLife, job: JobRecord): Promise<JobRecord> {
  for (let second = 0; second < 90; second++) {
    const found = await findJob(azure.life.storage.jobs, job.id);
    if (found?.endTime) return found;
    await run(azure, 1);
    await azure.applyAtSource();
  }
  throw new Error(JSON.stringify(await findJob(azure.life.storage.jobs, job.id)));
}

async function guestWrites(azure: AzureLife): Promise<void> {
  await azure.write('os', 4096, patternBytes(2048, 5));
  await azure.write('os', 512 * 1024, new Uint8Array(64 * 1024));
  await azure.write('data', 300 * 512 - 512, patternBytes(512, 6));
}

async function expectHome(azure: AzureLife, job: JobRecord): Promise<void> {
  expect(job.state, JSON.stringify(job.errors)).toBe('Succeeded');
  for (const disk of azure.life.life.source.disks.keys()) {
    const expected = await azure.machineDigest(disk);
    expect([disk, azure.life.sourceDigest(disk)]).toEqual([disk, expected]);
    expect([disk, await azure.life.replicaDigest(disk)]).toEqual([disk, expected]);
  }
  expect(azure.leftovers()).toEqual([]);
  expect(azure.power).toBe('deallocated');
}

describe('failback from Azure', () => {
  it('brings all changes while the machine is off; then deltas go on without a second copy', async () => {
    const azure = await AzureLife.create(disks);
    await guestWrites(azure);
    const job = await start(azure);
    await expectHome(azure, await finish(azure, job));
    const { life } = azure;
    await life.finish(await startReverse(life.context, life.orchestrations, item));
    expect(azure.arm.resources.size).toBe(0);
    life.life.source.continueFrom(await life.life.source.assignment());
    const cycle = await life.cycle();
    expect(await life.life.record()).toMatchObject({
      state: 'Protected',
      appliedCycle: cycle,
      healthErrors: [],
    });
    for (const disk of life.life.source.disks.keys())
      expect(await life.replicaDigest(disk)).toBe(life.sourceDigest(disk));
  });

  it('copies while the machine runs, waits for the user, and then reads what has changed since', async () => {
    const azure = await AzureLife.create(disks);
    await guestWrites(azure);
    const job = await start(azure, true);
    await waitForSuspension(azure, job);
    expect(azure.power).toBe('running');
    expect((await azure.life.life.source.assignment()).phase).toBe('failback');
    // What is in the replica now is no recovery point: the machine wrote meanwhile.
    const pointsBefore = (await azure.life.life.points()).length;
    await azure.write('os', 8192, patternBytes(512, 7));
    for (let at = 0; at < 40; at += 2) await azure.write('data', at * 512, new Uint8Array(512).fill(at));
    await run(azure, 60);
    expect(azure.power).toBe('running');
    expect(disks.requests).not.toContain('GET diff');
    disks.rangesPerAnswer = 16;
    await resume(azure, job);
    await expectHome(azure, await finish(azure, job));
    expect(disks.requests).toContain('GET diff');
    expect((await azure.life.life.points()).length).toBe(pointsBefore + 1);
  });

  it.each([
    ['does not compare snapshots', 'refusesDiff'],
    ['forgets a change when it compares them', 'diffOmitsFirst'],
  ] as const)('is right although the service %s', async (_what, trouble) => {
    const azure = await AzureLife.create(disks);
    disks[trouble] = true;
    const job = await start(azure, true);
    await waitForSuspension(azure, job);
    await guestWrites(azure);
    await resume(azure, job);
    await expectHome(azure, await finish(azure, job));
    expect(disks.requests).toContain(trouble === 'refusesDiff' ? 'GET bytes' : 'GET diff');
  });

  it.each([false, true])(
    'cancelled (copying first: %s): the machine runs, the source is as it was',
    async (first) => {
      const azure = await AzureLife.create(disks);
      await guestWrites(azure);
      const sources = [...azure.life.life.source.disks.keys()];
      const before = sources.map((disk) => azure.life.sourceDigest(disk));
      const job = await start(azure, first);
      if (first) await waitForSuspension(azure, job);
      else await run(azure, 2);
      expect(azure.leftovers()).toHaveLength(first ? 2 : 0);
      await cancelJob(azure.life.context, azure.life.orchestrations, job.id);
      expect(await azure.life.finish(job)).toMatchObject({ state: 'Cancelled' });
      expect([azure.power, azure.leftovers()]).toEqual(['running', []]);
      expect(sources.map((disk) => azure.life.sourceDigest(disk))).toEqual(before);
      expect((await azure.life.life.record()).state).toBe('CommitFailoverCompleted');
      // And again, with what has changed since.
      await azure.write('os', 0, patternBytes(512, 8));
      await expectHome(
        azure,
        await finish(
          azure,
          await start(azure, true).then(async (again) => {
            await waitForSuspension(azure, again);
            await resume(azure, again);
            return again;
          }),
        ),
      );
    },
  );

  it('refuses what would be lost: bytes behind the end of the source disk, and a machine that was started', async () => {
    const azure = await AzureLife.create(disks);
    const [before] = [azure.life.sourceDigest('os')];
    await azure.enlarge('os', Buffer.from('grown'.padEnd(2 * 2 ** 20, '\0')));
    const tooLarge = await azure.life.finish(await start(azure));
    expect(tooLarge).toMatchObject({ state: 'Failed', errors: [{ code: 'FailbackDiskTooLarge' }] });
    expect([azure.power, azure.leftovers(), azure.life.sourceDigest('os')]).toEqual(['running', [], before]);
    // Larger alone does no harm: nothing lies there.
    await azure.write('os', 2 ** 20, new Uint8Array(512));
    azure.beforeRequest = (method, path) => {
      if (method !== 'POST' || !path.endsWith('/endGetAccess')) return;
      for (const key of azure.arm.power.keys()) azure.arm.power.set(key, 'running');
    };
    const started = await azure.life.finish(await start(azure));
    expect(started).toMatchObject({ state: 'Failed', errors: [{ code: 'FailbackMachineStarted' }] });
    expect([azure.power, azure.leftovers(), azure.life.sourceDigest('os')]).toEqual(['running', [], before]);
  });

  it('gets there although each kind of request is lost, refused, or meets a grant that a dead process left', async () => {
    const lost = new Set<string>();
    const azure = await AzureLife.create(disks);
    azure.beforeRequest = (method, path) => {
      const about = `${method} ${path.replace(/\/(operations|snapshots|disks|virtualMachines)\/[^/]+/, '/$1')}`;
      if (lost.has(about)) return;
      lost.add(about);
      throw new TypeError('fetch failed');
    };
    await guestWrites(azure);
    const job = await start(azure, true);
    await waitForSuspension(azure, job);
    const [snapshot] = disks.snapshots.keys();
    disks.grant(snapshot!);
    await resume(azure, job);
    await expectHome(azure, await finish(azure, job));
    expect(lost.size).toBeGreaterThan(6);
  });

  it('asks the service for what it documents, and never shows a signature', async () => {
    const azure = await AzureLife.create(disks);
    await guestWrites(azure);
    const job = await finish(azure, await start(azure));
    expect(
      azure.arm.requests.filter((each) => /snapshots\/[^/]+$/.test(each) && each.startsWith('PUT')),
    ).toHaveLength(2);
    const rows: unknown[] = [job, await azure.life.life.record(), azure.life.life.logged];
    expect(JSON.stringify(rows)).not.toMatch(/sig=|accessSAS/);
  });
});
