// Dies at every named fault point that a clean run passes, one after another, starts again and expects the same
// recovery points with the same bytes. docs/replication-algorithm.md explains each moment. The disks of a cycle are
// merged at the same time, so a death in one of them meets the others at work.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drainItem } from '../../lib/replication/drain.ts';
import type { HrlWrite } from '../../lib/hrl/writer.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import { replicaName } from '../../lib/replication/names.ts';
import { azureStorage, type AzureStorage } from '../../lib/storage/azure/index.ts';
import { startAzurite, type RunningAzurite } from '../support/azurite.ts';
import { copyingService } from '../support/copyingService.ts';
import { deathAt, survive } from '../support/deaths.ts';
import { ProtectedVm } from '../support/protectedVm.ts';
import { startStorageProxy, type StorageProxy } from '../support/storageProxy.ts';

/** A write that is copied, one that is carried and one that is cleared, on the first of two disks. */
function mixedWrites(value: number): HrlWrite[][] {
  const filled = (diskOffset: number, sectors: number, byte: number): HrlWrite => ({
    diskOffset,
    data: new Uint8Array(sectors * 512).fill(byte),
  });
  return [
    [filled(512, 1200, value), filled(700 * 1024, 3, value), filled(800 * 1024, 16, 0)],
    [filled(4096, 8, value)],
  ];
}

interface Life {
  vm: ProtectedVm;
  passed: string[];
}

/** The whole life of two disks: initial replication with a queued log, cycles, a duplicate, a refused log sent again. */
async function live(n: number): Promise<Life> {
  const { fault, passed } = deathAt(n);
  const vm = new ProtectedVm({ seed: 3, diskSizes: [2 ** 20, 100 * 512] });
  const context: ReplicationContext = { ...vm.context, fault, verify: 'readback' };
  await vm.startInitialReplication();
  await vm.uploadCopies();
  const queued = vm.cutCycle(6);
  await vm.upload(...queued);
  Object.assign(vm.context, { fault });
  await survive(() => vm.complete({ pointInTime: '2026-01-01T00:00:00.000Z' }));
  await survive(() => drainItem(context, vm.item));
  const second = vm.cutCycle(mixedWrites(0x77));
  const broken = { ...second[0]!, bytes: second[0]!.bytes.slice(0, -1) };
  await vm.upload(...queued, broken, second[1]!);
  await survive(() => drainItem(context, vm.item));
  await vm.upload(second[0]!, ...vm.cutCycle(6));
  await survive(() => drainItem(context, vm.item));
  return { vm, passed };
}

async function expectWhole({ vm }: Life, cycles: number[], where: string): Promise<void> {
  expect(await vm.verifiedCycles(), where).toEqual(cycles);
  expect(
    (await vm.pendingNames()).filter((name) => name.startsWith(`${vm.item}/`)),
    where,
  ).toEqual([]);
  expect((await vm.record()).healthErrors, where).toEqual([]);
  // Every snapshot belongs to a recovery point: what a dead attempt made is gone.
  const lists = vm.disks.map((_, index) =>
    vm.storage.replicas.listSnapshots(replicaName(vm.item, ProtectedVm.diskId(index))),
  );
  expect((await Promise.all(lists)).flat(), where).toHaveLength(cycles.length * vm.disks.length);
}

describe('death at a fault point', () => {
  it('leaves the same recovery points and bytes, wherever it comes', async () => {
    const clean = await live(0);
    await expectWhole(clean, [0, 1, 2, 3], 'without a death');
    const names = new Set(clean.passed);
    for (const name of [
      'seal.afterTail',
      'drain.afterCheck',
      'apply.afterClaim',
      'apply.afterFence',
      'apply.afterWrite',
      'apply.afterCopy',
      'apply.afterClear',
      'apply.afterReadBack',
      'apply.afterSnapshot',
      'apply.afterCommit',
      'apply.afterLogDelete',
      'settle.afterDelete',
      'refuse.afterCopy',
    ]) {
      expect(names).toContain(name);
    }
    for (let n = 1; n <= clean.passed.length; n++) {
      const life = await live(n);
      await expectWhole(life, [0, 1, 2, 3], `after dying at ${life.passed[n - 1] ?? ''} (${n})`);
    }
  });

  it('meets both disks of a cycle at work', async () => {
    const { passed } = await live(0);
    const firstFences = passed.indexOf('apply.afterFence');
    expect(passed[firstFences + 1]).toBe('apply.afterFence');
  });
});

describe('death at a fault point, on Azurite with copies inside the service', () => {
  let azurite: RunningAzurite;
  let proxy: StorageProxy;
  let storage: AzureStorage;
  beforeAll(async () => {
    azurite = await startAzurite();
    proxy = await startStorageProxy(azurite, copyingService(azurite).intercept);
    storage = azureStorage({ connectionString: proxy.connectionString });
    await storage.ensureContainers();
  });
  afterAll(async () => {
    await proxy.stop();
    await azurite.stop();
  });

  /** One cycle of two disks. */
  async function liveOnce(n: number): Promise<Life> {
    const { fault, passed } = deathAt(n);
    const vm = new ProtectedVm({ diskSizes: [2 ** 20, 100 * 512], storage, item: `sweep-${n}` });
    await vm.protect();
    await vm.upload(...vm.cutCycle(mixedWrites(0x55)));
    await survive(() => drainItem({ ...vm.context, fault }, vm.item));
    return { vm, passed };
  }

  it('leaves the same recovery point and bytes', async () => {
    const clean = await liveOnce(0);
    expect(new Set(clean.passed)).toContain('apply.afterCopy');
    await expectWhole(clean, [1], 'without a death');
    // Once at every name: the sweep above dies at every single point.
    for (const [index, name] of clean.passed.entries()) {
      if (clean.passed.indexOf(name) !== index) continue;
      await expectWhole(await liveOnce(index + 1), [1], `after dying at ${name}`);
    }
  });
});
