// Setting up protection as an administrator would: site, policy, mapping, inventory, protected item.
import type { ServiceClient } from '../../agent/serviceClient.ts';
import type { VaultClient } from '../../agent/vaultClient.ts';
import { item, machine, site } from './demo.ts';
import type { TrackedDisk } from './trackedDisk.ts';

const policy = 'demo-policy';

interface DemoMachine {
  /** Name of the protected item. */
  item: string;
  id: string;
  name: string;
  generation: '1' | '2';
}

type DemoDisk = Pick<TrackedDisk, 'id' | 'sizeBytes'>;

/** The machine of the boot drill: its disk is a boot sector and a marker, so its firmware is a BIOS. */
export const bootMachine: DemoMachine = {
  ...{ item: 'demo-boot', id: '0c1f6f55-1a3b-4a52-9df4-6a3ed41c2b11', name: 'Demo Boot', generation: '1' },
};
const mainMachine: DemoMachine = { ...machine, item, generation: '2' };

/** Creates the site and what belongs to it, and protects the demo's main machine. Returns the segments of the protected item. */
export async function protectMachine(
  client: ServiceClient,
  vault: VaultClient,
  disks: readonly DemoDisk[],
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
  return enableProtection(client, vault, mainMachine, disks);
}

/** Reports the machine and protects it; returns the segments of the protected item once the service waits for its disks. */
export async function enableProtection(
  client: ServiceClient,
  vault: VaultClient,
  { item: name, id, name: machineName, generation }: DemoMachine,
  disks: readonly DemoDisk[],
): Promise<string[]> {
  const machineDisks = disks.map(({ id: disk, sizeBytes }) => ({
    ...{ id: disk, name: `${disk}.vhdx`, sizeBytes },
  }));
  // A host of its own for each: a host's report replaces the one before.
  await client.putInventory(site, {
    host: { name: `${name}-host` },
    machines: [{ id, name: machineName, generation, osType: 'Linux', disks: machineDisks }],
  });
  const container = await vault.getContainer(site);
  const inContainer = ['replicationFabrics', site, 'replicationProtectionContainers', container];
  const itemSegments = [...inContainer, 'replicationProtectedItems', name];
  await vault.put(itemSegments, {
    policyId: vault.id('replicationPolicies', policy),
    protectableItemId: vault.id(...inContainer, 'replicationProtectableItems', id),
    providerSpecificDetails: { instanceType: 'HyperVReplicaAzure' },
  });
  return itemSegments;
}
