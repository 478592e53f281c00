// Protection containers: the one of a site, the clouds of a VMM server.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { listItemPlaces } from '../protection/itemStore.ts';
import { listStored } from '../vault/collection.ts';
import { containersOf, getContainerOf } from '../vault/containers.ts';
import type { Container } from '../vault/containers.ts';
import { fabrics } from '../vault/resources.ts';
import type { FabricRecord } from '../vault/resources.ts';
import { resource, resourceId } from './arm.ts';
import { done } from './completedJobs.ts';
import { getFabric } from './fabrics.ts';
import type { ApiContext, RoutedRequest } from './http.ts';
import { protectionContainerProperties } from './models/fabrics.ts';
import { resourceOf } from './models/wire.ts';
import { operation, otherScenario } from './operation.ts';
import { containerPath as path, fabricPath } from './paths.ts';
import { pageOfAll } from './paging.ts';

const containerModel = resourceOf('ProtectionContainer', protectionContainerProperties);

export interface Place {
  fabric: string;
  container: string;
}

export const containerSegments = ({ fabric, container }: Place): string[] => [
  ...['replicationFabrics', fabric, 'replicationProtectionContainers', container],
];

/** The fabric and its container as the path names them. Throws `ResourceNotFound`. */
export async function getContainer(
  context: ApiContext,
  params: RoutedRequest['params'],
): Promise<{ fabric: FabricRecord; container: Container }> {
  const fabric = await getFabric(context, params);
  return { fabric, container: getContainerOf(fabric, params['container'] ?? '') };
}

/** Protected items by container. */
async function countItems(context: ApiContext): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for await (const { container } of listItemPlaces(context.replication.storage))
    counts.set(container, (counts.get(container) ?? 0) + 1);
  return counts;
}

function containerBody(
  { settings }: ApiContext,
  { fabric, container }: { fabric: FabricRecord; container: Container },
  protectedItemCount: number,
) {
  const segments = containerSegments({ fabric: fabric.name, container: container.name });
  return resource(settings.vault, segments, {
    fabricFriendlyName: fabric.name,
    friendlyName: container.friendlyName,
    fabricType: fabric.kind,
    protectedItemCount,
    pairingStatus: 'Paired',
    role: 'Primary',
    fabricSpecificDetails: null,
  });
}

async function listContainers(context: ApiContext, request: RoutedRequest) {
  const all =
    request.params['fabric'] === undefined
      ? await listStored(context.replication.storage.vault, fabrics)
      : [await getFabric(context, request.params)];
  const counts = await countItems(context);
  return pageOfAll(context, request, {
    all: all.flatMap((fabric) => containersOf(fabric).map((container) => ({ fabric, container }))),
    keyOf: ({ fabric, container }) => `${fabric.name.toLowerCase()}|${container.name}`,
    body: (each) => containerBody(context, each, counts.get(each.container.name) ?? 0),
  });
}

const discoverInput = z
  .object({
    properties: z
      .object({
        friendlyName: z.string().max(256),
        ipAddress: z.string().max(100),
        osType: z.string().max(100),
      })
      .partial()
      .nullish(),
  })
  .meta({ id: 'DiscoverProtectableItemRequest' });

const idOf = (context: ApiContext, fabric: FabricRecord, container: Container): string =>
  resourceId(
    context.settings.vault,
    ...containerSegments({ fabric: fabric.name, container: container.name }),
  );

export const containerOperations = [
  operation({
    ...{ id: 'ReplicationProtectionContainers_List', verb: 'GET', path: '/replicationProtectionContainers' },
    ...{ access: 'Reader', answers: 'page', answer: containerModel },
    summary: 'Lists the protection containers of the vault.',
    handler: listContainers,
  }),
  operation({
    id: 'ReplicationProtectionContainers_ListByReplicationFabrics',
    ...{ verb: 'GET', path: `${fabricPath}/replicationProtectionContainers` },
    ...{ access: 'Reader', answers: 'page', answer: containerModel },
    summary: 'Lists the protection containers of a fabric.',
    handler: listContainers,
  }),
  operation({
    ...{ id: 'ReplicationProtectionContainers_Get', verb: 'GET', path, access: 'Reader' },
    ...{ summary: 'Shows a protection container.', answers: 'resource', answer: containerModel },
    handler: async (context, { params }) => {
      const found = await getContainer(context, params);
      const count = (await countItems(context)).get(found.container.name) ?? 0;
      return { status: 200, body: containerBody(context, found, count) };
    },
  }),
  operation({
    ...{ id: 'ReplicationProtectionContainers_Create', verb: 'PUT', path, access: 'Operator' },
    ...{ answers: 'job', answer: containerModel },
    summary: 'Returns a container that exists; containers follow from the fabric and are not made by hand.',
    handler: async (context, request) => {
      const fabric = await getFabric(context, request.params);
      const asked = request.params['container'] ?? '';
      const known = containersOf(fabric).find(({ name }) => name.toLowerCase() === asked.toLowerCase());
      if (!known) {
        const why =
          fabric.kind === 'VMM'
            ? 'the containers of a VMM server are the clouds that its hosts report'
            : 'a Hyper-V site has exactly one container';
        throw new LifeboatError('ScenarioUnsupported', `Container "${asked}" cannot be made: ${why}.`, {
          target: asked,
        });
      }
      const targetId = idOf(context, fabric, known);
      return done(context, request, { kind: 'discover', targetId, targetName: known.friendlyName });
    },
  }),
  operation({
    id: 'ReplicationProtectionContainers_DiscoverProtectableItem',
    ...{ verb: 'POST', path: `${path}/discoverProtectableItem`, access: 'Operator', body: discoverInput },
    ...{ answers: 'job', answer: containerModel },
    summary: 'Done at once: source hosts report their machines by themselves.',
    handler: async (context, request) => {
      const { fabric, container } = await getContainer(context, request.params);
      const targetId = idOf(context, fabric, container);
      return done(context, request, { kind: 'discover', targetId, targetName: container.friendlyName });
    },
  }),
  otherScenario({
    ...{
      id: 'ReplicationProtectionContainers_Delete',
      verb: 'POST',
      path: `${path}/remove`,
      access: 'Owner',
    },
    reason:
      'A container belongs to its fabric and goes with it; containers of their own belong to Azure-to-Azure.',
  }),
  otherScenario({
    id: 'ReplicationProtectionContainers_SwitchProtection',
    ...{ verb: 'POST', path: `${path}/switchprotection`, access: 'Owner' },
    reason: 'Switching protection belongs to Azure-to-Azure; use plannedFailover and reProtect of the item.',
  }),
];
