// Protectable items: the machines that source hosts reported for a site.
import { LifeboatError } from '../errors.ts';
import { findMachine, listMachines } from '../inventory/inventory.ts';
import type { MachineRecord } from '../inventory/inventory.ts';
import { listItems } from '../protection/itemStore.ts';
import { list, resource, resourceId } from './arm.ts';
import { getContainer } from './fabrics.ts';
import type { ApiContext, Handler } from './http.ts';

interface Place {
  fabric: string;
  container: string;
}

export const containerSegments = ({ fabric, container }: Place): string[] => [
  ...['replicationFabrics', fabric, 'replicationProtectionContainers', container],
];

/** Machine id → name of the protected item, for one site. */
async function protectedMachines(context: ApiContext, fabric: string): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for await (const record of listItems(context.replication.storage)) {
    if (record.fabric === fabric) names.set(record.machine, record.name);
  }
  return names;
}

function machineResource(
  { settings }: ApiContext,
  place: Place,
  machine: MachineRecord,
  protectedAs: string | undefined,
) {
  const container = containerSegments(place);
  return resource(settings.vault, [...container, 'replicationProtectableItems', machine.id], {
    friendlyName: machine.name,
    protectionStatus: protectedAs === undefined ? 'Unprotected' : 'Protected',
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
        maxSizeMB: Math.ceil(sizeBytes / 2 ** 20),
        vhdType: type,
        vhdId: id,
        vhdName: name,
      })),
      hyperVHostId: machine.host,
    },
  });
}

export const getProtectableItem: Handler = async (context, { params }) => {
  const { fabric, container } = await getContainer(context, params);
  const id = params['protectableItem'] ?? '';
  const machine = await findMachine(context.replication.storage.inventory, fabric.name, id);
  if (!machine) {
    throw new LifeboatError(
      'ResourceNotFound',
      `Protectable item "${id}" is not in the inventory of site "${fabric.name}".`,
      { target: id },
    );
  }
  const names = await protectedMachines(context, fabric.name);
  const place = { fabric: fabric.name, container };
  return { status: 200, body: machineResource(context, place, machine, names.get(machine.id)) };
};

export const listProtectableItems: Handler = async (context, { params }) => {
  const { fabric, container } = await getContainer(context, params);
  const names = await protectedMachines(context, fabric.name);
  const machines = await listMachines(context.replication.storage.inventory, fabric.name);
  const place = { fabric: fabric.name, container };
  return list(machines.map((machine) => machineResource(context, place, machine, names.get(machine.id))));
};
