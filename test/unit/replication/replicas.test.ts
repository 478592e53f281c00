import { describe, expect, it } from 'vitest';
import { createReplicas } from '../../../lib/replication/replicas.ts';
import { replicaName } from '../../../lib/replication/names.ts';
import { drainItem } from '../../../lib/replication/drain.ts';
import { ProtectedVm } from '../../support/protectedVm.ts';

const garbage = new Uint8Array(512).fill(0xee);

describe('replicas around initial replication', () => {
  it('are made anew by a repeated attempt, so that old bytes do not show where a source skips zeros', async () => {
    const vm = new ProtectedVm({ diskSizes: [2 ** 20] });
    await vm.startInitialReplication();
    const name = replicaName(vm.item, 'disk0');
    await vm.storage.replicas.writePages(name, 4096, garbage);
    await createReplicas(vm.context, await vm.record());
    const bytes = await vm.storage.replicas.read(name, { offsetBytes: 0, lengthBytes: 2 ** 20 });
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('are not touched when they belong to an earlier protection', async () => {
    const vm = await new ProtectedVm({ diskSizes: [2 ** 20] }).protect();
    await expect(createReplicas(vm.context, await vm.record())).rejects.toMatchObject({ code: 'BlobExists' });
    await vm.upload(...vm.cutCycle());
    await drainItem(vm.context, vm.item);
    const name = replicaName(vm.item, 'disk0');
    await vm.storage.replicas.releaseLease(name, (await vm.record()).disks[0]!.leaseId!);
    // Not leased any more, but its snapshots are recovery points.
    await expect(createReplicas(vm.context, await vm.record())).rejects.toMatchObject({ code: 'BlobExists' });
    expect(await vm.verifiedCycles()).toEqual([1]);
  });

  it('have zeros behind the disk and a footer, whatever the client left there', async () => {
    const vm = new ProtectedVm({ diskSizes: [300 * 512] });
    await vm.startInitialReplication();
    await vm.uploadCopies();
    const name = replicaName(vm.item, 'disk0');
    for (const offset of [300 * 512, 2 ** 20 - 512, 2 ** 20])
      await vm.storage.replicas.writePages(name, offset, garbage);
    await vm.complete();
    await vm.upload(...vm.cutCycle());
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1]);
  });
});
