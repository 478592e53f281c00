// Dies at every named fault point that the whole life of a machine passes, one after another, starts again and expects the same
// end: the same recovery points with the same bytes, every job over, nothing left behind.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { cancelJob } from '../../lib/protection/jobControl.ts';
import { addDisk, growDisk, removeDisk } from '../../lib/protection/disks.ts';
import { disableProtection } from '../../lib/protection/disable.ts';
import { repairReplication } from '../../lib/protection/resyncRequest.ts';
import { startScrub } from '../../lib/protection/scrub.ts';
import { findItem } from '../../lib/protection/itemStore.ts';
import { deathAt, repeatAfterDeath } from '../support/deaths.ts';
import { item, Lifecycle } from '../support/lifecycle.ts';
import { hourMs, minuteMs } from '../support/manualClock.ts';

interface Life {
  passed: string[];
  cycles: number[];
  kinds: string[];
  leftovers: string[];
}

/** The whole life, with a death at the n-th fault point (0 = none). */
async function live(n: number): Promise<Life> {
  const { fault, passed } = deathAt(n);
  const lifecycle = await Lifecycle.create({ policy: { recoveryPointHistoryHours: 1 } });
  const { source, storage } = lifecycle;
  const { orchestrations } = lifecycle.api.context;
  lifecycle.fault = fault;
  const settle = () => repeatAfterDeath(() => lifecycle.settle());
  const minute = async () => {
    lifecycle.clock.advance(minuteMs);
    await settle();
  };
  /** Lives on until what was sent is merged: a drain that died is on the ladder, as after any failure. */
  const merged = async () => {
    for (let each = 0; each < 5; each++) {
      await minute();
      let isLeft = false;
      for await (const blob of storage.deltas.list('')) isLeft = blob.name !== '';
      if (!isLeft) return;
    }
  };
  /** Asks for a job unless it runs, or is over, already: its caller looks before it repeats. */
  const ask = (kind: string, request: () => Promise<unknown>) =>
    repeatAfterDeath(async () => {
      const record = await findItem(storage.items, item);
      const running = (await lifecycle.jobs()).find(
        (job) => job.kind === kind && job.id === record?.currentJob,
      );
      if (!running) await request();
    });

  await ask('enableProtection', () => lifecycle.enable());
  await minute();
  await repeatAfterDeath(() => source.copyDisks('2026-03-25T08:00:00.000Z'));
  await minute();
  await source.cycle();
  await merged();

  await ask('resynchronize', () => repairReplication(lifecycle.context, orchestrations, item));
  await minute();
  await source.resynchronize();
  await merged();

  await ask('scrub', () => startScrub(lifecycle.context, orchestrations, item));
  await minute();
  await repeatAfterDeath(async () => {
    if ((await source.assignment()).scrub?.cycle === null) await source.scrubCycle();
  });
  await merged();
  await minute();

  source.resize('extra', 64 * 512);
  await lifecycle.reportInventory();
  await ask('addDisk', () => addDisk(lifecycle.context, orchestrations, item, 'extra'));
  await minute();
  await repeatAfterDeath(() => source.copyDisks());
  await source.cycle();
  await merged();

  source.resize('data', 2 ** 21);
  await repeatAfterDeath(() => growDisk(lifecycle.context, item, 'data', 2 ** 21));
  await source.cycle();
  await merged();
  await repeatAfterDeath(() => removeDisk(lifecycle.context, item, 'extra'));
  await source.cycle();
  await merged();
  const cycles = await lifecycle.verifiedCycles();

  // A job that is cancelled, and points that are pruned.
  await ask('resynchronize', () => repairReplication(lifecycle.context, orchestrations, item));
  const running = (await lifecycle.record()).currentJob;
  if (running) await repeatAfterDeath(() => cancelJob(lifecycle.context, orchestrations, running));
  await minute();
  lifecycle.clock.advance(2 * hourMs);
  await settle();
  lifecycle.clock.advance(hourMs);
  await settle();
  expect(await lifecycle.verifiedCycles()).toHaveLength(1);

  await ask('disableProtection', async () => {
    if (await lifecycle.find())
      await disableProtection(lifecycle.context, orchestrations, { item, isSourceGone: true });
  });
  for (let each = 0; each < 3; each++) await minute();
  return { passed, cycles, kinds: await jobEnds(lifecycle), leftovers: await leftoversOf(lifecycle) };
}

async function jobEnds(lifecycle: Lifecycle): Promise<string[]> {
  return (await lifecycle.jobs()).map(({ kind, state }) => `${kind} ${state}`);
}

async function leftoversOf({ storage }: Lifecycle): Promise<string[]> {
  const left: string[] = [];
  for (const disk of ['os', 'data', 'extra'])
    if (await storage.replicas.find(`${item}/${disk}.vhd`)) left.push(`replica ${disk}`);
  for (const [name, container] of Object.entries({ deltas: storage.deltas, resync: storage.resync }))
    for await (const blob of container.list('')) left.push(`${name} ${blob.name}`);
  for await (const { key } of storage.items.list(item)) left.push(`row ${key}`);
  for await (const { key } of storage.vault.list('resyncSlots')) left.push(`slot ${key}`);
  for await (const { key } of storage.vault.list('targetNames')) left.push(`name ${key}`);
  return left;
}

describe('death at a fault point of the lifecycle', { timeout: 240_000 }, () => {
  it('ends as a life without a death, wherever it comes', async () => {
    const whole = await live(0);
    expect(whole.leftovers).toEqual([]);
    const points = new Set(whole.passed);
    for (const expected of [
      'job.afterInsert',
      'job.afterClaim',
      'job.afterDecision',
      'job.afterRelease',
      'resync.afterBegin',
      'resync.afterDigests',
      'scrub.afterVerdict',
      'grow.afterResize',
      'removeDisk.afterRow',
      'retention.afterRow',
      'retention.afterSnapshot',
      'disable.afterReplica',
      'disable.afterRows',
      'cancel.afterRow',
      'agenda.afterHandler',
    ])
      expect(points).toContain(expected);
    // Each point where it is first passed, and where it is passed last.
    const places = new Set<number>();
    for (const name of points) {
      places.add(whole.passed.indexOf(name) + 1);
      places.add(whole.passed.lastIndexOf(name) + 1);
    }
    for (const place of [...places].sort((a, b) => a - b)) {
      await nextTurn();
      const died = await live(place).catch((error: unknown) => {
        throw new Error(`death at ${whole.passed[place - 1] ?? ''} (${place})`, { cause: error });
      });
      const about = `death at ${whole.passed[place - 1] ?? ''} (${place})`;
      expect([about, died.cycles, died.leftovers]).toEqual([about, whole.cycles, []]);
      const open = died.kinds.filter((end) => /NotStarted|InProgress|Suspended/.test(end));
      expect([about, open]).toEqual([about, []]);
    }
  });
});
