// The Azure resources of a recovered machine, as data: what the provider `azure` puts one by one and what the provider
// `vhd` writes as a template are the same objects. In the order in which they must exist.
import {
  machineName,
  marksOf,
  nicName,
  securityGroupName,
  snapshotName,
  targetDiskName,
} from './machineNames.ts';
import type { FreezeRef, MachineDisk, MachineNic, MachineOrder } from './port.ts';

export interface AzureResource {
  /** For example `Microsoft.Compute/disks`. */
  type: string;
  apiVersion: string;
  name: string;
  /** The body of its PUT. */
  body: {
    location: string;
    tags: Record<string, string>;
    sku?: { name: string };
    zones?: string[];
    properties: object;
  };
}

/** How the resources name what is outside of them; a template puts expressions here. */
export interface ResourceContext {
  location: string;
  /** ARM id of the account that holds the container `recovered`. */
  storageAccountId: string;
  /** URL of a blob in the container `recovered`. */
  blobUrl(blobName: string): string;
  /** ARM id of a resource of this list. */
  resourceId(type: string, name: string): string;
  /** ARM id of the subnet that a network interface is put into. */
  subnetId(nic: MachineNic): string;
  defaultSize: string;
}

export const resourceTypes = {
  disk: { type: 'Microsoft.Compute/disks', apiVersion: '2024-03-02' },
  snapshot: { type: 'Microsoft.Compute/snapshots', apiVersion: '2024-03-02' },
  machine: { type: 'Microsoft.Compute/virtualMachines', apiVersion: '2024-07-01' },
  nic: { type: 'Microsoft.Network/networkInterfaces', apiVersion: '2024-05-01' },
  securityGroup: { type: 'Microsoft.Network/networkSecurityGroups', apiVersion: '2024-05-01' },
} as const;

const defaultDiskType = 'StandardSSD_LRS';

/** All resources of the machine, each after those that it needs. */
export function machineResources(order: MachineOrder, context: ResourceContext): AzureResource[] {
  return [
    ...order.disks.map((disk) => diskResource(order, disk, context)),
    securityGroupResource(order, context),
    ...order.nics.map((nic) => nicResource(order, nic, context)),
    machineResource(order, context),
  ];
}

const tagsOf = (order: MachineOrder): Record<string, string> => ({
  ...order.placement.tags,
  ...marksOf(order, order.purpose),
});

const zonesOf = ({ placement: { zone } }: MachineOrder): { zones?: string[] } =>
  zone === null ? {} : { zones: [zone] };

/** Resource Manager knows two; a guest that is neither boots as Linux does, without an agent's help. */
const osTypeOf = ({ osType }: MachineOrder): string => (osType === 'Windows' ? 'Windows' : 'Linux');

function diskResource(order: MachineOrder, disk: MachineDisk, context: ResourceContext): AzureResource {
  const { diskType, diskEncryptionSetId } = order.placement;
  const isOsDisk = disk.type === 'OperatingSystem';
  return {
    ...resourceTypes.disk,
    name: targetDiskName(order, disk),
    body: {
      location: context.location,
      tags: tagsOf(order),
      sku: { name: diskType ?? defaultDiskType },
      ...zonesOf(order),
      properties: {
        ...(isOsDisk && { osType: osTypeOf(order), hyperVGeneration: `V${order.generation}` }),
        creationData: {
          createOption: 'Import',
          sourceUri: context.blobUrl(disk.blobName),
          storageAccountId: context.storageAccountId,
        },
        ...(diskEncryptionSetId !== null && {
          encryption: { type: 'EncryptionAtRestWithCustomerKey', diskEncryptionSetId },
        }),
        networkAccessPolicy: 'DenyAll',
        publicNetworkAccess: 'Disabled',
      },
    },
  };
}

/**
 * A disk of the machine as it is when the snapshot is taken, for the job that reads it. It is exported under a signed URL for
 * as long as it is read, so it has a network, unlike its disk.
 */
export function snapshotResource(
  { order, jobId, pass }: FreezeRef,
  disk: MachineDisk,
  { location, resourceId }: Pick<ResourceContext, 'location' | 'resourceId'>,
): AzureResource {
  const { diskType, diskEncryptionSetId } = order.placement;
  const isZonal = diskType?.endsWith('_ZRS') === true;
  return {
    ...resourceTypes.snapshot,
    name: snapshotName({ order, jobId, pass }, disk),
    body: {
      location,
      tags: { ...order.placement.tags, ...marksOf({ item: order.item, jobId }, order.purpose) },
      sku: { name: isZonal ? 'Standard_ZRS' : 'Standard_LRS' },
      properties: {
        creationData: {
          createOption: 'Copy',
          sourceResourceId: resourceId(resourceTypes.disk.type, targetDiskName(order, disk)),
        },
        // Of two such snapshots the service tells what differs.
        incremental: true,
        ...(diskEncryptionSetId !== null && {
          encryption: { type: 'EncryptionAtRestWithCustomerKey', diskEncryptionSetId },
        }),
        networkAccessPolicy: 'AllowAll',
        publicNetworkAccess: 'Enabled',
      },
    },
  };
}

/** Nothing from the internet comes in, whatever the subnet's own rules say. */
function securityGroupResource(order: MachineOrder, context: ResourceContext): AzureResource {
  const rule = (name: string, priority: number, access: 'Allow' | 'Deny', sourceAddressPrefix: string) => ({
    name,
    properties: {
      ...{ priority, access, sourceAddressPrefix, direction: 'Inbound', protocol: '*' },
      ...{ sourcePortRange: '*', destinationAddressPrefix: '*', destinationPortRange: '*' },
    },
  });
  return {
    ...resourceTypes.securityGroup,
    name: securityGroupName(order),
    body: {
      location: context.location,
      tags: tagsOf(order),
      properties: { securityRules: [rule('DenyInternetInbound', 100, 'Deny', 'Internet')] },
    },
  };
}

function nicResource(order: MachineOrder, nic: MachineNic, context: ResourceContext): AzureResource {
  return {
    ...resourceTypes.nic,
    name: nicName(order, nic),
    body: {
      location: context.location,
      tags: tagsOf(order),
      properties: {
        ipConfigurations: [
          {
            name: 'ipconfig1',
            properties: {
              primary: true,
              subnet: { id: context.subnetId(nic) },
              ...(nic.staticIp === null
                ? { privateIPAllocationMethod: 'Dynamic' }
                : { privateIPAllocationMethod: 'Static', privateIPAddress: nic.staticIp }),
            },
          },
        ],
        networkSecurityGroup: {
          id: context.resourceId(resourceTypes.securityGroup.type, securityGroupName(order)),
        },
      },
    },
  };
}

function machineResource(order: MachineOrder, context: ResourceContext): AzureResource {
  const { placement } = order;
  const diskId = (disk: MachineDisk) => ({
    id: context.resourceId(resourceTypes.disk.type, targetDiskName(order, disk)),
  });
  const attached = (disk: MachineDisk) => ({
    createOption: 'Attach',
    deleteOption: 'Detach',
    managedDisk: diskId(disk),
  });
  const osDisk = order.disks.find(({ type }) => type === 'OperatingSystem');
  const reference = (id: string | null) => (id === null ? undefined : { id });
  const availabilitySet = reference(placement.availabilitySetId);
  const proximityPlacementGroup = reference(placement.proximityPlacementGroupId);
  return {
    ...resourceTypes.machine,
    name: machineName(order),
    body: {
      location: context.location,
      tags: tagsOf(order),
      ...zonesOf(order),
      properties: {
        hardwareProfile: { vmSize: placement.size ?? context.defaultSize },
        storageProfile: {
          ...(osDisk && { osDisk: { osType: osTypeOf(order), ...attached(osDisk) } }),
          dataDisks: order.disks
            .filter(({ type }) => type === 'DataDisk')
            .map((disk) => ({ lun: disk.lun, ...attached(disk) })),
        },
        networkProfile: {
          networkInterfaces: order.nics.map((nic) => ({
            id: context.resourceId(resourceTypes.nic.type, nicName(order, nic)),
            properties: { primary: nic.isPrimary, deleteOption: 'Detach' },
          })),
        },
        diagnosticsProfile: { bootDiagnostics: { enabled: true } },
        ...(availabilitySet && { availabilitySet }),
        ...(proximityPlacementGroup && { proximityPlacementGroup }),
        ...(placement.licenseType === 'WindowsServer' && { licenseType: 'Windows_Server' }),
      },
    },
  };
}
