// Machines as answers carry them: protectable items, protected items, recovery points, sizes of virtual machines.
import * as z from 'zod';
import { flag, mapOf, number, text, texts, time, variant } from './wire.ts';
import { healthError } from './fabrics.ts';

export const protectableItemProperties = z
  .strictObject({
    friendlyName: text,
    protectionStatus: text,
    replicationProtectedItemId: text,
    recoveryServicesProviderId: text,
    protectionReadinessErrors: texts,
    supportedReplicationProviders: texts,
    customDetails: variant.nullish(),
  })
  .meta({ id: 'ProtectableItemProperties' });

const osDetails = z
  .strictObject({
    osType: text,
    productType: text,
    osEdition: text,
    oSVersion: text,
    oSMajorVersion: text,
    oSMinorVersion: text,
  })
  .meta({ id: 'OSDetails' });

const diskDetails = z
  .strictObject({
    maxSizeMB: number,
    vhdType: text,
    vhdId: text,
    vhdName: text,
  })
  .meta({ id: 'DiskDetails' });

export const hyperVVirtualMachineDetails = z
  .strictObject({
    instanceType: z.literal('HyperVVirtualMachine'),
    sourceItemId: text,
    generation: text,
    osDetails: osDetails.nullish(),
    diskDetails: z.array(diskDetails).nullish(),
    hasPhysicalDisk: text,
    hasFibreChannelAdapter: text,
    hasSharedVhd: text,
    hyperVHostId: text,
  })
  .meta({ id: 'HyperVVirtualMachineDetails' });

export const currentScenarioDetails = z
  .strictObject({
    scenarioName: text,
    jobId: text,
    startTime: time,
  })
  .meta({ id: 'CurrentScenarioDetails' });

export const replicationProtectedItemProperties = z
  .strictObject({
    friendlyName: text,
    protectedItemType: text,
    protectableItemId: text,
    recoveryServicesProviderId: text,
    primaryFabricFriendlyName: text,
    primaryFabricProvider: text,
    recoveryFabricFriendlyName: text,
    recoveryFabricId: text,
    primaryProtectionContainerFriendlyName: text,
    recoveryProtectionContainerFriendlyName: text,
    protectionState: text,
    protectionStateDescription: text,
    activeLocation: text,
    testFailoverState: text,
    testFailoverStateDescription: text,
    switchProviderState: text,
    switchProviderStateDescription: text,
    allowedOperations: texts,
    replicationHealth: text,
    failoverHealth: text,
    healthErrors: z.array(healthError).nullish(),
    policyId: text,
    policyFriendlyName: text,
    lastSuccessfulFailoverTime: time,
    lastSuccessfulTestFailoverTime: time,
    currentScenario: currentScenarioDetails.nullish(),
    failoverRecoveryPointId: text,
    providerSpecificDetails: variant.nullish(),
    recoveryContainerId: text,
    eventCorrelationId: text,
  })
  .meta({ id: 'ReplicationProtectedItemProperties' });

const azureVmDiskDetails = z
  .strictObject({
    vhdType: text,
    vhdId: text,
    diskId: text,
    vhdName: text,
    maxSizeMB: text,
    targetDiskLocation: text,
    targetDiskName: text,
    lunId: text,
    diskEncryptionSetId: text,
    customTargetDiskName: text,
  })
  .meta({ id: 'AzureVmDiskDetails' });

const initialReplicationDetails = z
  .strictObject({
    initialReplicationType: text,
    initialReplicationProgressPercentage: text,
  })
  .meta({ id: 'InitialReplicationDetails' });

const ipConfigDetails = z
  .strictObject({
    name: text,
    isPrimary: flag,
    subnetName: text,
    staticIPAddress: text,
    ipAddressType: text,
    isSeletedForFailover: flag,
    recoverySubnetName: text,
    recoveryStaticIPAddress: text,
    recoveryIPAddressType: text,
    recoveryPublicIPAddressId: text,
    recoveryLBBackendAddressPoolIds: texts,
    tfoSubnetName: text,
    tfoStaticIPAddress: text,
    tfoPublicIPAddressId: text,
    tfoLBBackendAddressPoolIds: texts,
  })
  .meta({ id: 'IPConfigDetails' });

const vmNicDetails = z
  .strictObject({
    nicId: text,
    replicaNicId: text,
    sourceNicArmId: text,
    vMNetworkName: text,
    recoveryVMNetworkId: text,
    ipConfigs: z.array(ipConfigDetails).nullish(),
    selectionType: text,
    recoveryNetworkSecurityGroupId: text,
    enableAcceleratedNetworkingOnRecovery: flag,
    tfoVMNetworkId: text,
    tfoNetworkSecurityGroupId: text,
    enableAcceleratedNetworkingOnTfo: flag,
    recoveryNicName: text,
    recoveryNicResourceGroupName: text,
    reuseExistingNic: flag,
    tfoRecoveryNicName: text,
    tfoRecoveryNicResourceGroupName: text,
    tfoReuseExistingNic: flag,
    targetNicName: text,
  })
  .meta({ id: 'VMNicDetails' });

const hyperVReplicaAzureManagedDiskDetails = z
  .strictObject({
    diskId: text,
    seedManagedDiskId: text,
    replicaDiskType: text,
    diskEncryptionSetId: text,
  })
  .meta({ id: 'HyperVReplicaAzureManagedDiskDetails' });

export const hyperVReplicaAzureReplicationDetails = z
  .strictObject({
    instanceType: z.literal('HyperVReplicaAzure'),
    azureVmDiskDetails: z.array(azureVmDiskDetails).nullish(),
    recoveryAzureVmName: text,
    recoveryAzureVMSize: text,
    recoveryAzureStorageAccount: text,
    recoveryAzureLogStorageAccountId: text,
    lastReplicatedTime: time,
    rpoInSeconds: number,
    lastRpoCalculatedTime: time,
    vmId: text,
    vmProtectionState: text,
    vmProtectionStateDescription: text,
    initialReplicationDetails: initialReplicationDetails.nullish(),
    vmNics: z.array(vmNicDetails).nullish(),
    selectedRecoveryAzureNetworkId: text,
    selectedSourceNicId: text,
    encryption: text,
    oSDetails: osDetails.nullish(),
    sourceVmRamSizeInMB: number,
    sourceVmCpuCount: number,
    enableRdpOnTargetOption: text,
    recoveryAzureResourceGroupId: text,
    recoveryAvailabilitySetId: text,
    targetAvailabilityZone: text,
    targetProximityPlacementGroupId: text,
    useManagedDisks: text,
    licenseType: text,
    sqlServerLicenseType: text,
    lastRecoveryPointReceived: time,
    targetVmTags: mapOf(z.string()),
    seedManagedDiskTags: mapOf(z.string()),
    targetManagedDiskTags: mapOf(z.string()),
    targetNicTags: mapOf(z.string()),
    protectedManagedDisks: z.array(hyperVReplicaAzureManagedDiskDetails).nullish(),
    allAvailableOSUpgradeConfigurations: z.array(variant).nullish(),
  })
  .meta({ id: 'HyperVReplicaAzureReplicationDetails' });

export const recoveryPointProperties = z
  .strictObject({
    recoveryPointTime: time,
    recoveryPointType: text,
    providerSpecificDetails: variant.nullish(),
  })
  .meta({ id: 'RecoveryPointProperties' });

const computeSizeErrorDetails = z
  .strictObject({
    message: text,
    severity: text,
  })
  .meta({ id: 'ComputeSizeErrorDetails' });

export const targetComputeSizeProperties = z
  .strictObject({
    name: text,
    friendlyName: text,
    cpuCoresCount: number,
    vCPUsAvailable: number,
    memoryInGB: number,
    maxDataDiskCount: number,
    maxNicsCount: number,
    errors: z.array(computeSizeErrorDetails).nullish(),
    highIopsSupported: text,
    hyperVGenerations: texts,
  })
  .meta({ id: 'TargetComputeSizeProperties' });
