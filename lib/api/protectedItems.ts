// Protected items: protecting a machine, changing and ending that, repairing its replica.
import { LifeboatError } from '../errors.ts';
import { findMachine } from '../inventory/inventory.ts';
import type { MachineRecord } from '../inventory/inventory.ts';
import type { JobRecord } from '../jobs/job.ts';
import { disableProtection } from '../protection/disable.ts';
import { enableProtection } from '../protection/enable.ts';
import type { ItemRecord } from '../protection/item.ts';
import { getItem, listItemPlaces } from '../protection/itemStore.ts';
import { resumeReplication } from '../protection/pause.ts';
import { repairReplication } from '../protection/resyncRequest.ts';
import { updateProtection } from '../protection/update.ts';
import { requireIdentifier } from '../replication/names.ts';
import { holdsMachine } from '../vault/containers.ts';
import { getStored } from '../vault/collection.ts';
import { isPolicyMapped } from '../vault/mappings.ts';
import { policies } from '../vault/resources.ts';
import { accepted, nameInId, resourceId } from './arm.ts';
import { getContainer } from './containers.ts';
import type { ApiContext, RoutedRequest } from './http.ts';
import {
  hyperVReplicaAzureReplicationDetails,
  replicationProtectedItemProperties,
} from './models/protectedItems.ts';
import { resourceOf } from './models/wire.ts';
import { operation } from './operation.ts';
import { itemPath as path } from './paths.ts';
import { healthErrorId, itemBody, resolvableCodes } from './protectedItemBody.ts';
import { itemSegments } from './protectedItemIds.ts';
import {
  disableInput,
  enableInput,
  resolveInput,
  toProviderInput,
  updateInput,
} from './protectedItemInput.ts';
import { protectedItemListOperations } from './protectedItemLists.ts';

export const protectedItemModel = resourceOf(
  'ReplicationProtectedItem',
  replicationProtectedItemProperties.extend({
    providerSpecificDetails: hyperVReplicaAzureReplicationDetails,
  }),
);

function selectDisks(machine: MachineRecord, asked: readonly string[] | undefined): string[] {
  if (asked === undefined) return machine.disks.map(({ id }) => id);
  const known = new Set(machine.disks.map(({ id }) => id));
  return asked.map((id) => {
    if (known.has(id.toLowerCase())) return id.toLowerCase();
    const message = `Machine ${machine.name} has no disk "${id}"; it has ${[...known].join(', ')}.`;
    throw new LifeboatError('InvalidRequest', message, {
      target: 'properties.providerSpecificDetails.disksToInclude',
    });
  });
}

/** Refuses a machine that another item protects already. */
async function requireUnprotected(
  context: ApiContext,
  machine: MachineRecord,
  fabric: string,
  item: string,
): Promise<void> {
  for await (const record of listItemPlaces(context.replication.storage)) {
    if (record.item === item || record.machine !== machine.id || record.fabric !== fabric) continue;
    const message = `Machine ${machine.name} is protected already, as "${record.name}".`;
    throw new LifeboatError('OperationNotSupportedInState', message, { target: record.name });
  }
}

/** The item that the path names, in the container that the path names. */
export async function getItemInPath(
  context: ApiContext,
  params: RoutedRequest['params'],
): Promise<ItemRecord> {
  const item = requireIdentifier((params['item'] ?? '').toLowerCase(), 'The name of the protected item');
  // Both at once; an unknown fabric is complained about before an unknown item.
  const reading = getItem(context.replication.storage.items, item).catch((error: unknown) => ({ error }));
  const { container } = await getContainer(context, params);
  const record = await reading;
  if ('error' in record) throw record.error;
  if (record.container !== container.name) {
    const message = `Protected item "${record.name}" does not exist in container "${container.name}".`;
    throw new LifeboatError('ResourceNotFound', message, { target: record.name });
  }
  return record;
}

/** 202 for a job on the item: its result is the item. */
export const acceptedFor = (
  context: ApiContext,
  request: RoutedRequest,
  { job, record }: { job: JobRecord; record: Pick<ItemRecord, 'fabric' | 'container' | 'name'> },
) =>
  accepted(context, {
    job,
    resource: resourceId(context.settings.vault, ...itemSegments(record)),
    apiVersion: request.apiVersion,
  });

async function resolveHealth(context: ApiContext, record: ItemRecord, ids: readonly string[]): Promise<void> {
  const byId = new Map(record.healthErrors.map((error) => [healthErrorId(error), error]));
  for (const id of ids) {
    const error = byId.get(id);
    if (!error) {
      const message = `Protected item "${record.name}" has no health error "${id}".`;
      throw new LifeboatError('InvalidRequest', message, { target: 'properties.healthErrors' });
    }
    if (!resolvableCodes.includes(error.code)) {
      const message = `${error.code} ends when its cause does; it cannot be resolved by hand.`;
      throw new LifeboatError('OperationNotSupportedInState', message, { target: id });
    }
  }
  if (ids.length > 0) await resumeReplication(context.replication, record.item);
}

export const protectedItemOperations = [
  ...protectedItemListOperations(protectedItemModel),
  operation({
    ...{ id: 'ReplicationProtectedItems_Get', verb: 'GET', path, access: 'Reader' },
    ...{ summary: 'Shows a protected item.', answers: 'resource', answer: protectedItemModel },
    handler: async (context, { params }) => ({
      status: 200,
      body: await itemBody(context, await getItemInPath(context, params)),
    }),
  }),
  operation({
    ...{ id: 'ReplicationProtectedItems_Create', verb: 'PUT', path, access: 'Operator', body: enableInput },
    ...{ answers: 'job', answer: protectedItemModel },
    summary:
      'Protects a machine. The operation ends when initial replication has begun, its job when it is done.',
    handler: async (context, request) => {
      const { fabric, container } = await getContainer(context, request.params);
      const name = request.params['item'] ?? '';
      const item = requireIdentifier(name.toLowerCase(), 'The name of the protected item');
      const { properties } = request.body;
      const { storage } = context.replication;
      const machineId = nameInId(properties.protectableItemId, 'replicationProtectableItems');
      requireIdentifier(machineId.toLowerCase(), 'The protectable item');
      const machine = await findMachine(storage.inventory, fabric.name, machineId);
      if (!machine || !holdsMachine(container, machine)) {
        const message = `Protectable item "${machineId}" is not in the inventory of site "${fabric.name}".`;
        throw new LifeboatError('ResourceNotFound', message, { target: 'properties.protectableItemId' });
      }
      const policyName = nameInId(properties.policyId, 'replicationPolicies');
      const { record: policy } = await getStored(storage.vault, policies, policyName);
      if (!(await isPolicyMapped(storage.vault, container.name, policy.name))) {
        const message = `Policy "${policy.name}" is not mapped to container "${container.name}"; create a container mapping first.`;
        throw new LifeboatError('InvalidRequest', message, { target: 'properties.policyId' });
      }
      await requireUnprotected(context, machine, fabric.name, item);
      const details = properties.providerSpecificDetails;
      const asked =
        details.disksToInclude ?? details.disksToIncludeForManagedDisks?.map(({ diskId }) => diskId);
      const place = { fabric: fabric.name, container: container.name, name };
      const job = await enableProtection(context.replication, context.orchestrations, {
        ...{ item, ...place, policy: policy.name, machine },
        itemId: resourceId(context.settings.vault, ...itemSegments(place)),
        disks: selectDisks(machine, asked),
        providerInput: details,
      });
      return acceptedFor(context, request, { job, record: place });
    },
  }),
  operation({
    ...{ id: 'ReplicationProtectedItems_Update', verb: 'PATCH', path, access: 'Operator', body: updateInput },
    ...{ answers: 'job', answer: protectedItemModel },
    summary: 'Changes the machine that a failover will make. What is not given stays as it is.',
    handler: async (context, request) => {
      const record = await getItemInPath(context, request.params);
      const providerInput = toProviderInput(request.body);
      const job = await updateProtection(context.replication, record.item, { providerInput });
      return acceptedFor(context, request, { job, record });
    },
  }),
  operation({
    ...{ id: 'ReplicationProtectedItems_Delete', verb: 'POST', path: `${path}/remove`, access: 'Owner' },
    ...{ body: disableInput, answers: 'job' },
    summary: 'Ends protection: tells the source host, then deletes replica, recovery points and rows.',
    handler: async (context, request) => {
      const record = await getItemInPath(context, request.params);
      const about = { item: record.item };
      const job = await disableProtection(context.replication, context.orchestrations, about);
      return acceptedFor(context, request, { job, record });
    },
  }),
  operation({
    ...{ id: 'ReplicationProtectedItems_Purge', verb: 'DELETE', path, access: 'Owner', answers: 'job' },
    summary: 'Ends protection without waiting for the source host, which may be gone.',
    handler: async (context, request) => {
      const record = await getItemInPath(context, request.params);
      const about = { item: record.item, isSourceGone: true };
      const job = await disableProtection(context.replication, context.orchestrations, about);
      return acceptedFor(context, request, { job, record });
    },
  }),
  operation({
    ...{ id: 'ReplicationProtectedItems_RepairReplication', verb: 'POST', access: 'Operator' },
    ...{ path: `${path}/repairReplication`, answers: 'job', answer: protectedItemModel },
    summary: 'Resynchronizes now, whatever the window of the policy says.',
    handler: async (context, request) => {
      const record = await getItemInPath(context, request.params);
      const job = await repairReplication(context.replication, context.orchestrations, record.item);
      return acceptedFor(context, request, { job, record });
    },
  }),
  operation({
    ...{ id: 'ReplicationProtectedItems_ResolveHealthErrors', verb: 'POST', access: 'Operator' },
    ...{ path: `${path}/resolveHealthErrors`, body: resolveInput, answers: 'resource' },
    answer: protectedItemModel,
    summary: 'Says that the cause of a suspension is mended; replication goes on at once.',
    handler: async (context, request) => {
      const record = await getItemInPath(context, request.params);
      const ids = (request.body.properties.healthErrors ?? []).flatMap(({ healthErrorId: id }) => id ?? []);
      await resolveHealth(context, record, ids);
      return { status: 200, body: await itemBody(context, await getItemInPath(context, request.params)) };
    },
  }),
];
