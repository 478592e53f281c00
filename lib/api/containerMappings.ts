// Container mappings: which policies the machines of a container may be protected with.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { listItems } from '../protection/itemStore.ts';
import { changeStored, getStored, listStored } from '../vault/collection.ts';
import { fabrics, mappingKey, mappings, policies } from '../vault/resources.ts';
import type { MappingRecord } from '../vault/resources.ts';
import { containersOf } from '../vault/containers.ts';
import { nameInId, resource, resourceId } from './arm.ts';
import { done } from './completedJobs.ts';
import { getContainer } from './containers.ts';
import type { ApiContext, RoutedRequest } from './http.ts';
import { protectionContainerMappingProperties } from './models/fabrics.ts';
import { resourceOf } from './models/wire.ts';
import { requireResourceName } from './names.ts';
import { operation } from './operation.ts';
import { containerPath } from './paths.ts';
import { pageOfAll } from './paging.ts';

const kind = 'replicationProtectionContainerMappings';
const path = `${containerPath}/${kind}/{mapping}`;
const mappingModel = resourceOf('ProtectionContainerMapping', protectionContainerMappingProperties);
/** Azure's recovery container, under both of its names. */
const azure = ['microsoft azure', 'd38048d4-b460-4791-8ece-108395ee8478'];

const createInput = z
  .object({
    properties: z.object({
      policyId: z.string().min(1).max(1000),
      targetProtectionContainerId: z.string().max(1000).nullish().describe('"Microsoft Azure", or absent.'),
      providerSpecificInput: z.looseObject({ instanceType: z.string().max(100).nullish() }).nullish(),
    }),
  })
  .meta({ id: 'CreateProtectionContainerMappingInput' });

const updateInput = z
  .object({
    properties: z
      .object({ providerSpecificInput: z.looseObject({ instanceType: z.string().max(100) }).nullish() })
      .nullish(),
  })
  .meta({ id: 'UpdateProtectionContainerMappingInput' });

const removeInput = z
  .object({
    properties: z
      .object({
        providerSpecificInput: z.looseObject({ instanceType: z.string().max(100).nullish() }).nullish(),
      })
      .nullish(),
  })
  .meta({ id: 'RemoveProtectionContainerMappingInput' });

const segmentsOf = ({ fabric, container, name }: MappingRecord): string[] => [
  ...['replicationFabrics', fabric, 'replicationProtectionContainers', container, kind, name],
];

const vaultOf = (context: ApiContext) => context.replication.storage.vault;

function mappingBody({ settings }: ApiContext, mapping: MappingRecord, sourceName: string) {
  return resource(settings.vault, segmentsOf(mapping), {
    state: 'Paired',
    health: 'Normal',
    healthErrorDetails: [],
    policyId: resourceId(settings.vault, 'replicationPolicies', mapping.policy),
    policyFriendlyName: mapping.policy,
    sourceProtectionContainerFriendlyName: sourceName,
    sourceFabricFriendlyName: mapping.fabric,
    targetProtectionContainerId: 'Microsoft Azure',
    targetProtectionContainerFriendlyName: 'Microsoft Azure',
    targetFabricFriendlyName: 'Microsoft Azure',
    providerSpecificDetails: null,
  });
}

async function getMapping(context: ApiContext, params: RoutedRequest['params']) {
  const { fabric, container } = await getContainer(context, params);
  const key = mappingKey(fabric.name, container.name, params['mapping'] ?? '');
  const { record, etag } = await getStored(vaultOf(context), mappings, key);
  return { record, etag, sourceName: container.friendlyName };
}

async function listMappings(context: ApiContext, request: RoutedRequest, container: string | undefined) {
  const names = new Map<string, string>();
  for (const fabric of await listStored(vaultOf(context), fabrics))
    for (const each of containersOf(fabric)) names.set(each.name, each.friendlyName);
  const all = await listStored(vaultOf(context), mappings);
  return pageOfAll(context, request, {
    all: all.filter((mapping) => container === undefined || mapping.container === container),
    keyOf: mappings.keyOf,
    body: (mapping) => mappingBody(context, mapping, names.get(mapping.container) ?? mapping.fabric),
  });
}

async function removeMapping(context: ApiContext, request: RoutedRequest) {
  const { record } = await getMapping(context, request.params);
  for await (const item of listItems(context.replication.storage)) {
    if (item.container !== record.container || item.policy !== record.policy) continue;
    const message = `Mapping "${record.name}" is used by the protected item "${item.name}".`;
    throw new LifeboatError('OperationNotSupportedInState', message, { target: record.name });
  }
  const where = { key: mappings.keyOf(record), ifMatch: request.ifMatch };
  await changeStored(vaultOf(context), mappings, where, () => undefined);
  const targetId = resourceId(context.settings.vault, ...segmentsOf(record));
  return done(context, request, { kind: 'dissociatePolicy', targetId, targetName: record.name });
}

export const containerMappingOperations = [
  operation({
    ...{ id: 'ReplicationProtectionContainerMappings_List', verb: 'GET', path: `/${kind}` },
    ...{ access: 'Reader', answers: 'page', answer: mappingModel },
    summary: 'Lists the container mappings of the vault.',
    handler: (context, request) => listMappings(context, request, undefined),
  }),
  operation({
    id: 'ReplicationProtectionContainerMappings_ListByReplicationProtectionContainers',
    ...{ verb: 'GET', path: `${containerPath}/${kind}`, access: 'Reader' },
    ...{ summary: 'Lists the mappings of a container.', answers: 'page', answer: mappingModel },
    handler: async (context, request) =>
      listMappings(context, request, (await getContainer(context, request.params)).container.name),
  }),
  operation({
    ...{ id: 'ReplicationProtectionContainerMappings_Get', verb: 'GET', path, access: 'Reader' },
    ...{ summary: 'Shows a container mapping.', answers: 'resource', answer: mappingModel },
    handler: async (context, { params }) => {
      const { record, etag, sourceName } = await getMapping(context, params);
      return { status: 200, headers: { etag }, body: mappingBody(context, record, sourceName) };
    },
  }),
  operation({
    ...{ id: 'ReplicationProtectionContainerMappings_Create', verb: 'PUT', path, access: 'Operator' },
    ...{ body: createInput, answers: 'job', answer: mappingModel },
    summary: 'Lets the machines of the container be protected with a policy.',
    handler: async (context, request) => {
      const { fabric, container } = await getContainer(context, request.params);
      const name = requireResourceName(request.params['mapping'] ?? '', 'container mapping');
      const { policyId, targetProtectionContainerId: target } = request.body.properties;
      if (target && !azure.includes(target.toLowerCase())) {
        const message =
          'Machines are replicated to Azure only: targetProtectionContainerId is "Microsoft Azure".';
        throw new LifeboatError('ScenarioUnsupported', message, {
          target: 'properties.targetProtectionContainerId',
        });
      }
      const policy = await getStored(vaultOf(context), policies, nameInId(policyId, 'replicationPolicies'));
      const mapping = { name, fabric: fabric.name, container: container.name, policy: policy.record.name };
      const where = { key: mappings.keyOf(mapping), ifMatch: request.ifMatch };
      const stored = await changeStored(vaultOf(context), mappings, where, (known) => ({
        ...mapping,
        name: known?.name ?? name,
      }));
      const targetId = resourceId(context.settings.vault, ...segmentsOf(stored ?? mapping));
      return done(context, request, { kind: 'associatePolicy', targetId, targetName: name });
    },
  }),
  operation({
    ...{ id: 'ReplicationProtectionContainerMappings_Update', verb: 'PATCH', path, access: 'Operator' },
    ...{ body: updateInput, answers: 'job', answer: mappingModel },
    summary: 'Accepted for compatibility: a mapping to Azure has nothing that could be changed.',
    handler: async (context, request) => {
      const { record } = await getMapping(context, request.params);
      const where = { key: mappings.keyOf(record), ifMatch: request.ifMatch };
      await changeStored(vaultOf(context), mappings, where, (known) => known);
      const targetId = resourceId(context.settings.vault, ...segmentsOf(record));
      return done(context, request, { kind: 'associatePolicy', targetId, targetName: record.name });
    },
  }),
  operation({
    ...{ id: 'ReplicationProtectionContainerMappings_Delete', verb: 'POST', path: `${path}/remove` },
    ...{ access: 'Owner', body: removeInput, answers: 'job' },
    summary: 'Removes a mapping that no protected item uses.',
    handler: removeMapping,
  }),
  operation({
    ...{ id: 'ReplicationProtectionContainerMappings_Purge', verb: 'DELETE', path, access: 'Owner' },
    ...{ answers: 'job', summary: 'Removes a mapping that no protected item uses.' },
    handler: removeMapping,
  }),
];
