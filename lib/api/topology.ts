// Networks, logical networks and storage classifications: what the hosts of a fabric reported. Each is read by its fabric.
import type * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { findStored, listStored } from '../vault/collection.ts';
import { topologies } from '../vault/topology.ts';
import type { TopologyRecord } from '../vault/topology.ts';
import { resource } from './arm.ts';
import { getFabric } from './fabrics.ts';
import type { ApiContext, RoutedRequest } from './http.ts';
import {
  logicalNetworkProperties,
  networkProperties,
  storageClassificationProperties,
} from './models/networks.ts';
import { resourceOf } from './models/wire.ts';
import { operation } from './operation.ts';
import type { Operation } from './operation.ts';
import { fabricPath } from './paths.ts';
import { pageOfAll } from './paging.ts';

interface Part<T extends { id: string; name: string }> {
  /** Segment of the path. */
  kind: string;
  /** Of the official client. */
  group: string;
  what: string;
  parameter: string;
  model: z.ZodType;
  of: (topology: TopologyRecord) => readonly T[];
  properties: (entry: T, fabricType: string) => object;
  /** The vault-wide list exists. */
  hasVaultList: boolean;
}

interface Found<T> {
  fabric: string;
  fabricType: string;
  entry: T;
}

async function entriesOf<T extends { id: string; name: string }>(
  context: ApiContext,
  part: Part<T>,
  fabric: string,
): Promise<Found<T>[]> {
  const { vault } = context.replication.storage;
  const { name, kind } = await getFabric(context, { fabric });
  const topology = await findStored(vault, topologies, name);
  return (topology ? part.of(topology.record) : []).map((entry) => ({
    fabric: name,
    fabricType: kind,
    entry,
  }));
}

/** One entry as the path names it. Throws `ResourceNotFound`. */
export async function getEntry<T extends { id: string; name: string }>(
  context: ApiContext,
  part: Part<T>,
  params: RoutedRequest['params'],
): Promise<Found<T>> {
  const asked = params[part.parameter] ?? '';
  const all = await entriesOf(context, part, params['fabric'] ?? '');
  const found = all.find(({ entry }) => entry.id.toLowerCase() === asked.toLowerCase());
  if (found) return found;
  throw new LifeboatError(
    'ResourceNotFound',
    `${part.what} "${asked}" was not reported by any host of the fabric.`,
    {
      target: asked,
    },
  );
}

function partOperations<T extends { id: string; name: string }>(part: Part<T>): Operation[] {
  const { kind, group, what, parameter, model } = part;
  const body = ({ settings }: ApiContext, { fabric, fabricType, entry }: Found<T>) =>
    resource(
      settings.vault,
      ['replicationFabrics', fabric, kind, entry.id],
      part.properties(entry, fabricType),
    );
  const listOf = async (context: ApiContext, request: RoutedRequest, names: readonly string[]) => {
    const all = await Promise.all(names.map((fabric) => entriesOf(context, part, fabric)));
    return pageOfAll(context, request, {
      all: all.flat(),
      keyOf: ({ fabric, entry }) => `${fabric}|${entry.id}`.toLowerCase(),
      body: (found) => body(context, found),
    });
  };
  const vaultList = operation({
    ...{ id: `${group}_List`, verb: 'GET', path: `/${kind}`, access: 'Reader' },
    ...{ summary: `Lists every ${what.toLowerCase()} of the vault.`, answers: 'page', answer: model },
    handler: async (context, request) => {
      const all = await listStored(context.replication.storage.vault, topologies);
      return listOf(
        context,
        request,
        all.map(({ fabric }) => fabric),
      );
    },
  });
  return [
    ...(part.hasVaultList ? [vaultList] : []),
    operation({
      ...{ id: `${group}_ListByReplicationFabrics`, verb: 'GET', path: `${fabricPath}/${kind}` },
      ...{ access: 'Reader', answers: 'page', answer: model },
      summary: `Lists every ${what.toLowerCase()} that the hosts of the fabric reported.`,
      handler: (context, request) => listOf(context, request, [request.params['fabric'] ?? '']),
    }),
    operation({
      ...{ id: `${group}_Get`, verb: 'GET', path: `${fabricPath}/${kind}/{${parameter}}`, access: 'Reader' },
      ...{ summary: `Shows a ${what.toLowerCase()}.`, answers: 'resource', answer: model },
      handler: async (context, { params }) => ({
        status: 200,
        body: body(context, await getEntry(context, part, params)),
      }),
    }),
  ];
}

export const networkPart: Part<TopologyRecord['networks'][number]> = {
  ...{ kind: 'replicationNetworks', group: 'ReplicationNetworks', what: 'Network', parameter: 'network' },
  model: resourceOf('Network', networkProperties),
  hasVaultList: true,
  of: ({ networks }) => networks,
  properties: ({ name, subnets }, fabricType) => ({
    fabricType,
    friendlyName: name,
    networkType: 'VmNetwork',
    subnets: subnets.map((subnet) => ({
      ...{ name: subnet.name, friendlyName: subnet.name, addressList: subnet.addresses },
    })),
  }),
};

const logicalNetworkPart: Part<TopologyRecord['logicalNetworks'][number]> = {
  ...{ kind: 'replicationLogicalNetworks', group: 'ReplicationLogicalNetworks' },
  ...{ what: 'Logical network', parameter: 'logicalNetwork' },
  model: resourceOf('LogicalNetwork', logicalNetworkProperties),
  hasVaultList: false,
  of: ({ logicalNetworks }) => logicalNetworks,
  properties: ({ name, isVirtualized, hasDefinitions }) => ({
    friendlyName: name,
    networkVirtualizationStatus: isVirtualized ? 'Enabled' : 'Disabled',
    logicalNetworkUsage: 'Unused',
    logicalNetworkDefinitionsStatus: hasDefinitions ? 'Defined' : 'Undefined',
  }),
};

export const storageClassificationPart: Part<TopologyRecord['storageClassifications'][number]> = {
  ...{ kind: 'replicationStorageClassifications', group: 'ReplicationStorageClassifications' },
  ...{ what: 'Storage classification', parameter: 'classification' },
  model: resourceOf('StorageClassification', storageClassificationProperties),
  hasVaultList: true,
  of: ({ storageClassifications }) => storageClassifications,
  properties: ({ name }) => ({ friendlyName: name }),
};

export const topologyOperations: Operation[] = [
  ...partOperations(networkPart),
  ...partOperations(logicalNetworkPart),
  ...partOperations(storageClassificationPart),
];
