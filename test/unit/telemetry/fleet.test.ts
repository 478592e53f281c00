import { expect, it } from 'vitest';
import { updateItem } from '../../../lib/protection/itemStore.ts';
import { drainItem } from '../../../lib/replication/drain.ts';
import { sampleFleet } from '../../../lib/telemetry/fleet.ts';
import { memoryStorage } from '../../../lib/storage/memory/index.ts';
import { policyRecord } from '../../../lib/vault/policies.ts';
import { policies, putResource } from '../../../lib/vault/resources.ts';
import { ProtectedVm } from '../../support/protectedVm.ts';
import { recordedTelemetry } from '../../support/recordedTelemetry.ts';

it('tells age of point and queue of every item, and what part of its objective that is', async () => {
  const storage = memoryStorage();
  const policy = policyRecord.parse({
    ...{
      name: 'policy',
      recoveryPointHistoryHours: 24,
      appConsistentFrequencyHours: 0,
      rpoThresholdSeconds: 600,
    },
    ...{ replicationIntervalSeconds: 300, onlineReplicationStartTime: null, storageAccountId: null },
  });
  await putResource(storage.vault, policies, policy);
  const machines: ProtectedVm[] = [];
  for (const item of ['vm-1', 'vm-2', 'vm-3'])
    machines.push(await new ProtectedVm({ item, storage }).protect());
  const [first, second, third] = machines as [ProtectedVm, ProtectedVm, ProtectedVm];
  for (const machine of [first, third]) {
    await machine.upload(...machine.cutCycle());
    await drainItem(machine.context, machine.item);
  }
  // The second has a cycle that lacks a log; the third is paused.
  await second.upload(second.cutCycle()[0]!);
  await drainItem(second.context, second.item);
  for (const { item } of machines)
    await updateItem(storage.items, item, (record) => ({ ...record, state: 'Protected' }));
  await updateItem(storage.items, third.item, (record) => ({
    ...record,
    pausedAt: '2026-01-01T00:00:00.000Z',
  }));

  const hosts = [
    { id: 'h1', lastSeenAt: new Date().toISOString(), revokedAt: null },
    { id: 'h2', lastSeenAt: new Date().toISOString(), revokedAt: new Date().toISOString() },
  ];
  for (const host of hosts) {
    const value = {
      ...{
        ...host,
        name: host.id,
        fabric: 'site1',
        publicKey: null,
        entraObjectId: null,
        agentVersion: null,
      },
      ...{ enrolledAt: '2026-01-01T00:00:00.000Z', tokens: [] },
    };
    await storage.access.transact('hosts', [{ kind: 'put', key: host.id, value }]);
  }

  const telemetry = recordedTelemetry();
  const now = new Date(Date.now() + 3_600_000);
  expect(await sampleFleet({ ...first.context, telemetry, clock: { now: () => now } })).toBe(3);
  const value = (metric: string, item: string): number | undefined =>
    telemetry.values.find((each) => each.metric === metric && each.attributes['item'] === item)?.value;

  const takenAt = Date.UTC(2026, 0, 1, 0, 1);
  const rpoSeconds = (now.getTime() - takenAt) / 1000;
  expect(value('lifeboat.rpo', 'vm-1')).toBeCloseTo(rpoSeconds, 3);
  expect(value('lifeboat.rpo.ratio', 'vm-1')).toBeCloseTo(rpoSeconds / 600, 3);
  expect(value('lifeboat.rpo', 'vm-2')).toBeUndefined();
  expect(value('lifeboat.rpo', 'vm-3')).toBeCloseTo(rpoSeconds, 3);
  expect(value('lifeboat.rpo.ratio', 'vm-3')).toBeUndefined();
  expect(value('lifeboat.queue.age', 'vm-1')).toBe(0);
  expect(value('lifeboat.queue.age', 'vm-2')).toBeGreaterThan(3500);
  expect(value('lifeboat.queue.bytes', 'vm-2')).toBeGreaterThan(0);
  const ages = telemetry.values.filter(({ metric }) => metric === 'lifeboat.host.heartbeat.age');
  expect(ages.map(({ attributes }) => attributes['host'])).toEqual(['site1/h1']);
  expect(ages[0]?.value).toBeGreaterThan(3500);
});
