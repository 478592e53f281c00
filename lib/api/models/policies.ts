// Replication policies as answers carry them.
import * as z from 'zod';
import { number, text, variant } from './wire.ts';

export const policyProperties = z
  .strictObject({
    friendlyName: text,
    providerSpecificDetails: variant.nullish(),
  })
  .meta({ id: 'PolicyProperties' });

export const hyperVReplicaAzurePolicyDetails = z
  .strictObject({
    instanceType: z.literal('HyperVReplicaAzure'),
    recoveryPointHistoryDurationInHours: number,
    applicationConsistentSnapshotFrequencyInHours: number,
    replicationInterval: number,
    onlineReplicationStartTime: text,
    encryption: text,
    activeStorageAccountId: text,
  })
  .meta({ id: 'HyperVReplicaAzurePolicyDetails' });
