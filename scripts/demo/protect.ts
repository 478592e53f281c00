// Setting up protection as an administrator would: site, policy, mapping, inventory, protected item.
import type { InventoryReport } from '../../agent/serviceClient.ts';
import type { ServiceClient } from '../../agent/serviceClient.ts';
import type { VaultClient } from '../../agent/vaultClient.ts';
import { item, machine, site } from './demo.ts';
import type { TrackedDisk } from './trackedDisk.ts';

const policy = 'demo-policy';

function inventory(disks: readonly TrackedDisk[]): InventoryReport {
  return {
    host: { name: 'demo-host' },
    machines: [
      {
        ...machine,
        generation: '2',
        osType: 'Linux',
        disks: disks.map(({ id, sizeBytes }) => ({ id, name: `${id}.vhdx`, sizeBytes })),
      },
    ],
  };
}

/** Returns the segments of the protected item once the service waits for its disks. */
export async function protectMachine(
  client: ServiceClient,
  vault: VaultClient,
  disks: readonly TrackedDisk[],
): Promise<string[]> {
  await vault.put(['replicationFabrics', site], {});
  const container = await vault.getContainer(site);
  const inContainer = ['replicationFabrics', site, 'replicationProtectionContainers', container];
  const policySegments = ['replicationPolicies', policy];
  await vault.put(policySegments, {
    providerSpecificInput: { instanceType: 'HyperVReplicaAzure', replicationInterval: 30 },
  });
  const policyId = vault.id(...policySegments);
  await vault.put([...inContainer, 'replicationProtectionContainerMappings', 'demo-mapping'], { policyId });
  await client.putInventory(site, inventory(disks));
  const itemSegments = [...inContainer, 'replicationProtectedItems', item];
  await vault.put(itemSegments, {
    policyId,
    protectableItemId: vault.id(...inContainer, 'replicationProtectableItems', machine.id),
    providerSpecificDetails: { instanceType: 'HyperVReplicaAzure' },
  });
  return itemSegments;
}
