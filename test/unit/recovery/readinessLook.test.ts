// The readiness of items, looked at by a timer: what it finds shows in their health and in the API, goes when it is mended, and
// costs the same however many items there are that are not due. And what a failover is expected to take.
import { describe, expect, it } from 'vitest';
import { runDue } from '../../../lib/agenda/agenda.ts';
import { findJob } from '../../../lib/jobs/jobStore.ts';
import { updateItem } from '../../../lib/protection/itemStore.ts';
import { lookAtReadiness } from '../../../lib/recovery/readinessCheck.ts';
import { estimateRto } from '../../../lib/recovery/rtoEstimate.ts';
import { startTestFailover } from '../../../lib/recovery/testFailover.ts';
import { hourMs } from '../../support/manualClock.ts';
import { RecoveryLife, item } from '../../support/recoveryLife.ts';

const dayMs = 24 * hourMs;

/** What clients see. */
async function shown(life: RecoveryLife) {
  const path = `${life.life.container}/replicationProtectedItems/${item}`;
  const { properties } = await life.life.call('GET', path);
  const { failoverHealth, healthErrors } = properties as {
    failoverHealth: string;
    healthErrors: { errorCode: string; errorCategory: string; errorMessage: string }[];
  };
  return { failoverHealth, errors: healthErrors.filter(({ errorCode }) => errorCode === 'FailoverNotReady') };
}

/** Another writer than the API, which refuses such a choice: a name of a disk that Azure does not take. */
const spoil = (life: RecoveryLife, name: string | null) =>
  updateItem(life.storage.items, item, (record) => ({
    ...record,
    providerInput: {
      ...record.providerInput,
      vmDisks: [{ diskId: 'os', targetDiskName: name }],
      targetAzureVmName: name ?? 'web01',
    },
  }));

describe('readiness on a timer', () => {
  it('is found, shown in health and API, and gone when it is mended', async () => {
    const life = await RecoveryLife.create(1);
    await life.life.pass(2 * hourMs, hourMs / 4);
    await life.settle();
    expect((await life.life.record()).readiness).toMatchObject({ issues: [] });
    expect(await shown(life)).toEqual({ failoverHealth: 'Normal', errors: [] });
    await spoil(life, 'not a name!');
    // Not before it is due: nothing else looked at it.
    await life.settle();
    expect((await shown(life)).errors).toEqual([]);
    life.life.clock.advance(7 * hourMs);
    await life.settle();
    const found = await shown(life);
    expect(found.failoverHealth).toBe('Critical');
    expect(found.errors).toHaveLength(1);
    expect(found.errors[0]).toMatchObject({ errorCategory: 'Configuration' });
    expect(found.errors[0]?.errorMessage).toContain('not a name!');
    await spoil(life, null);
    life.life.clock.advance(7 * hourMs);
    await life.settle();
    expect(await shown(life)).toEqual({ failoverHealth: 'Normal', errors: [] });
  });

  it('is looked at anew when the settings of the target change', async () => {
    const life = await RecoveryLife.create(1);
    await life.life.pass(2 * hourMs, hourMs / 4);
    await life.settle();
    const before = (await life.life.record()).readiness?.checkedAt;
    life.life.clock.advance(1000);
    const path = `${life.life.container}/replicationProtectedItems/${item}`;
    await life.life.call('PATCH', path, { properties: { recoveryAzureVMName: 'web02' } });
    await life.settle();
    expect((await life.life.record()).readiness?.checkedAt).not.toBe(before);
  });

  it('looks at items that are due and no others, and at one that has failed over not at all', async () => {
    const life = await RecoveryLife.create(1);
    await life.life.pass(2 * hourMs, hourMs / 4);
    await life.settle();
    const look = () => runDue(life.context, 'readiness', (record) => lookAtReadiness(life.context, record));
    expect(await look()).toBe(0);
    life.life.clock.advance(7 * hourMs);
    expect([await look(), await look()]).toEqual([1, 0]);
    const { readiness } = await life.life.record();
    await updateItem(life.storage.items, item, (record) => ({ ...record, state: 'CommitFailoverCompleted' }));
    life.life.clock.advance(7 * hourMs);
    expect(await look()).toBe(1);
    expect((await life.life.record()).readiness).toEqual(readiness);
  });

  it.each([
    [undefined, 181],
    [30, 31],
  ])('warns after as many days without a good test as the setting says (%s)', async (testDueDays, days) => {
    const life = await RecoveryLife.create(1);
    if (testDueDays !== undefined) life.context.testDueDays = testDueDays;
    const codes = async () => (await life.life.record()).healthErrors.map(({ code }) => code);
    const pass = async (ms: number) => {
      life.life.clock.advance(ms);
      await life.settle();
    };
    await pass((days - 2) * dayMs);
    expect(await codes()).not.toContain('TestFailoverDue');
    await pass(2 * dayMs);
    expect(await codes()).toContain('TestFailoverDue');
    const { warning } = await life.life
      .call('GET', `/lifeboat/v1/items/${item}/failoverReadiness`)
      .then(({ issues }) => ({
        warning: (issues as { check: string; severity: string }[]).find(({ check }) => check === 'Drill'),
      }));
    expect(warning).toMatchObject({ severity: 'Warning' });
  });
});

describe('what a failover is expected to take', () => {
  it('is worked out of the sizes at first, then what the last one took; both stand on the job and the point', async () => {
    const life = await RecoveryLife.create(1);
    const readiness = () => life.life.call('GET', `/lifeboat/v1/items/${item}/failoverReadiness`);
    expect(await readiness()).toMatchObject({ estimatedRtoFrom: 'sizes', estimatedRtoSeconds: 31 });
    const test = await startTestFailover(life.context, life.orchestrations, { item });
    await life.finish(test);
    const { rtoSeconds, ...result } = (await findJob(life.storage.jobs, test.id))!.result;
    expect(result).toMatchObject({ estimatedRtoFrom: 'sizes', estimatedRtoSeconds: 31 });
    const [, point] = await life.life.points();
    expect(point?.drills).toEqual([
      expect.objectContaining({ jobId: test.id, rtoSeconds, estimatedRtoSeconds: 31 }),
    ]);
    expect(await life.report(test.id)).toMatchObject({ rtoSeconds, estimatedRtoSeconds: 31 });
    expect(await readiness()).toMatchObject({
      ...{ estimatedRtoFrom: 'lastRun', estimatedRtoSeconds: Math.round(Number(rtoSeconds)) },
      dataLossSeconds: expect.any(Number) as number,
    });
  });

  it('counts the largest disk, or all of them in two places, and the making of a machine', () => {
    const gibibyte = 2 ** 30;
    const disk = (sizeBytes: number) => ({ sizeBytes }) as never;
    const from = (sizes: number[]) =>
      estimateRto({ lastRtoSeconds: null, disks: sizes.map(disk) }, 'azure').estimatedRtoSeconds;
    expect(from([60 * gibibyte])).toBe(1024 + 240);
    expect(from([60 * gibibyte, 30 * gibibyte])).toBe(1024 + 240);
    expect(from([60 * gibibyte, 60 * gibibyte, 60 * gibibyte])).toBe(1536 + 240);
  });
});
