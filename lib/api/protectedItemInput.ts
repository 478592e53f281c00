// What may be sent about a protected item. Everything is text on the wire, booleans too; fields that are not listed are ignored.
import * as z from 'zod';
import { vmNicInput } from './protectedItemNics.ts';

const word = z.string().max(1000).nullish();
const tagMap = z.record(z.string().max(512), z.string().max(256)).nullish();
const hyperV = z.literal('HyperVReplicaAzure', {
  error: 'only HyperVReplicaAzure is replicated by this service',
});

/** `providerSpecificDetails` of the request to protect, and what updates may change of it. */
const enableDetails = z
  .object({
    instanceType: hyperV.default('HyperVReplicaAzure'),
    hvHostVmId: word,
    vmName: word,
    osType: word,
    vhdId: word,
    targetStorageAccountId: word,
    logStorageAccountId: word,
    targetAzureVmName: word,
    targetVmSize: word,
    targetAzureV1ResourceGroupId: word,
    targetAzureV2ResourceGroupId: word,
    targetAzureNetworkId: word,
    targetAzureSubnetId: word,
    disksToInclude: z.array(z.string().max(256)).max(64).nullish(),
    useManagedDisks: word,
    useManagedDisksForReplication: word,
    diskType: word,
    disksToIncludeForManagedDisks: z
      .array(
        z.object({
          diskId: z.string().max(256),
          logStorageAccountId: word,
          diskType: word,
          diskEncryptionSetId: word,
        }),
      )
      .max(64)
      .nullish(),
    enableRdpOnTargetOption: z.enum(['Never', 'OnlyOnTestFailover', 'Always']).nullish(),
    targetAvailabilitySetId: word,
    targetAvailabilityZone: word,
    targetProximityPlacementGroupId: word,
    licenseType: word,
    sqlServerLicenseType: word,
    diskEncryptionSetId: word,
    targetVmTags: tagMap,
    targetManagedDiskTags: tagMap,
    targetNicTags: tagMap,
    seedManagedDiskTags: tagMap,
  })
  .meta({ id: 'HyperVReplicaAzureEnableProtectionInput' });

export const enableInput = z
  .object({
    properties: z.object({
      policyId: z.string().min(1).max(1000),
      protectableItemId: z.string().min(1).max(1000),
      providerSpecificDetails: enableDetails.prefault({}),
    }),
  })
  .meta({ id: 'EnableProtectionInput' });

export const updateInput = z
  .object({
    properties: z
      .object({
        recoveryAzureVMName: word,
        recoveryAzureVMSize: word,
        selectedRecoveryAzureNetworkId: word,
        selectedTfoAzureNetworkId: word,
        selectedSourceNicId: word,
        enableRdpOnTargetOption: z.enum(['Never', 'OnlyOnTestFailover', 'Always']).nullish(),
        vmNics: z.array(vmNicInput).max(64).nullish(),
        licenseType: word,
        recoveryAvailabilitySetId: word,
        providerSpecificDetails: z
          .object({
            instanceType: hyperV,
            recoveryAzureV1ResourceGroupId: word,
            recoveryAzureV2ResourceGroupId: word,
            useManagedDisks: word,
            diskIdToDiskEncryptionMap: tagMap,
            targetProximityPlacementGroupId: word,
            targetAvailabilityZone: word,
            targetVmTags: tagMap,
            targetManagedDiskTags: tagMap,
            targetNicTags: tagMap,
            sqlServerLicenseType: word,
            vmDisks: z
              .array(z.object({ diskId: z.string().max(256), targetDiskName: word }))
              .max(64)
              .nullish(),
          })
          .nullish(),
      })
      .nullish(),
  })
  .meta({ id: 'UpdateReplicationProtectedItemInput' });

/**
 * An update under the names that the request to protect has: one set of fields is stored. What is not given stays; null is "not
 * given" as well, because the official clients send it for fields that nobody set.
 */
export function toProviderInput({ properties }: z.infer<typeof updateInput>): Record<string, unknown> {
  const { providerSpecificDetails: details, ...given } = properties ?? {};
  const fields: Record<string, unknown> = {
    useManagedDisks: details?.useManagedDisks,
    diskIdToDiskEncryptionMap: details?.diskIdToDiskEncryptionMap,
    targetProximityPlacementGroupId: details?.targetProximityPlacementGroupId,
    targetAvailabilityZone: details?.targetAvailabilityZone,
    targetVmTags: details?.targetVmTags,
    targetManagedDiskTags: details?.targetManagedDiskTags,
    targetNicTags: details?.targetNicTags,
    sqlServerLicenseType: details?.sqlServerLicenseType,
    vmDisks: details?.vmDisks,
    targetAzureVmName: given.recoveryAzureVMName,
    targetVmSize: given.recoveryAzureVMSize,
    targetAzureNetworkId: given.selectedRecoveryAzureNetworkId,
    targetAvailabilitySetId: given.recoveryAvailabilitySetId,
    selectedTfoAzureNetworkId: given.selectedTfoAzureNetworkId,
    selectedSourceNicId: given.selectedSourceNicId,
    enableRdpOnTargetOption: given.enableRdpOnTargetOption,
    vmNics: given.vmNics,
    licenseType: given.licenseType,
    targetAzureV1ResourceGroupId: details?.recoveryAzureV1ResourceGroupId,
    targetAzureV2ResourceGroupId: details?.recoveryAzureV2ResourceGroupId,
  };
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== null && value !== undefined),
  );
}

export const disableInput = z
  .object({
    properties: z
      .object({
        disableProtectionReason: z.enum(['NotSpecified', 'MigrationComplete']).nullish(),
        replicationProviderInput: z.looseObject({ instanceType: z.string().max(200).nullish() }).nullish(),
      })
      .nullish(),
  })
  .meta({ id: 'DisableProtectionInput' });

export const resolveInput = z
  .object({
    properties: z.object({
      healthErrors: z
        .array(z.object({ healthErrorId: z.string().max(100).nullish() }))
        .max(100)
        .nullish(),
    }),
  })
  .meta({ id: 'ResolveHealthInput' });

const direction = z.enum(['PrimaryToRecovery', 'RecoveryToPrimary']);

const toAzure = z.object({
  instanceType: hyperV,
  recoveryPointId: word,
  osUpgradeVersion: word,
  primaryKekCertificatePfx: word,
  secondaryKekCertificatePfx: word,
});

const failback = z.object({
  instanceType: z.literal('HyperVReplicaAzureFailback'),
  // The second spelling occurs in older clients.
  dataSyncOption: z.enum(['ForDownTime', 'ForSynchronization', 'ForSyncronization']),
  recoveryVmCreationOption: z.enum(['CreateVmIfNotFound', 'NoAction']),
  providerIdForAlternateRecovery: word,
});

export const testFailoverInput = z
  .object({
    properties: z.object({
      failoverDirection: direction.nullish(),
      networkType: z.enum(['VmNetworkAsInput', 'NoNetworkAttachAsInput']).nullish(),
      networkId: word,
      providerSpecificDetails: toAzure.nullish(),
    }),
  })
  .meta({ id: 'TestFailoverInput' });

export const testFailoverCleanupInput = z
  .object({ properties: z.object({ comments: z.string().max(1024).nullish() }) })
  .meta({ id: 'TestFailoverCleanupInput' });

export const plannedFailoverInput = z
  .object({
    properties: z.object({
      failoverDirection: direction.nullish(),
      providerSpecificDetails: z.discriminatedUnion('instanceType', [toAzure, failback]).nullish(),
    }),
  })
  .meta({ id: 'PlannedFailoverInput' });

export const unplannedFailoverInput = z
  .object({
    properties: z.object({
      failoverDirection: direction.nullish(),
      sourceSiteOperations: z.enum(['Required', 'NotRequired']).nullish(),
      providerSpecificDetails: toAzure.nullish(),
    }),
  })
  .meta({ id: 'UnplannedFailoverInput' });

export const applyRecoveryPointInput = z
  .object({
    properties: z.object({ recoveryPointId: word, providerSpecificDetails: toAzure.nullish() }),
  })
  .meta({ id: 'ApplyRecoveryPointInput' });

export const reprotectInput = z
  .object({
    properties: z
      .object({
        failoverDirection: direction.nullish(),
        providerSpecificDetails: z
          .object({
            instanceType: hyperV,
            hvHostVmId: word,
            vmName: word,
            osType: word,
            vHDId: word,
            storageAccountId: word,
            logStorageAccountId: word,
          })
          .nullish(),
      })
      .nullish(),
  })
  .meta({ id: 'ReverseReplicationInput' });
