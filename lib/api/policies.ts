// Replication policies.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { listItems } from '../protection/itemStore.ts';
import { changeStored, getStored, listStored } from '../vault/collection.ts';
import { mappings, policies } from '../vault/resources.ts';
import { policyRecord } from '../vault/policies.ts';
import type { PolicyRecord } from '../vault/policies.ts';
import { resource, resourceId } from './arm.ts';
import { done } from './completedJobs.ts';
import type { ApiContext } from './http.ts';
import { hyperVReplicaAzurePolicyDetails, policyProperties } from './models/policies.ts';
import { resourceOf } from './models/wire.ts';
import { requireResourceName } from './names.ts';
import { operation } from './operation.ts';
import { pageOfAll } from './paging.ts';

const path = '/replicationPolicies/{policy}';
const policyModel = resourceOf(
  'Policy',
  policyProperties.extend({ providerSpecificDetails: hyperVReplicaAzurePolicyDetails }),
);

const hyperVReplicaAzure = z
  .literal('HyperVReplicaAzure', { error: 'only HyperVReplicaAzure is replicated by this service' })
  .default('HyperVReplicaAzure');

/** What is not given keeps its value in an update, and has Site Recovery's default in a new policy. */
const policyInput = z
  .object({
    instanceType: hyperVReplicaAzure,
    recoveryPointHistoryDuration: z
      .number()
      .int()
      .min(0)
      .max(720)
      .nullish()
      .describe('Hours for which every recovery point is kept; 0 = the latest only. Default 2.'),
    applicationConsistentSnapshotFrequencyInHours: z
      .number()
      .int()
      .min(0)
      .max(12)
      .nullish()
      .describe('Hours between application-consistent recovery points; 0 = none. Default 1.'),
    replicationInterval: z
      .number()
      .int()
      .min(30)
      .max(86_400)
      .nullish()
      .describe('Seconds between two cycles. Default 300.'),
    onlineReplicationStartTime: z
      .string()
      .regex(/^([01]\d|2[0-3]):[0-5]\d:[0-5]\d$/, 'must be HH:mm:ss')
      .nullish()
      .describe('Time of day at which initial replication starts; absent = at once.'),
    storageAccounts: z.array(z.string().max(500)).max(10).nullish(),
  })
  .meta({ id: 'HyperVReplicaAzurePolicyInput' });

const createInput = z
  .object({
    properties: z.object({ providerSpecificInput: policyInput.prefault({}) }).prefault({}),
  })
  .meta({ id: 'CreatePolicyInput' });

const updateInput = z
  .object({
    properties: z.object({ replicationProviderSettings: policyInput.prefault({}) }).prefault({}),
  })
  .meta({ id: 'UpdatePolicyInput' });

const defaults = {
  recoveryPointHistoryHours: 2,
  appConsistentFrequencyHours: 1,
  replicationIntervalSeconds: 300,
  onlineReplicationStartTime: null,
  storageAccountId: null,
};

/** A policy replaced whole has Site Recovery's defaults again, and keeps what it says beyond Site Recovery's fields. */
const replaced = (name: string, known: PolicyRecord | undefined): PolicyRecord =>
  policyRecord.parse({ ...known, ...defaults, name: known?.name ?? name });

function withInput(policy: PolicyRecord, input: z.infer<typeof policyInput>): PolicyRecord {
  return {
    ...policy,
    recoveryPointHistoryHours: input.recoveryPointHistoryDuration ?? policy.recoveryPointHistoryHours,
    appConsistentFrequencyHours:
      input.applicationConsistentSnapshotFrequencyInHours ?? policy.appConsistentFrequencyHours,
    replicationIntervalSeconds: input.replicationInterval ?? policy.replicationIntervalSeconds,
    onlineReplicationStartTime:
      input.onlineReplicationStartTime === undefined
        ? policy.onlineReplicationStartTime
        : input.onlineReplicationStartTime,
    storageAccountId: input.storageAccounts?.[0] ?? policy.storageAccountId,
  };
}

function policyBody({ settings }: ApiContext, policy: PolicyRecord) {
  return resource(settings.vault, ['replicationPolicies', policy.name], {
    friendlyName: policy.name,
    providerSpecificDetails: {
      instanceType: 'HyperVReplicaAzure',
      recoveryPointHistoryDurationInHours: policy.recoveryPointHistoryHours,
      applicationConsistentSnapshotFrequencyInHours: policy.appConsistentFrequencyHours,
      replicationInterval: policy.replicationIntervalSeconds,
      onlineReplicationStartTime: policy.onlineReplicationStartTime,
      encryption: 'Disabled',
      activeStorageAccountId: policy.storageAccountId,
    },
  });
}

const vaultOf = (context: ApiContext) => context.replication.storage.vault;
const idOf = ({ settings }: ApiContext, name: string): string =>
  resourceId(settings.vault, 'replicationPolicies', name);

async function assertUnused(context: ApiContext, policy: PolicyRecord): Promise<void> {
  const refuse = (by: string) =>
    new LifeboatError('OperationNotSupportedInState', `Policy "${policy.name}" is used by ${by}.`, {
      target: policy.name,
    });
  for (const mapping of await listStored(vaultOf(context), mappings))
    if (mapping.policy === policy.name) throw refuse(`the container mapping "${mapping.name}"`);
  for await (const item of listItems(context.replication.storage))
    if (item.policy === policy.name) throw refuse(`the protected item "${item.name}"`);
}

export const policyOperations = [
  operation({
    ...{ id: 'ReplicationPolicies_List', verb: 'GET', path: '/replicationPolicies', access: 'Reader' },
    ...{ summary: 'Lists the replication policies.', answers: 'page', answer: policyModel },
    handler: async (context, request) =>
      pageOfAll(context, request, {
        all: await listStored(vaultOf(context), policies),
        keyOf: policies.keyOf,
        body: (policy) => policyBody(context, policy),
      }),
  }),
  operation({
    ...{ id: 'ReplicationPolicies_Get', verb: 'GET', path, access: 'Reader' },
    ...{ summary: 'Shows a replication policy.', answers: 'resource', answer: policyModel },
    handler: async (context, { params }) => {
      const { record, etag } = await getStored(vaultOf(context), policies, params['policy'] ?? '');
      return { status: 200, headers: { etag }, body: policyBody(context, record) };
    },
  }),
  operation({
    ...{ id: 'ReplicationPolicies_Create', verb: 'PUT', path, access: 'Owner', body: createInput },
    ...{ answers: 'job', answer: policyModel },
    summary: 'Makes or replaces a policy. A shorter history deletes recovery points: hence Owner.',
    handler: async (context, request) => {
      const name = requireResourceName(request.params['policy'] ?? '', 'policy');
      const input = request.body.properties.providerSpecificInput;
      const stored = await changeStored(
        vaultOf(context),
        policies,
        { key: name, ifMatch: request.ifMatch },
        (known) => withInput(replaced(name, known), input),
      );
      const targetName = stored?.name ?? name;
      return done(context, request, {
        kind: 'createPolicy',
        targetId: idOf(context, targetName),
        targetName,
      });
    },
  }),
  operation({
    ...{ id: 'ReplicationPolicies_Update', verb: 'PATCH', path, access: 'Owner', body: updateInput },
    ...{ answers: 'job', answer: policyModel },
    summary: 'Changes what the body gives. A shorter history deletes recovery points: hence Owner.',
    handler: async (context, request) => {
      const { record } = await getStored(vaultOf(context), policies, request.params['policy'] ?? '');
      const input = request.body.properties.replicationProviderSettings;
      await changeStored(
        vaultOf(context),
        policies,
        { key: record.name, ifMatch: request.ifMatch },
        (known) => known && withInput(known, input),
      );
      const targetId = idOf(context, record.name);
      return done(context, request, { kind: 'updatePolicy', targetId, targetName: record.name });
    },
  }),
  operation({
    ...{ id: 'ReplicationPolicies_Delete', verb: 'DELETE', path, access: 'Owner', answers: 'job' },
    summary: 'Deletes a policy that no mapping and no protected item uses.',
    handler: async (context, request) => {
      const { record } = await getStored(vaultOf(context), policies, request.params['policy'] ?? '');
      await assertUnused(context, record);
      await changeStored(
        vaultOf(context),
        policies,
        { key: record.name, ifMatch: request.ifMatch },
        () => undefined,
      );
      const targetId = idOf(context, record.name);
      return done(context, request, { kind: 'deletePolicy', targetId, targetName: record.name });
    },
  }),
];
