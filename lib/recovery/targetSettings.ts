// The target's settings of an item, as its clients sent them (`providerSpecificDetails` and later updates), in the terms of
// the machine that a failover orders. Both spellings that clients use are understood; what is unknown is left alone.
import * as z from 'zod';
import type { MachineOrder, MachinePlacement } from '../compute/port.ts';
import type { MachineRecord } from '../inventory/inventory.ts';
import type { ItemRecord, RecoveryPointRecord } from '../protection/item.ts';
import type { TablePort } from '../storage/ports.ts';
import { listStored } from '../vault/collection.ts';
import { networkMappings, topologies } from '../vault/topology.ts';
import { targetNameOf } from '../protection/target.ts';
import { fixedVhdBlobSizeBytes } from '../vhd/fixed.ts';
import { recoveredDiskName } from './names.ts';
import { planNics, type NetworkMapping, type NetworkSettings, type NicSettings } from './network.ts';

const text = z.string().min(1).nullish();
const tags = z.record(z.string(), z.string()).nullish();

const ipConfig = z.looseObject({
  isPrimary: z.boolean().nullish(),
  ...{
    recoverySubnetName: text,
    recoveryStaticIPAddress: text,
    tfoSubnetName: text,
    tfoStaticIPAddress: text,
  },
});
const vmNic = z.looseObject({
  nicId: z.string(),
  selectionType: text,
  ...{ recoveryVMNetworkId: text, recoveryVMSubnetName: text, replicaNicStaticIPAddress: text },
  ...{ tfoVMNetworkId: text, tfoVMSubnetName: text },
  ipConfigs: z.array(ipConfig).nullish(),
});

const settings = z.looseObject({
  ...{ targetVmSize: text, recoveryAzureVMSize: text, diskType: text, diskEncryptionSetId: text },
  ...{ targetAzureV2ResourceGroupId: text, recoveryAzureV2ResourceGroupId: text },
  ...{ targetAzureNetworkId: text, selectedRecoveryAzureNetworkId: text, selectedTfoAzureNetworkId: text },
  ...{ targetAzureSubnetId: text, selectedSourceNicId: text, licenseType: text },
  ...{ targetAvailabilitySetId: text, recoveryAvailabilitySetId: text, targetAvailabilityZone: text },
  ...{ targetProximityPlacementGroupId: text, vhdId: text, targetVmTags: tags },
  vmNics: z.array(vmNic).nullish(),
  vmDisks: z.array(z.looseObject({ diskId: z.string(), targetDiskName: text })).nullish(),
});
type Settings = z.infer<typeof settings>;

function nicSettings({ vmNics, selectedSourceNicId }: Settings): NicSettings[] {
  return (vmNics ?? []).map((nic) => {
    const isSelected = nic.nicId === selectedSourceNicId;
    return {
      nic: nic.nicId.toLowerCase(),
      isIncluded: nic.selectionType !== 'NotSelected' || isSelected,
      isPrimary: isSelected,
      ...nicTargets(nic),
    };
  });
}

/** The adapters that the item's settings speak of, in lower case. */
export function chosenNics({ providerInput }: Pick<ItemRecord, 'providerInput'>): string[] {
  const parsed = settings.safeParse(providerInput);
  return parsed.success ? nicSettings(parsed.data).map(({ nic }) => nic) : [];
}

const firstGiven = (...values: readonly (string | null | undefined)[]): string | null =>
  values.find((value) => typeof value === 'string') ?? null;

/** Older clients name subnet and address on the adapter, newer ones on its IP configuration. */
function nicTargets(nic: z.infer<typeof vmNic>): Pick<NicSettings, 'failover' | 'test'> {
  const configs = nic.ipConfigs ?? [];
  const config = configs.find(({ isPrimary }) => isPrimary === true) ?? configs[0];
  return {
    failover: {
      networkId: firstGiven(nic.recoveryVMNetworkId),
      subnet: firstGiven(config?.recoverySubnetName, nic.recoveryVMSubnetName),
      staticIp: firstGiven(config?.recoveryStaticIPAddress, nic.replicaNicStaticIPAddress),
    },
    test: {
      networkId: firstGiven(nic.tfoVMNetworkId),
      subnet: firstGiven(config?.tfoSubnetName, nic.tfoVMSubnetName),
      staticIp: firstGiven(config?.tfoStaticIPAddress),
    },
  };
}

function networkSettings(from: Settings, mappings: readonly NetworkMapping[]): NetworkSettings {
  return {
    nics: nicSettings(from),
    mappings,
    default: {
      networkId: from.selectedRecoveryAzureNetworkId ?? from.targetAzureNetworkId ?? null,
      subnet: from.targetAzureSubnetId ?? null,
    },
  };
}

/** The mappings of the site's networks, under the names that its hosts report for their adapters. */
export async function siteMappings(vault: TablePort, fabric: string): Promise<NetworkMapping[]> {
  const isOfSite = (each: { fabric: string }): boolean => each.fabric.toLowerCase() === fabric.toLowerCase();
  const topology = (await listStored(vault, topologies)).find(isOfSite);
  const mapped = (await listStored(vault, networkMappings)).filter(isOfSite);
  return mapped.map(({ network, recoveryNetworkId }) => ({
    sourceNetwork:
      topology?.networks.find(({ id }) => id.toLowerCase() === network.toLowerCase())?.name ?? network,
    networkId: recoveryNetworkId,
    subnet: null,
  }));
}

const placementOf = (from: Settings): MachinePlacement => ({
  resourceGroupId: from.recoveryAzureV2ResourceGroupId ?? from.targetAzureV2ResourceGroupId ?? null,
  size: from.recoveryAzureVMSize ?? from.targetVmSize ?? null,
  diskType: from.diskType ?? null,
  diskEncryptionSetId: from.diskEncryptionSetId ?? null,
  availabilitySetId: from.recoveryAvailabilitySetId ?? from.targetAvailabilitySetId ?? null,
  zone: from.targetAvailabilityZone ?? null,
  proximityPlacementGroupId: from.targetProximityPlacementGroupId ?? null,
  licenseType: from.licenseType ?? null,
  tags: from.targetVmTags ?? {},
});

/** Which disks the machine gets. */
interface PointDisks {
  disks: readonly Pick<RecoveryPointRecord['disks'][number], 'disk'>[];
}

export interface OrderRequest {
  record: ItemRecord;
  /** As last reported; undefined = the source host has forgotten it. */
  machine: MachineRecord | undefined;
  point: PointDisks;
  jobId: string;
  purpose: MachineOrder['purpose'];
  /** Of the networks of the item's site. */
  mappings: readonly NetworkMapping[];
  /** Network that a test was asked to run in. */
  testNetworkId: string | null;
}

const defaultMemoryMb = 2048;
const defaultProcessors = 2;

/** The machine that a failover to this point makes. The disks are those of the point, the operating system's first. */
export function machineOrderOf({
  record,
  machine,
  point,
  jobId,
  purpose,
  mappings,
  testNetworkId,
}: OrderRequest): MachineOrder {
  const parsed = settings.safeParse(record.providerInput);
  const from: Settings = parsed.success ? parsed.data : {};
  const network = networkSettings(from, mappings);
  const asked = firstGiven(testNetworkId, from.selectedTfoAzureNetworkId);
  const sourceNics = (machine?.nics ?? []).map(({ id, network: name, ipAddresses }) => ({
    ...{ nic: id, network: name ?? null, ipAddresses },
  }));
  return {
    ...{ item: record.item, jobId, purpose, name: targetNameOf(record) },
    generation: machine?.generation ?? '1',
    osType: machine?.osType ?? 'Other',
    memoryMb: machine?.memoryMb ?? defaultMemoryMb,
    processors: machine?.cpuCount ?? defaultProcessors,
    disks: disksOf(record, point, jobId, from),
    nics: planNics(sourceNics, network, purpose, asked),
    placement: placementOf(from),
  };
}

function disksOf(
  record: ItemRecord,
  point: PointDisks,
  jobId: string,
  { vmDisks, vhdId }: Settings,
): MachineOrder['disks'] {
  const inPoint = new Set(point.disks.map(({ disk }) => disk));
  const rows = record.disks.filter(({ disk }) => inPoint.has(disk));
  const osDisk =
    rows.find(({ disk }) => disk === vhdId?.toLowerCase()) ??
    rows.find(({ type }) => type === 'OperatingSystem') ??
    // A machine whose host does not say boots from its first disk.
    rows[0];
  const sorted = [...rows.filter((row) => row === osDisk), ...rows.filter((row) => row !== osDisk)];
  return sorted.map((row, index) => ({
    disk: row.disk,
    type: row === osDisk ? 'OperatingSystem' : 'DataDisk',
    lun: Math.max(0, index - 1),
    blobName: recoveredDiskName({ item: record.item, jobId, disk: row.disk }),
    blobSizeBytes: fixedVhdBlobSizeBytes(row.sizeBytes),
    targetName: vmDisks?.find(({ diskId }) => diskId.toLowerCase() === row.disk)?.targetDiskName ?? null,
  }));
}
