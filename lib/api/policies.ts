// Replication policies, and the mappings that say which policy a container uses.
import * as z from 'zod';
import {
  findResource,
  getResource,
  listResources,
  mappingKey,
  mappings,
  policies,
  putResource,
} from '../vault/resources.ts';
import { policyRecord } from '../vault/policies.ts';
import type { PolicyRecord } from '../vault/policies.ts';
import type { MappingRecord } from '../vault/resources.ts';
import { accepted, list, nameInId, resource, resourceId } from './arm.ts';
import { parseBody } from './body.ts';
import { recordCompletedJob } from './completedJobs.ts';
import { getContainer } from './fabrics.ts';
import type { ApiContext, Handler } from './http.ts';
import { requireResourceName } from './names.ts';

const policyBody = z.object({
  properties: z
    .object({
      providerSpecificInput: z
        .object({
          instanceType: z.string().default('HyperVReplicaAzure'),
          recoveryPointHistoryDuration: z.number().int().min(0).max(720).default(2),
          applicationConsistentSnapshotFrequencyInHours: z.number().int().min(0).max(12).default(1),
          replicationInterval: z.number().int().min(30).max(86_400).default(300),
          onlineReplicationStartTime: z.string().nullish(),
          storageAccounts: z.array(z.string()).nullish(),
        })
        .prefault({}),
    })
    .prefault({}),
});

function policyResource({ settings }: ApiContext, policy: PolicyRecord) {
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

export const putPolicy: Handler = async (context, request) => {
  const name = requireResourceName(request.params['policy'] ?? '', 'policy');
  const { properties } = await parseBody(request, policyBody);
  const input = properties.providerSpecificInput;
  const { vault } = context.replication.storage;
  const existing = await findResource(vault, policies, name);
  const record = policyRecord.parse({
    ...existing,
    name: existing?.name ?? name,
    recoveryPointHistoryHours: input.recoveryPointHistoryDuration,
    appConsistentFrequencyHours: input.applicationConsistentSnapshotFrequencyInHours,
    replicationIntervalSeconds: input.replicationInterval,
    onlineReplicationStartTime: input.onlineReplicationStartTime ?? null,
    storageAccountId: input.storageAccounts?.[0] ?? null,
  });
  await putResource(vault, policies, record);
  const path = resourceId(context.settings.vault, 'replicationPolicies', name);
  const job = await recordCompletedJob(context, {
    kind: 'createPolicy',
    targetId: path,
    targetName: name,
  });
  return accepted(context, { job, resource: path, apiVersion: request.apiVersion });
};

export const getPolicy: Handler = async (context, { params }) => {
  const policy = await getResource(context.replication.storage.vault, policies, params['policy'] ?? '');
  return { status: 200, body: policyResource(context, policy) };
};

export const listPolicies: Handler = async (context) => {
  const all = await listResources(context.replication.storage.vault, policies);
  return list(all.map((policy) => policyResource(context, policy)));
};

const mappingBody = z.object({ properties: z.object({ policyId: z.string().min(1) }) });

const mappingSegments = ({ fabric, container, name }: MappingRecord): string[] => [
  ...['replicationFabrics', fabric, 'replicationProtectionContainers', container],
  ...['replicationProtectionContainerMappings', name],
];

function mappingResource({ settings }: ApiContext, mapping: MappingRecord) {
  return resource(settings.vault, mappingSegments(mapping), {
    state: 'Paired',
    health: 'Normal',
    healthErrorDetails: [],
    policyId: resourceId(settings.vault, 'replicationPolicies', mapping.policy),
    policyFriendlyName: mapping.policy,
    sourceProtectionContainerFriendlyName: mapping.fabric,
    sourceFabricFriendlyName: mapping.fabric,
    targetProtectionContainerId: 'Microsoft Azure',
    targetProtectionContainerFriendlyName: 'Microsoft Azure',
    targetFabricFriendlyName: 'Microsoft Azure',
  });
}

export const putMapping: Handler = async (context, request) => {
  const { fabric, container } = await getContainer(context, request.params);
  const name = requireResourceName(request.params['mapping'] ?? '', 'container mapping');
  const { properties } = await parseBody(request, mappingBody);
  const { vault } = context.replication.storage;
  const policy = await getResource(vault, policies, nameInId(properties.policyId, 'replicationPolicies'));
  const mapping: MappingRecord = { name, fabric: fabric.name, container, policy: policy.name };
  await putResource(vault, mappings, mapping);
  const path = resourceId(context.settings.vault, ...mappingSegments(mapping));
  const job = await recordCompletedJob(context, {
    kind: 'associatePolicy',
    targetId: path,
    targetName: name,
  });
  return accepted(context, { job, resource: path, apiVersion: request.apiVersion });
};

export const getMapping: Handler = async (context, { params }) => {
  const { fabric, container } = await getContainer(context, params);
  const key = mappingKey(fabric.name, container, params['mapping'] ?? '');
  return {
    status: 200,
    body: mappingResource(context, await getResource(context.replication.storage.vault, mappings, key)),
  };
};

export const listMappings: Handler = async (context, { params }) => {
  const inside = params['container'] === undefined ? undefined : await getContainer(context, params);
  const all = await listResources(context.replication.storage.vault, mappings);
  const shown = all.filter((mapping) => inside === undefined || mapping.container === inside.container);
  return list(shown.map((mapping) => mappingResource(context, mapping)));
};
