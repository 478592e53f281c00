// The lifecycle of a protected machine as its users see it: jobs, rows, recovery points and bytes.
import { describe, expect, it } from 'vitest';
import type { JobRecord } from '../../lib/jobs/job.ts';
import { addDisk, growDisk, removeDisk } from '../../lib/protection/disks.ts';
import { disableProtection } from '../../lib/protection/disable.ts';
import { cancelJob, restartJob } from '../../lib/protection/jobControl.ts';
import { pauseReplication, resumeReplication } from '../../lib/protection/pause.ts';
import { repairReplication } from '../../lib/protection/resyncRequest.ts';
import { startScrub } from '../../lib/protection/scrub.ts';
import { replicaName } from '../../lib/replication/names.ts';
import { item, Lifecycle } from '../support/lifecycle.ts';
import { hourMs, minuteMs } from '../support/manualClock.ts';

const codes = async (lifecycle: Lifecycle) => (await lifecycle.record()).healthErrors.map(({ code }) => code);
const quarantined = async ({ storage }: Lifecycle) => {
  const names: string[] = [];
  for await (const { name, metadata } of storage.quarantine.list(''))
    names.push(`${name} ${metadata['reason']}`);
  return names;
};

describe('enabling', () => {
  it('lists every failed check, not just the first, and starts again after a failure', async () => {
    const lifecycle = await Lifecycle.create({ sizes: { os: 2 ** 20, data: 4096 } });
    const machine = {
      ...{ id: item, name: 'web01', generation: '1' },
      disks: [
        { id: 'os', sizeBytes: 2 ** 20, type: 'OperatingSystem', logicalSectorBytes: 4096 },
        { id: 'data', sizeBytes: 4096, type: 'OperatingSystem', isShared: true },
      ],
    };
    await lifecycle.call('PUT', '/agent/v1/sites/site1/inventory', {
      host: { name: 'hv1' },
      machines: [machine],
    });
    await lifecycle.enable();
    const [failed] = await lifecycle.jobs();
    expect(failed).toMatchObject({ state: 'Failed', operation: 'Failed' });
    expect(failed!.errors.map(({ message }) => message).join('\n')).toMatch(
      /os, data are all operating system disks[\s\S]*os has sectors of 4096[\s\S]*data is shared/,
    );
    expect((await lifecycle.record()).state).toBe('EnablingFailed');
    await lifecycle.reportInventory();
    await restartJob(lifecycle.context, lifecycle.api.context.orchestrations, failed!.id);
    expect((await lifecycle.record()).state).toBe('InitialReplicationInProgress');
  });

  it('waits for the start time of the policy, in its time zone', async () => {
    const lifecycle = await Lifecycle.create({
      start: '2026-03-25T08:00:00.000Z',
      policy: {
        onlineReplicationStartTime: '13:30:00',
        resyncWindow: { start: '18:30', end: '06:00', timeZone: 'Europe/Berlin', pauseAtEnd: true },
      },
    });
    await lifecycle.enable();
    expect(await lifecycle.currentJob()).toMatchObject({ state: 'Suspended', operation: 'Succeeded' });
    await lifecycle.pass(4 * hourMs + 29 * minuteMs);
    expect((await lifecycle.record()).state).toBe('EnablingProtection');
    await lifecycle.pass(2 * minuteMs);
    expect((await lifecycle.record()).state).toBe('InitialReplicationInProgress');
  });

  it('lets the source upload before it says that the operation succeeded', async () => {
    const lifecycle = await Lifecycle.create();
    const { jobs } = lifecycle.storage;
    const transact = jobs.transact.bind(jobs);
    const phases: string[] = [];
    jobs.transact = async (partition, writes) => {
      for (const write of writes) {
        if (write.kind !== 'replace' || (write.value as JobRecord).operation !== 'Succeeded') continue;
        phases.push((await lifecycle.source.assignment()).phase);
      }
      return transact(partition, writes);
    };
    await lifecycle.enable();
    expect(phases).toEqual(['initialReplication']);
  });

  it('asks for the source’s snapshot, shows progress from what is there, and has it released at the end', async () => {
    const lifecycle = await Lifecycle.create();
    await lifecycle.enable();
    const { snapshot, disks } = await lifecycle.source.assignment();
    expect(snapshot).toBe('requested');
    expect(disks.map(({ initialReplication }) => initialReplication.isQueued)).toEqual([false, true]);
    await lifecycle.source.writePages('os', disks[0]!.initialReplication.blobName);
    await lifecycle.pass(2 * minuteMs);
    expect(await lifecycle.currentJob()).toMatchObject({
      progress: { doneBytes: 2 ** 20, totalBytes: 2 ** 20 + 153_600 },
    });
    await lifecycle.source.copyDisks(lifecycle.clock.now().toISOString());
    await lifecycle.settle();
    expect((await lifecycle.record()).state).toBe('Protected');
    expect((await lifecycle.source.assignment()).snapshot).toBe('releasing');
    await lifecycle.source.releaseSnapshot();
    expect((await lifecycle.source.assignment()).snapshot).toBe('none');
    expect((await lifecycle.jobs())[0]).toMatchObject({ kind: 'enableProtection', state: 'Succeeded' });
  });

  it('is cancelled at a safe point, and goes on where it stopped', async () => {
    const lifecycle = await Lifecycle.create();
    await lifecycle.enable();
    const { orchestrations } = lifecycle.api.context;
    const { disks } = await lifecycle.source.assignment();
    await lifecycle.source.writePages('os', disks[0]!.initialReplication.blobName);
    await lifecycle.source.complete('os');
    const job = (await lifecycle.currentJob())!;
    await cancelJob(lifecycle.context, orchestrations, job.id);
    const [cancelled] = await lifecycle.jobs();
    expect(cancelled).toMatchObject({ state: 'Cancelled' });
    expect(cancelled!.steps.map(({ state }) => state)).toContain('Cancelled');
    expect(await lifecycle.record()).toMatchObject({ state: 'InitialReplicationFailed', currentJob: null });
    await restartJob(lifecycle.context, orchestrations, job.id);
    const again = await lifecycle.source.assignment();
    expect(again.disks.map(({ initialReplication }) => initialReplication.state)).toEqual([
      'complete',
      'pending',
    ]);
    await lifecycle.source.copyDisks();
    await lifecycle.settle();
    expect((await lifecycle.record()).state).toBe('Protected');
    await lifecycle.source.cycle();
    await lifecycle.settle();
    expect(await lifecycle.verifiedCycles()).toEqual([1]);
  });
});

describe('disabling', () => {
  it('releases the source, deletes everything of the item, and frees its name', async () => {
    const lifecycle = await (await Lifecycle.create()).protect();
    await lifecycle.source.cycle();
    await lifecycle.settle();
    await lifecycle.source.send(...lifecycle.source.cutCycle(await lifecycle.source.assignment(), 9));
    const { orchestrations } = lifecycle.api.context;
    const job = await disableProtection(lifecycle.context, orchestrations, { item });
    expect((await lifecycle.source.assignment()).phase).toBe('disabling');
    expect(await lifecycle.find()).toMatchObject({ state: 'DisablingProtection' });
    await lifecycle.source.releaseSnapshot();
    await lifecycle.settle();
    expect(await lifecycle.find()).toBeUndefined();
    expect(await lifecycle.storage.replicas.find(replicaName(item, 'os'))).toBeUndefined();
    for await (const blob of lifecycle.storage.deltas.list('')) throw new Error(`left: ${blob.name}`);
    expect((await lifecycle.jobs()).find(({ id }) => id === job.id)).toMatchObject({ state: 'Succeeded' });
    await lifecycle.protect();
    expect((await lifecycle.record()).state).toBe('Protected');
  });

  it('does not wait for a source that is gone, nor for ever for one that is silent', async () => {
    for (const isSourceGone of [true, false]) {
      const lifecycle = await Lifecycle.create();
      await lifecycle.enable();
      await lifecycle.source.copyDisks();
      await lifecycle.settle();
      await disableProtection(lifecycle.context, lifecycle.api.context.orchestrations, {
        item,
        isSourceGone,
      });
      expect((await lifecycle.find()) === undefined).toBe(isSourceGone);
      await lifecycle.pass(11 * minuteMs);
      expect(await lifecycle.find()).toBeUndefined();
    }
  });

  it('supersedes the job that runs, and keeps the replica when it shall', async () => {
    const lifecycle = await Lifecycle.create();
    await lifecycle.enable();
    const { orchestrations } = lifecycle.api.context;
    const running = (await lifecycle.currentJob())!;
    await disableProtection(lifecycle.context, orchestrations, {
      item,
      keepsReplica: true,
      isSourceGone: true,
    });
    await lifecycle.settle();
    expect(await lifecycle.find()).toBeUndefined();
    expect((await lifecycle.jobs()).find(({ id }) => id === running.id)).toMatchObject({
      state: 'Cancelled',
    });
    expect(await lifecycle.storage.replicas.find(replicaName(item, 'os'))).toMatchObject({ isLeased: false });
  });
});

describe('disks', () => {
  it('adds a disk while the others replicate: it joins with its first log of kind resync', async () => {
    const lifecycle = await (await Lifecycle.create()).protect();
    lifecycle.source.resize('extra', 200 * 512);
    lifecycle.source.disks.get('extra')!.fill(7);
    await lifecycle.reportInventory();
    const { orchestrations } = lifecycle.api.context;
    const job = await addDisk(lifecycle.context, orchestrations, item, 'extra');
    await lifecycle.source.cycle();
    await lifecycle.settle();
    expect((await lifecycle.points()).at(-1)!.disks.map(({ disk }) => disk)).toEqual(['os', 'data']);
    await lifecycle.source.copyDisks();
    const assignment = await lifecycle.source.assignment();
    expect(assignment.disks[2]!.delta.metadata).toEqual({ kind: 'resync' });
    await lifecycle.source.cycle();
    await lifecycle.source.cycle();
    await lifecycle.settle();
    await lifecycle.source.cycle();
    await lifecycle.settle();
    expect(await lifecycle.verifiedCycles()).toEqual([0, 1, 2, 3, 4]);
    expect((await lifecycle.points()).at(-1)!.disks.map(({ disk }) => disk)).toEqual(['os', 'data', 'extra']);
    expect((await lifecycle.jobs()).find(({ id }) => id === job.id)).toMatchObject({ state: 'Succeeded' });
  });

  it('grows a disk between two cycles; points from before keep their size', async () => {
    const lifecycle = await (await Lifecycle.create()).protect();
    await lifecycle.source.cycle();
    await lifecycle.settle();
    lifecycle.source.resize('data', 3 * 2 ** 20 + 512);
    await expect(growDisk(lifecycle.context, item, 'data', 512)).rejects.toMatchObject({
      code: 'DiskUnsupported',
    });
    await growDisk(lifecycle.context, item, 'data', 3 * 2 ** 20 + 512);
    await growDisk(lifecycle.context, item, 'data', 3 * 2 ** 20 + 512);
    await lifecycle.source.cycle(20);
    await lifecycle.settle();
    expect(await lifecycle.verifiedCycles()).toEqual([0, 1, 2]);
  });

  it('removes a disk; its replica goes with the last point that includes it', async () => {
    const lifecycle = await (await Lifecycle.create({ policy: { recoveryPointHistoryHours: 1 } })).protect();
    await lifecycle.source.cycle();
    await lifecycle.settle();
    await removeDisk(lifecycle.context, item, 'data');
    await expect(removeDisk(lifecycle.context, item, 'os')).rejects.toMatchObject({
      code: 'OperationNotSupportedInState',
    });
    await lifecycle.source.cycle();
    await lifecycle.settle();
    expect((await lifecycle.points()).at(-1)!.disks.map(({ disk }) => disk)).toEqual(['os']);
    expect(await lifecycle.storage.replicas.find(replicaName(item, 'data'))).toBeDefined();
    lifecycle.clock.advance(2 * hourMs);
    await lifecycle.source.cycle();
    await lifecycle.pass(61 * minuteMs, 5 * minuteMs);
    expect(await lifecycle.storage.replicas.find(replicaName(item, 'data'))).toBeUndefined();
    expect((await lifecycle.record()).retiredDisks).toEqual([]);
  });
});

describe('resynchronization', () => {
  it('by hand: ships only what differs, and deltas go on', async () => {
    const lifecycle = await (await Lifecycle.create()).protect();
    await lifecycle.source.cycle();
    await lifecycle.settle();
    const { orchestrations } = lifecycle.api.context;
    await lifecycle.source.report('TrackingLost', 'The change tracking of the disk was reset.', ['os']);
    expect((await lifecycle.record()).disks[0]!.resync).toMatchObject({
      reason: 'TrackingLost',
      blocksMerging: true,
    });
    await lifecycle.settle();
    expect(await codes(lifecycle)).not.toContain('LogConflict');
    const job = await repairReplication(lifecycle.context, orchestrations, item);
    // Changes that nobody tracked.
    lifecycle.source.disks.get('os')!.fill(0x5a, 5 * 4096, 6 * 4096);
    await lifecycle.settle();
    await lifecycle.source.resynchronize();
    await lifecycle.settle();
    const ended = (await lifecycle.jobs()).find(({ id }) => id === job.id)!;
    expect(ended).toMatchObject({
      state: 'Succeeded',
      result: { comparedBytes: 2 ** 20, shippedBytes: 4096 },
    });
    expect(await lifecycle.record()).toMatchObject({ resync: null, currentJob: null });
    await lifecycle.source.cycle();
    await lifecycle.settle();
    expect(await lifecycle.verifiedCycles()).toEqual([0, 1, 2, 3]);
  });

  it('sets logs aside that were cut before it, and takes one of kind resync that nobody asked for as any other', async () => {
    const lifecycle = await (await Lifecycle.create()).protect();
    const { source } = lifecycle;
    const early = source.cutCycle(await source.assignment(), 2);
    await source.send(...early);
    await lifecycle.settle();
    await source.report('DiskChangedOffline', 'The disk was mounted on the host.', ['data']);
    await repairReplication(lifecycle.context, lifecycle.api.context.orchestrations, item);
    await lifecycle.settle();
    expect(await quarantined(lifecycle)).toEqual([
      'vm-1/000000000002/data.hrl ResyncSuperseded',
      'vm-1/000000000002/os.hrl ResyncSuperseded',
    ]);
    // A late one of the old chain, while the source compares.
    await source.send({ ...early[0]!, name: 'vm-1/000000000001/os.hrl' });
    await lifecycle.settle();
    expect((await lifecycle.record()).appliedCycle).toBe(0);
    await source.resynchronize();
    await lifecycle.settle();
    expect((await lifecycle.record()).appliedCycle).toBe(1);
    const [log] = source.cutCycle(await source.assignment());
    // Its predecessor counts, whatever it calls itself.
    const foreign = { ...early[0]!, name: log!.name, metadata: { ...early[0]!.metadata, kind: 'resync' } };
    await source.send(foreign);
    await lifecycle.settle();
    expect((await lifecycle.record()).appliedCycle).toBe(1);
  });

  it('is cancelled without harm: the marks stay', async () => {
    const lifecycle = await (await Lifecycle.create()).protect();
    const { orchestrations } = lifecycle.api.context;
    const job = await repairReplication(lifecycle.context, orchestrations, item, ['os']);
    await cancelJob(lifecycle.context, orchestrations, job.id);
    await lifecycle.settle();
    const record = await lifecycle.record();
    expect(record).toMatchObject({ resync: null, currentJob: null });
    expect(record.disks[0]!.resync).toMatchObject({ reason: 'Requested' });
    await repairReplication(lifecycle.context, orchestrations, item);
    await lifecycle.source.resynchronize();
    await lifecycle.settle();
    expect(await lifecycle.verifiedCycles()).toEqual([0, 1]);
  });

  it('mends a chain gap by itself when the right log comes after all', async () => {
    const lifecycle = await (await Lifecycle.create()).protect();
    const { source } = lifecycle;
    const assignment = await source.assignment();
    const lost = source.cutCycle(assignment, 1);
    const next = source
      .cutCycle(assignment, 2)
      .map((log) => ({ ...log, name: log.name.replace('0002/', '0001/') }));
    await source.send(
      ...source.lose(lost, 'os'),
      next.find(({ name }) => name.endsWith('os.hrl'))!,
    );
    await lifecycle.settle();
    await source.cycle();
    await lifecycle.settle();
    expect((await lifecycle.points()).length).toBeGreaterThanOrEqual(1);
  });
});

describe('scrub', () => {
  it('records the verdict and the digests on the recovery point', async () => {
    const lifecycle = await (await Lifecycle.create()).protect();
    await startScrub(lifecycle.context, lifecycle.api.context.orchestrations, item);
    await lifecycle.source.cycle();
    await lifecycle.settle();
    expect((await lifecycle.currentJob())?.kind).toBe('scrub');
    const cycle = await lifecycle.source.scrubCycle();
    await lifecycle.settle();
    const point = (await lifecycle.points()).find((each) => each.cycle === cycle)!;
    expect(point).toMatchObject({
      pinnedBy: [],
      scrub: { os: { verdict: 'equal' }, data: { verdict: 'equal' } },
    });
    expect(point.scrub!['os']!.rootDigest).toBe(point.scrub!['os']!.sourceRootDigest);
    expect((await lifecycle.jobs())[0]).toMatchObject({ state: 'Succeeded', result: { verdict: 'equal' } });
  });

  it('marks a disk that differs', async () => {
    const lifecycle = await (await Lifecycle.create()).protect();
    await startScrub(lifecycle.context, lifecycle.api.context.orchestrations, item);
    await lifecycle.source.scrubCycle((bytes) => {
      const copy = bytes.slice();
      copy[0]! ^= 1;
      return copy;
    });
    await lifecycle.settle();
    expect((await lifecycle.jobs()).find(({ kind }) => kind === 'scrub')).toMatchObject({
      result: { verdict: 'different' },
    });
    expect((await lifecycle.record()).disks.map(({ resync }) => resync?.reason)).toEqual([
      'ScrubFailed',
      'ScrubFailed',
    ]);
  });

  it('runs by itself where the policy wants it', async () => {
    const lifecycle = await Lifecycle.create({ policy: { scrubEveryDays: 1 } });
    await lifecycle.protect();
    await lifecycle.pass(2 * minuteMs);
    expect((await lifecycle.currentJob())?.kind).toBe('scrub');
  });
});

describe('pausing', () => {
  it('tells the source, shows it, and goes on', async () => {
    const lifecycle = await (await Lifecycle.create()).protect();
    await pauseReplication(lifecycle.context, item);
    await lifecycle.pass(2 * minuteMs);
    expect((await lifecycle.source.assignment()).phase).toBe('paused');
    expect(await codes(lifecycle)).toContain('ReplicationPaused');
    await resumeReplication(lifecycle.context, item);
    await lifecycle.pass(2 * minuteMs);
    expect((await lifecycle.source.assignment()).phase).toBe('deltas');
    expect(await codes(lifecycle)).toEqual([]);
  });
});
