// What finalizing protection refuses, and how it goes on.
import { describe, expect, it } from 'vitest';
import { updateItem } from '../../lib/protection/itemStore.ts';
import { restartJob } from '../../lib/protection/jobControl.ts';
import { item, Lifecycle } from '../support/lifecycle.ts';

describe('finalizing', () => {
  const network = (name: string) =>
    `/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/${name}`;
  const choose = (lifecycle: Lifecycle, providerInput: Record<string, unknown>) =>
    updateItem(lifecycle.storage.items, item, (record) => ({ ...record, providerInput }));

  it('lists every choice that no failover could use, and goes on without a second copy once they are right', async () => {
    const lifecycle = await Lifecycle.create();
    await lifecycle.enable();
    const nics = [{ id: 'nic-a' }, { id: 'nic-b' }];
    const disks = [...lifecycle.source.disks].map(([id, bytes]) => ({ id, sizeBytes: bytes.length }));
    await lifecycle.call('PUT', '/agent/v1/sites/site1/inventory', {
      host: { name: 'hv1' },
      machines: [{ id: item, name: 'web01', generation: '2', disks, nics }],
    });
    await choose(lifecycle, {
      vmNics: [
        { nicId: 'nic-a', recoveryVMNetworkId: network('one'), replicaNicStaticIPAddress: '10.0.0.300' },
        { nicId: 'NIC-B', recoveryVMNetworkId: network('two') },
        { nicId: 'nic-c' },
      ],
      vmDisks: disks.map(({ id }) => ({ diskId: id, targetDiskName: 'same' })),
    });
    await lifecycle.source.copyDisks(lifecycle.clock.now().toISOString());
    await lifecycle.settle();
    const [failed] = await lifecycle.jobs();
    expect(failed).toMatchObject({ state: 'Failed' });
    expect(failed!.errors.map(({ message }) => message)).toEqual([
      'Disks os and data would both be called "same".',
      '"10.0.0.300" is no IPv4 address.',
      'The adapters of a machine must be in one virtual network.',
      'vmNics names adapter "nic-c", which machine web01 does not have; it has nic-a, nic-b.',
    ]);
    expect((await lifecycle.record()).state).toBe('InitialReplicationFailed');

    await choose(lifecycle, { vmNics: [{ nicId: 'nic-a', recoveryVMNetworkId: network('one') }] });
    await restartJob(lifecycle.context, lifecycle.api.context.orchestrations, failed!.id);
    await lifecycle.settle();
    expect((await lifecycle.record()).state).toBe('Protected');
    expect(await lifecycle.verifiedCycles()).toEqual([0]);
  });
});
