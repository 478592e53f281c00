// A storage that says "written" and keeps other bytes: reading back finds it before a recovery point claims them.
import { describe, expect, it } from 'vitest';
import { drainItem } from '../../lib/replication/drain.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import { memoryStorage } from '../../lib/storage/memory/index.ts';
import type { PageBlobPort } from '../../lib/storage/ports.ts';
import { ProtectedVm } from '../support/protectedVm.ts';

type Write = PageBlobPort['writePages'];

/** Loses the next page write when told to: the caller hears of a success. */
function forgetfulReplicas(): { replicas: PageBlobPort; loseNext: () => void } {
  const { replicas } = memoryStorage();
  let losesNext = false;
  const writePages: Write = async (name, offsetBytes, data, fence) => {
    const isLost = losesNext;
    losesNext = false;
    // One bit differs: nothing that counts bytes or requests could notice.
    const kept = data.slice();
    if (isLost) kept[kept.length - 1]! ^= 1;
    await replicas.writePages(name, offsetBytes, kept, fence);
  };
  return { replicas: { ...replicas, writePages, copyPages: undefined }, loseNext: () => (losesNext = true) };
}

async function protectedOnForgetful() {
  const { replicas, loseNext } = forgetfulReplicas();
  const vm = await new ProtectedVm({ storage: { ...memoryStorage(), replicas }, seed: 7 }).protect();
  const context: ReplicationContext = { ...vm.context, verify: 'readback' };
  await vm.upload(...vm.cutCycle());
  loseNext();
  return { vm, context };
}

describe('a write that was acknowledged and not kept', () => {
  it('keeps the recovery point from being recorded, is shown, and is put right by the next attempt', async () => {
    const { vm, context } = await protectedOnForgetful();
    await expect(drainItem(context, vm.item)).rejects.toMatchObject({ code: 'ReplicaVerifyFailed' });
    expect(await vm.points()).toEqual([]);
    expect(await vm.pendingNames()).toHaveLength(2);
    expect((await vm.record()).healthErrors).toMatchObject([
      {
        code: 'ReplicaVerifyFailed',
        level: 'Critical',
        subject: expect.stringContaining('vm-1/disk') as string,
      },
    ]);
    await drainItem(context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1]);
    expect((await vm.record()).healthErrors).toEqual([]);
  });

  it('goes unnoticed without reading back: what the option is for', async () => {
    const { vm, context } = await protectedOnForgetful();
    await drainItem({ ...context, verify: 'none' }, vm.item);
    await expect(vm.verifiedCycles()).rejects.toThrow('other bytes');
  });
});
