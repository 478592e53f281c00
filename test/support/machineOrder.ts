// A machine to be made, good in every respect; tests spoil what they are about.
import type { MachineOrder } from '../../lib/compute/port.ts';
import { recoveredDiskName } from '../../lib/recovery/names.ts';

export const resourceGroupId = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/dr';
export const networkId = `${resourceGroupId}/providers/Microsoft.Network/virtualNetworks/prod`;
export const testNetworkId = `${resourceGroupId}/providers/Microsoft.Network/virtualNetworks/isolated`;

export function machineOrder(overrides: Partial<MachineOrder> = {}): MachineOrder {
  const { item, jobId } = { item: 'vm-1', jobId: '7e000000-0000-8000-a000-0000deadbeef', ...overrides };
  const disk = (name: string, type: 'OperatingSystem' | 'DataDisk', lun: number) => ({
    ...{ disk: name, type, lun, targetName: null, blobSizeBytes: 32 * 2 ** 20 + 512 },
    blobName: recoveredDiskName({ item, jobId, disk: name }),
  });
  return {
    ...{ item, jobId, purpose: 'failover', name: 'web01', generation: '2', osType: 'Linux' },
    ...{ memoryMb: 2048, processors: 2 },
    disks: [disk('os', 'OperatingSystem', 0), disk('data', 'DataDisk', 0)],
    nics: [{ nic: 'nic-a', networkId, subnet: 'front', staticIp: null, isPrimary: true }],
    placement: {
      ...{ resourceGroupId, size: 'Standard_D2s_v5', diskType: null, diskEncryptionSetId: null },
      ...{
        availabilitySetId: null,
        zone: null,
        proximityPlacementGroupId: null,
        licenseType: null,
        tags: {},
      },
    },
    ...overrides,
  };
}
