// Dies at every named fault point that a clean run passes, one after another, starts again and expects the same
// recovery points with the same bytes. docs/replication-algorithm.md explains each moment.
import { describe, expect, it } from 'vitest';
import { drainItem } from '../../lib/replication/drain.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import { replicaName } from '../../lib/replication/names.ts';
import { ProtectedVm } from '../support/protectedVm.ts';

class SimulatedDeath extends Error {}

/** Dies at the n-th fault point of the process (0 = never); counts what it passed. */
function deathAt(n: number): { fault: (name: string) => void; passed: string[] } {
  const passed: string[] = [];
  return {
    passed,
    fault: (name) => {
      passed.push(name);
      if (passed.length === n) throw new SimulatedDeath(`${name} (${n})`);
    },
  };
}

/** Repeats a step as a restarted process would, until it gets through. */
async function survive(
  context: ReplicationContext,
  step: (context: ReplicationContext) => Promise<unknown>,
): Promise<void> {
  for (;;) {
    try {
      await step(context);
      return;
    } catch (error) {
      if (!(error instanceof SimulatedDeath)) throw error;
    }
  }
}

/** The whole life of two disks: initial replication with a queued log, cycles, a duplicate, a refused log sent again. */
async function live(n: number): Promise<{ vm: ProtectedVm; passed: string[] }> {
  const { fault, passed } = deathAt(n);
  const vm = new ProtectedVm({ seed: 3, diskSizes: [256 * 1024, 100 * 512] });
  const context = { ...vm.context, fault };
  await vm.startInitialReplication();
  await vm.uploadCopies();
  const queued = vm.cutCycle(6);
  await vm.upload(...queued);
  Object.assign(vm.context, { fault });
  await survive(context, () => vm.complete({ pointInTime: '2026-01-01T00:00:00.000Z' }));
  await survive(context, () => drainItem(context, vm.item));
  const second = vm.cutCycle(6);
  const broken = { ...second[0]!, bytes: second[0]!.bytes.slice(0, -1) };
  await vm.upload(...queued, broken, second[1]!);
  await survive(context, () => drainItem(context, vm.item));
  await vm.upload(second[0]!, ...vm.cutCycle(6));
  await survive(context, () => drainItem(context, vm.item));
  return { vm, passed };
}

async function snapshotCount(vm: ProtectedVm): Promise<number> {
  const lists = vm.disks.map((_, index) =>
    vm.storage.replicas.listSnapshots(replicaName(vm.item, ProtectedVm.diskId(index))),
  );
  return (await Promise.all(lists)).flat().length;
}

describe('death at a fault point', () => {
  it('leaves the same recovery points and bytes, wherever it comes', async () => {
    const clean = await live(0);
    expect(await clean.vm.verifiedCycles()).toEqual([0, 1, 2, 3]);
    const names = new Set(clean.passed);
    for (const name of [
      'seal.afterTail',
      'apply.afterClaim',
      'apply.afterWrite',
      'apply.afterSnapshot',
      'apply.afterCommit',
      'refuse.afterCopy',
    ]) {
      expect(names).toContain(name);
    }
    for (let n = 1; n <= clean.passed.length; n++) {
      const { vm, passed } = await live(n);
      const where = `after dying at ${passed[n - 1] ?? ''} (${n})`;
      expect(await vm.verifiedCycles(), where).toEqual([0, 1, 2, 3]);
      expect(await vm.pendingNames(), where).toEqual([]);
      expect((await vm.record()).healthErrors, where).toEqual([]);
      // Every snapshot belongs to a recovery point: what a dead attempt made is gone.
      expect(await snapshotCount(vm), where).toBe(4 * vm.disks.length);
    }
  });
});
