// What replication says about its work: the trace of an upload goes on to the recovery point, and every measure has its ids.
import { expect, it } from 'vitest';
import { drainItem } from '../../../lib/replication/drain.ts';
import { drainOnLadder } from '../../../lib/protection/failures.ts';
import { LifeboatError } from '../../../lib/errors.ts';
import type { RecoveryPointRecord } from '../../../lib/protection/item.ts';
import { listRecoveryPoints } from '../../../lib/protection/itemStore.ts';
import { ProtectedVm } from '../../support/protectedVm.ts';
import { recordedTelemetry } from '../../support/recordedTelemetry.ts';

async function pointsOf({ storage, item }: ProtectedVm): Promise<RecoveryPointRecord[]> {
  const points: RecoveryPointRecord[] = [];
  for await (const point of listRecoveryPoints(storage.items, item)) points.push(point);
  return points;
}

const traceparent = (digit: string): string => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`;

it('the trace of the uploads goes through check, merge and snapshot of their cycle', async () => {
  const vm = await new ProtectedVm().protect();
  const telemetry = recordedTelemetry();
  const logs = vm.cutCycle();
  logs.forEach((log, index) => (log.metadata['traceparent'] = traceparent(String(index + 1))));
  await vm.upload(...logs);
  expect((await drainItem({ ...vm.context, telemetry }, vm.item)).appliedCycles).toEqual([1]);
  const [cycle, ...parts] = telemetry.spans;
  expect(cycle).toMatchObject({
    name: 'lifeboat.cycle.apply',
    ids: { item: vm.item, cycle: 1 },
    causes: [traceparent('1'), traceparent('2')],
    attributes: { 'lifeboat.applied': true },
  });
  expect(parts.map(({ name, parent }) => `${name} in ${parent}`).sort()).toEqual([
    'lifeboat.cycle.record in lifeboat.cycle.apply',
    'lifeboat.cycle.snapshot in lifeboat.cycle.apply',
    'lifeboat.log.check in lifeboat.cycle.apply',
    'lifeboat.log.check in lifeboat.cycle.apply',
    'lifeboat.log.merge in lifeboat.cycle.apply',
    'lifeboat.log.merge in lifeboat.cycle.apply',
  ]);
  expect(new Set(telemetry.spans.map((span) => span.traceparent))).toEqual(new Set([traceparent('1')]));
  expect(new Set(parts.map(({ ids }) => ids?.cycle))).toEqual(new Set([1]));
  expect(telemetry.events).toMatchObject([{ name: 'cycle.applied', trace: '1'.repeat(32) }]);
  const [point] = await pointsOf(vm);
  expect(point?.traceId).toBe('1'.repeat(32));
  const recorded = parts.find(({ name }) => name === 'lifeboat.cycle.record');
  expect(recorded?.attributes).toEqual({ 'lifeboat.recoverypoint': point?.id });
  expect(await vm.verifiedCycles()).toEqual([1]);
});

it('logs without a trace, or with what is none, make the same recovery point, and nothing of theirs is told', async () => {
  const vm = await new ProtectedVm().protect();
  const telemetry = recordedTelemetry();
  const foreign = [
    `ff-${'1'.repeat(32)}-${'1'.repeat(16)}-01`,
    '<script>alert(1)</script>',
    'x'.repeat(4000),
  ];
  for (const text of foreign) {
    const [first, second] = vm.cutCycle();
    first!.metadata['traceparent'] = text;
    await vm.upload(first!, second!);
  }
  await drainItem({ ...vm.context, telemetry }, vm.item);
  expect(await vm.verifiedCycles()).toEqual([1, 2, 3]);
  expect((await pointsOf(vm)).map(({ traceId }) => traceId)).toEqual([null, null, null]);
  expect(telemetry.spans.flatMap(({ causes }) => causes)).toEqual([]);
  const told = JSON.stringify([telemetry.spans, telemetry.events]);
  for (const text of foreign) expect(told).not.toContain(text);
});

it('counts the data of the logs, and durations and latency once a cycle', async () => {
  const vm = await new ProtectedVm().protect();
  const telemetry = recordedTelemetry();
  for (let cycle = 1; cycle <= 3; cycle++) await vm.upload(...vm.cutCycle());
  await drainItem({ ...vm.context, telemetry }, vm.item);
  const sums = (metric: string) => telemetry.values.filter((each) => each.metric === metric);
  expect(sums('lifeboat.cycle.duration')).toHaveLength(3);
  expect(sums('lifeboat.cycle.latency').every(({ value }) => value >= 0)).toBe(true);
  const bytes = sums('lifeboat.merge.bytes').reduce((total, { value }) => total + value, 0);
  let expected = 0;
  for await (const { value } of vm.storage.items.list(vm.item, { from: 'cycle:', to: 'cycle;' }))
    for (const log of (value as { logs: { dataBytes: number }[] }).logs) expected += log.dataBytes;
  expect(bytes).toBe(expected);
  expect(telemetry.events.map(({ name }) => name)).toEqual(Array.from({ length: 3 }, () => 'cycle.applied'));
});

it('a refused log is counted by its code, and its cycle is not counted as applied', async () => {
  const vm = await new ProtectedVm().protect();
  const telemetry = recordedTelemetry();
  const [first, second] = vm.cutCycle();
  await vm.upload({ ...first!, bytes: first!.bytes.slice(0, 4000) }, second!);
  expect((await drainItem({ ...vm.context, telemetry }, vm.item)).outcome).toBe('refused');
  const [refusal, ...more] = telemetry.values;
  expect(refusal).toMatchObject({ metric: 'lifeboat.log.refused', value: 1 });
  expect(refusal?.attributes['code']).toMatch(/^Log/);
  expect(more).toEqual([]);
  expect(telemetry.spans[0]?.attributes).toEqual({ 'lifeboat.applied': false });
});

it('a failed drain is a retry with its code, and its span has failed', async () => {
  const vm = await new ProtectedVm().protect();
  const telemetry = recordedTelemetry();
  await vm.upload(...vm.cutCycle());
  const fault = (point: string): void => {
    if (point === 'apply.afterClaim') throw new LifeboatError('StorageUnavailable', 'gone');
  };
  await drainOnLadder({ ...vm.context, telemetry, fault }, vm.item);
  expect(telemetry.values.at(-1)).toMatchObject({
    metric: 'lifeboat.retry',
    attributes: { code: 'StorageUnavailable' },
  });
  expect(telemetry.spans.find(({ name }) => name === 'lifeboat.item.drain')?.failed).toBe(true);
});
