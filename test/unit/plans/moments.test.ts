// One moment of several machines, from the agreement of their sources to the disks that a plan recovers: a write on one machine
// that follows from a write on the other is never there without it.
import { createHash, randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import type { BarrierAnswer } from '../../../lib/moments/barrier.ts';
import { recoveredDiskName } from '../../../lib/recovery/names.ts';
import { listRecoveryPoints } from '../../../lib/protection/itemStore.ts';
import { PlanLife, planPath } from '../../support/planLife.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The sources of both machines agree on a moment, cut a cycle at it and send it labelled. */
async function cutTogether(
  life: PlanLife,
  mark: (id: string, label: string) => string = (_id, label) => label,
) {
  const attempt = randomUUID();
  const say = async (id: string, body: object): Promise<BarrierAnswer> =>
    (await life.call('POST', `/agent/v1/items/${id}/moment`, {
      attempt,
      ...body,
    })) as unknown as BarrierAnswer;
  const ids = [...life.sources.keys()];
  for (const id of ids) await say(id, { state: 'ready' });
  const { id: moment, phase } = await say(ids[0]!, { state: 'ready' });
  expect(phase).toBe('freezing');
  for (const id of ids) await say(id, { state: 'frozen', id: moment });
  for (const id of ids) {
    const source = life.sources.get(id)!;
    expect(await say(id, { state: 'frozen', id: moment })).toEqual({ id: moment, phase: 'cut' });
    const logs = source.cutCycle(await source.assignment());
    await source.send(
      ...logs.map((log) => ({ ...log, metadata: { ...log.metadata, moment: mark(id, moment!) } })),
    );
  }
  life.clock.advance(1000);
  await life.settle();
  return moment!;
}

const digests = (life: PlanLife): Record<string, string> =>
  Object.fromEntries([...life.sources].map(([id, { disks }]) => [id, sha256(disks.get('os')!)]));

async function recovered(life: PlanLife): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { id, item } of await life.jobsOf('testFailover')) {
    const name = recoveredDiskName({ item: item!, jobId: id, disk: 'os' });
    const range = { offsetBytes: 0, lengthBytes: life.sources.get(item!)!.disks.get('os')!.length };
    found[item!] = sha256(await life.storage.recovered.read(name, range));
  }
  return found;
}

const together = {
  failoverDirection: 'PrimaryToRecovery',
  networkType: 'NoNetworkAttachAsInput',
  providerSpecificDetails: [
    { instanceType: 'HyperVReplicaAzure', multiVmSyncPoint: 'UseMultiVmSyncRecoveryPoint' },
  ],
};

describe('a plan over one moment', () => {
  let life: PlanLife;
  beforeEach(async () => {
    life = await PlanLife.create([
      { groupType: 'Shutdown' },
      { groupType: 'Failover' },
      { groupType: 'Boot', machines: ['db-1', 'web-1'] },
    ]);
    await life.call('PATCH', '/lifeboat/v1/policies/gold', { consistencyGroup: true });
  });

  it('recovers every machine as it was at the newest moment that all have, though each has newer points', async () => {
    await cutTogether(life);
    const moment = await cutTogether(life);
    const then = digests(life);
    await life.cycles();
    // A moment that one machine did not take part in to its end counts for nobody.
    await cutTogether(life, (id, label) => (id === 'web-1' ? 'none' : label));
    expect(digests(life)).not.toEqual(then);
    await life.call('POST', `${planPath}/testFailover`, { properties: together });
    const [job] = await life.jobsOf('planTestFailover');
    expect((await life.finish(job!)).state).toBe('Succeeded');
    expect((await life.job(job!.id)).run?.options.moment).toBe(moment);
    expect(await recovered(life)).toEqual(then);
    const shown = await life.call('GET', `${life.itemPath('db-1')}/recoveryPoints`);
    expect(JSON.stringify(shown)).toContain(`"multiVmMoment":"${moment}"`);
  });

  it('is refused while there is no such moment, and a label that is none makes an ordinary point', async () => {
    await cutTogether(life, (id) => `of ${id}`);
    for await (const { moment } of listRecoveryPoints(life.storage.items, 'db-1')) expect(moment).toBeNull();
    const refused = await life.api.call('POST', `${planPath}/testFailover`, { properties: together });
    expect(refused).toMatchObject({ status: 409, body: { error: { code: 'PlanNotReady' } } });
    expect(JSON.stringify(refused.body)).toContain('web-1-name');
  });

  it('machines outside of a group, paused or alone in it agree on nothing', async () => {
    const say = (id: string) =>
      life.call('POST', `/agent/v1/items/${id}/moment`, { state: 'ready', attempt: id });
    await life.call('POST', '/lifeboat/v1/items/web-1/pause');
    expect(await say('db-1')).toEqual({ id: null, phase: 'alone' });
    await life.call('POST', '/lifeboat/v1/items/web-1/resume');
    expect(await say('db-1')).toMatchObject({ phase: 'gathering' });
    await life.call('PATCH', '/lifeboat/v1/policies/gold', { consistencyGroup: false });
    expect(await say('db-1')).toEqual({ id: null, phase: 'alone' });
  });
});
