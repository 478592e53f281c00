// Which Azure network the machines of a source network come up in.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { changeStored, getStored, listStored } from '../vault/collection.ts';
import { networkMappingKey, networkMappings } from '../vault/topology.ts';
import type { NetworkMapping } from '../vault/topology.ts';
import { requireArmId, resource, resourceId } from './arm.ts';
import { done } from './completedJobs.ts';
import type { ApiContext, RoutedRequest } from './http.ts';
import { networkMappingProperties } from './models/networks.ts';
import { resourceOf } from './models/wire.ts';
import { requireResourceName } from './names.ts';
import { operation } from './operation.ts';
import { fabricPath } from './paths.ts';
import { pageOfAll } from './paging.ts';
import { getEntry, networkPart } from './topology.ts';

const kind = 'replicationNetworkMappings';
const networkPath = `${fabricPath}/replicationNetworks/{network}`;
const path = `${networkPath}/${kind}/{networkMapping}`;
const mappingModel = resourceOf('NetworkMapping', networkMappingProperties);

const fabricSpecificDetails = z
  .looseObject({ instanceType: z.string().max(100), primaryNetworkId: z.string().max(1000).nullish() })
  .nullish();

const createInput = z
  .object({
    properties: z.object({
      recoveryFabricName: z.string().max(256).nullish().describe('"Microsoft Azure", or absent.'),
      recoveryNetworkId: z.string().min(1).max(1000).describe('ARM id of a virtual network.'),
      fabricSpecificDetails,
    }),
  })
  .meta({ id: 'CreateNetworkMappingInput' });

const updateInput = z
  .object({
    properties: z.object({
      recoveryFabricName: z.string().max(256).nullish(),
      recoveryNetworkId: z.string().min(1).max(1000).nullish(),
      fabricSpecificDetails,
    }),
  })
  .meta({ id: 'UpdateNetworkMappingInput' });

const vaultOf = (context: ApiContext) => context.replication.storage.vault;

const segmentsOf = ({ fabric, network, name }: NetworkMapping): string[] => [
  ...['replicationFabrics', fabric, 'replicationNetworks', network, kind, name],
];

async function mappingBody(context: ApiContext, mapping: NetworkMapping) {
  const { vault } = context.settings;
  // The network may have gone from the reports; the mapping stays and says so by its id.
  const entry = await getEntry(context, networkPart, mapping).catch(() => undefined);
  return resource(vault, segmentsOf(mapping), {
    state: 'Paired',
    primaryNetworkFriendlyName: entry?.entry.name ?? mapping.network,
    primaryNetworkId: resourceId(vault, ...segmentsOf(mapping).slice(0, 4)),
    primaryFabricFriendlyName: mapping.fabric,
    recoveryNetworkFriendlyName: mapping.recoveryNetworkId.split('/').at(-1) ?? '',
    recoveryNetworkId: mapping.recoveryNetworkId,
    recoveryFabricArmId: null,
    recoveryFabricFriendlyName: mapping.recoveryFabric,
    fabricSpecificSettings: { instanceType: 'VmmToAzure' },
  });
}

async function getMapping(context: ApiContext, params: RoutedRequest['params']) {
  const [fabric = '', network = '', name = ''] = ['fabric', 'network', 'networkMapping'].map(
    (each) => params[each],
  );
  try {
    return await getStored(vaultOf(context), networkMappings, networkMappingKey(fabric, network, name));
  } catch (error) {
    if (!(error instanceof LifeboatError) || error.code !== 'ResourceNotFound') throw error;
    throw new LifeboatError('ResourceNotFound', `Network "${network}" has no mapping "${name}".`, {
      target: name,
    });
  }
}

async function listMappings(
  context: ApiContext,
  request: RoutedRequest,
  isShown: (mapping: NetworkMapping) => boolean,
) {
  return pageOfAll(context, request, {
    all: (await listStored(vaultOf(context), networkMappings)).filter(isShown),
    keyOf: ({ fabric, network, name }) => `${fabric}|${network}|${name}`.toLowerCase(),
    body: (mapping) => mappingBody(context, mapping),
  });
}

const requireNetwork = (id: string): string =>
  requireArmId(id, 'Microsoft.Network/virtualNetworks', 'properties.recoveryNetworkId');

export const networkMappingOperations = [
  operation({
    ...{ id: 'ReplicationNetworkMappings_List', verb: 'GET', path: `/${kind}`, access: 'Reader' },
    ...{ summary: 'Lists the network mappings of the vault.', answers: 'page', answer: mappingModel },
    handler: (context, request) => listMappings(context, request, () => true),
  }),
  operation({
    ...{ id: 'ReplicationNetworkMappings_ListByReplicationNetworks', verb: 'GET' },
    ...{ path: `${networkPath}/${kind}`, access: 'Reader', answers: 'page', answer: mappingModel },
    summary: 'Lists the mappings of a network.',
    handler: async (context, request) => {
      const { fabric, entry } = await getEntry(context, networkPart, request.params);
      return listMappings(
        context,
        request,
        (mapping) => mapping.fabric === fabric && mapping.network === entry.id,
      );
    },
  }),
  operation({
    ...{ id: 'ReplicationNetworkMappings_Get', verb: 'GET', path, access: 'Reader' },
    ...{ summary: 'Shows a network mapping.', answers: 'resource', answer: mappingModel },
    handler: async (context, { params }) => {
      const { record, etag } = await getMapping(context, params);
      return { status: 200, headers: { etag }, body: await mappingBody(context, record) };
    },
  }),
  operation({
    ...{ id: 'ReplicationNetworkMappings_Create', verb: 'PUT', path, access: 'Operator' },
    ...{ body: createInput, answers: 'job', answer: mappingModel },
    summary: 'Maps a source network to an Azure network.',
    handler: async (context, request) => {
      const { fabric, entry } = await getEntry(context, networkPart, request.params);
      const name = requireResourceName(request.params['networkMapping'] ?? '', 'network mapping');
      const { recoveryNetworkId, recoveryFabricName } = request.body.properties;
      const mapping: NetworkMapping = {
        ...{ name, fabric, network: entry.id, recoveryNetworkId: requireNetwork(recoveryNetworkId) },
        recoveryFabric: recoveryFabricName ?? 'Microsoft Azure',
      };
      const where = { key: networkMappings.keyOf(mapping), ifMatch: request.ifMatch };
      await changeStored(vaultOf(context), networkMappings, where, () => mapping);
      const targetId = resourceId(context.settings.vault, ...segmentsOf(mapping));
      return done(context, request, { kind: 'changeNetworkMapping', targetId, targetName: name });
    },
  }),
  operation({
    ...{ id: 'ReplicationNetworkMappings_Update', verb: 'PATCH', path, access: 'Operator' },
    ...{ body: updateInput, answers: 'job', answer: mappingModel },
    summary: 'Maps the source network to another Azure network.',
    handler: async (context, request) => {
      const { record } = await getMapping(context, request.params);
      const { recoveryNetworkId, recoveryFabricName } = request.body.properties;
      const network = recoveryNetworkId ? requireNetwork(recoveryNetworkId) : record.recoveryNetworkId;
      const where = { key: networkMappings.keyOf(record), ifMatch: request.ifMatch };
      await changeStored(
        vaultOf(context),
        networkMappings,
        where,
        (known) =>
          known && {
            ...known,
            recoveryNetworkId: network,
            recoveryFabric: recoveryFabricName ?? known.recoveryFabric,
          },
      );
      const targetId = resourceId(context.settings.vault, ...segmentsOf(record));
      return done(context, request, { kind: 'changeNetworkMapping', targetId, targetName: record.name });
    },
  }),
  operation({
    ...{ id: 'ReplicationNetworkMappings_Delete', verb: 'DELETE', path, access: 'Owner', answers: 'job' },
    summary: 'Deletes a network mapping.',
    handler: async (context, request) => {
      const { record } = await getMapping(context, request.params);
      const where = { key: networkMappings.keyOf(record), ifMatch: request.ifMatch };
      await changeStored(vaultOf(context), networkMappings, where, () => undefined);
      const targetId = resourceId(context.settings.vault, ...segmentsOf(record));
      return done(context, request, { kind: 'deleteNetworkMapping', targetId, targetName: record.name });
    },
  }),
];
