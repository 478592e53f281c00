// Protectable items: the machines that source hosts reported for a site.
import { LifeboatError } from '../errors.ts';
import { findMachine, listMachines } from '../inventory/inventory.ts';
import type { MachineRecord } from '../inventory/inventory.ts';
import { listItemPlaces } from '../protection/itemStore.ts';
import { holdsMachine } from '../vault/containers.ts';
import type { Container } from '../vault/containers.ts';
import type { FabricRecord } from '../vault/resources.ts';
import { resource, resourceId } from './arm.ts';
import { containerSegments, getContainer } from './containers.ts';
import { compileFilter } from './filter/filter.ts';
import type { Fields } from './filter/filter.ts';
import type { ApiContext } from './http.ts';
import { hyperVVirtualMachineDetails, protectableItemProperties } from './models/protectedItems.ts';
import { resourceOf } from './models/wire.ts';
import { operation } from './operation.ts';
import { pageOfAll } from './paging.ts';
import { containerPath } from './paths.ts';
import { findQuery } from './query.ts';

const kind = 'replicationProtectableItems';
const itemModel = resourceOf(
  'ProtectableItem',
  protectableItemProperties.extend({ customDetails: hyperVVirtualMachineDetails }),
);

interface Place {
  fabric: FabricRecord;
  container: Container;
}

interface Shown {
  machine: MachineRecord;
  /** Name of its protected item. */
  protectedAs: string | undefined;
}

/** Machine id → name of the protected item, for one fabric. */
async function protectedMachines(context: ApiContext, { fabric }: Place): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for await (const record of listItemPlaces(context.replication.storage)) {
    if (record.fabric === fabric.name) names.set(record.machine, record.name);
  }
  return names;
}

const statusOf = ({ protectedAs }: Shown): string =>
  protectedAs === undefined ? 'Unprotected' : 'Protected';

const fields: Fields<Shown> = {
  state: { kind: 'text', of: statusOf },
  protectionStatus: { kind: 'text', of: statusOf },
  friendlyName: { kind: 'text', of: ({ machine }) => machine.name },
};

function machineBody({ settings }: ApiContext, place: Place, { machine, protectedAs }: Shown) {
  const container = containerSegments({ fabric: place.fabric.name, container: place.container.name });
  return resource(settings.vault, [...container, kind, machine.id], {
    friendlyName: machine.name,
    protectionStatus: statusOf({ machine, protectedAs }),
    replicationProtectedItemId:
      protectedAs === undefined
        ? null
        : resourceId(settings.vault, ...container, 'replicationProtectedItems', protectedAs),
    recoveryServicesProviderId: null,
    protectionReadinessErrors: [],
    supportedReplicationProviders: ['HyperVReplicaAzure'],
    customDetails: {
      instanceType: 'HyperVVirtualMachine',
      sourceItemId: machine.id,
      generation: machine.generation,
      osDetails: { osType: machine.osType },
      diskDetails: machine.disks.map(({ id, name, sizeBytes, type }) => ({
        ...{ maxSizeMB: Math.ceil(sizeBytes / 2 ** 20), vhdType: type, vhdId: id, vhdName: name },
      })),
      hasSharedVhd: machine.disks.some(({ isShared }) => isShared) ? 'Present' : 'NotPresent',
      hyperVHostId: machine.host,
    },
  });
}

export const protectableItemOperations = [
  operation({
    id: 'ReplicationProtectableItems_ListByReplicationProtectionContainers',
    ...{ verb: 'GET', path: `${containerPath}/${kind}`, access: 'Reader', answers: 'page' },
    ...{ answer: itemModel, query: { $filter: Object.keys(fields).join(', ') } },
    summary: 'Lists the machines that the hosts of the container reported.',
    handler: async (context, request) => {
      const place = await getContainer(context, request.params);
      const filter = compileFilter(findQuery(request.query, '$filter'), fields);
      const names = await protectedMachines(context, place);
      const machines = await listMachines(context.replication.storage.inventory, place.fabric.name);
      return pageOfAll<Shown>(context, request, {
        all: machines
          .filter((machine) => holdsMachine(place.container, machine))
          .map((machine) => ({ machine, protectedAs: names.get(machine.id) })),
        keyOf: ({ machine }) => machine.id,
        ...(filter ? { matches: filter.matches } : {}),
        body: (shown) => machineBody(context, place, shown),
      });
    },
  }),
  operation({
    ...{ id: 'ReplicationProtectableItems_Get', verb: 'GET', access: 'Reader' },
    ...{ path: `${containerPath}/${kind}/{protectableItem}`, answers: 'resource', answer: itemModel },
    summary: 'Shows a machine that a host reported.',
    handler: async (context, { params }) => {
      const place = await getContainer(context, params);
      const id = params['protectableItem'] ?? '';
      const machine = await findMachine(context.replication.storage.inventory, place.fabric.name, id);
      if (!machine || !holdsMachine(place.container, machine)) {
        const message = `Protectable item "${id}" is not in the inventory of site "${place.fabric.name}".`;
        throw new LifeboatError('ResourceNotFound', message, { target: id });
      }
      const names = await protectedMachines(context, place);
      return {
        status: 200,
        body: machineBody(context, place, { machine, protectedAs: names.get(machine.id) }),
      };
    },
  }),
];
