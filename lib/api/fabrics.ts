// Fabrics: sites of Hyper-V hosts, and VMM servers.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { listHosts, revokeHost } from '../auth/hosts.ts';
import { listMachines } from '../inventory/inventory.ts';
import { listItemPlaces } from '../protection/itemStore.ts';
import { changeStored, findStored, getStored, listStored } from '../vault/collection.ts';
import { containersOf } from '../vault/containers.ts';
import { fabrics, mappings, policies } from '../vault/resources.ts';
import type { FabricRecord } from '../vault/resources.ts';
import { resource, resourceId } from './arm.ts';
import { done } from './completedJobs.ts';
import type { ApiContext, RoutedRequest } from './http.ts';
import { fabricProperties, hyperVSiteDetails, vmmDetails } from './models/fabrics.ts';
import { resourceOf } from './models/wire.ts';
import { requireResourceName } from './names.ts';
import { operation, otherScenario } from './operation.ts';
import { fabricPath as path } from './paths.ts';
import { pageOfAll } from './paging.ts';

const fabricModel = resourceOf(
  'Fabric',
  fabricProperties.extend({
    customDetails: z.discriminatedUnion('instanceType', [hyperVSiteDetails, vmmDetails]),
  }),
);
/** Whose last sign of life is older is shown as not connected. */
export const silentMs = 30 * 60_000;

const fabricInput = z
  .object({
    properties: z
      .object({
        customDetails: z
          .object({ instanceType: z.string().max(100) })
          .nullish()
          .describe('instanceType VMM makes a VMM server, everything else a Hyper-V site.'),
      })
      .nullish(),
  })
  .meta({ id: 'FabricCreationInput' });

const noEncryption = { kekState: 'None', kekCertThumbprint: null };

async function fabricBody({ settings, access }: ApiContext, record: FabricRecord) {
  const hosts = (await listHosts(access, record.name)).filter(({ revokedAt }) => revokedAt === null);
  return resource(settings.vault, ['replicationFabrics', record.name], {
    friendlyName: record.name,
    internalIdentifier: record.internalId,
    bcdrState: 'Valid',
    health: 'Normal',
    healthErrorDetails: [],
    encryptionDetails: noEncryption,
    rolloverEncryptionDetails: noEncryption,
    customDetails:
      record.kind === 'VMM'
        ? { instanceType: 'VMM' }
        : {
            instanceType: 'HyperVSite',
            hyperVHosts: hosts.map(({ id, name, agentVersion }) => ({
              ...{ id, name, marsAgentVersion: agentVersion },
            })),
          },
  });
}

const vaultOf = (context: ApiContext) => context.replication.storage.vault;

/** The fabric that the path names. Throws `ResourceNotFound`. */
export const getFabric = async (
  context: ApiContext,
  params: RoutedRequest['params'],
): Promise<FabricRecord> => (await getStored(vaultOf(context), fabrics, params['fabric'] ?? '')).record;

const idOf = ({ settings }: ApiContext, name: string): string =>
  resourceId(settings.vault, 'replicationFabrics', name);

/** Items, mappings and hosts that live in the fabric. */
async function assertUnused(context: ApiContext, fabric: FabricRecord): Promise<void> {
  for await (const item of listItemPlaces(context.replication.storage)) {
    if (item.fabric !== fabric.name) continue;
    const message = `Fabric "${fabric.name}" has protected items ("${item.name}" for one); disable their protection first.`;
    throw new LifeboatError('OperationNotSupportedInState', message, { target: item.name });
  }
}

async function removeFabric(context: ApiContext, request: RoutedRequest) {
  const fabric = await getFabric(context, request.params);
  await assertUnused(context, fabric);
  const now = context.replication.clock.now();
  for (const host of await listHosts(context.access, fabric.name))
    await revokeHost(context.access, host.id, now);
  for (const mapping of await listStored(vaultOf(context), mappings)) {
    if (mapping.fabric === fabric.name)
      await changeStored(vaultOf(context), mappings, { key: mappings.keyOf(mapping) }, () => undefined);
  }
  await changeStored(vaultOf(context), fabrics, { key: fabric.name }, () => undefined);
  const targetId = idOf(context, fabric.name);
  return done(context, request, { kind: 'deleteSite', targetId, targetName: fabric.name });
}

/** What of the fabric points to nothing, in words. */
async function findInconsistencies(context: ApiContext, fabric: FabricRecord): Promise<string[]> {
  const { vault, inventory } = context.replication.storage;
  const containers = new Set(containersOf(fabric).map(({ name }) => name));
  const problems: string[] = [];
  for (const mapping of await listStored(vault, mappings)) {
    if (mapping.fabric !== fabric.name) continue;
    if (!(await findStored(vault, policies, mapping.policy)))
      problems.push(`Mapping "${mapping.name}" names policy "${mapping.policy}", which does not exist.`);
    if (!containers.has(mapping.container))
      problems.push(
        `Mapping "${mapping.name}" names container "${mapping.container}", which does not exist.`,
      );
  }
  const machines = new Set((await listMachines(inventory, fabric.name)).map(({ id }) => id));
  for await (const item of listItemPlaces(context.replication.storage)) {
    if (item.fabric === fabric.name && !machines.has(item.machine))
      problems.push(`Protected item "${item.name}": no host reports machine ${item.machine} any more.`);
  }
  return problems;
}

export const fabricOperations = [
  operation({
    ...{ id: 'ReplicationFabrics_List', verb: 'GET', path: '/replicationFabrics', access: 'Reader' },
    ...{ summary: 'Lists the fabrics of the vault.', answers: 'page', answer: fabricModel },
    handler: async (context, request) =>
      pageOfAll(context, request, {
        all: await listStored(vaultOf(context), fabrics),
        keyOf: fabrics.keyOf,
        body: (record) => fabricBody(context, record),
      }),
  }),
  operation({
    ...{ id: 'ReplicationFabrics_Get', verb: 'GET', path, access: 'Reader' },
    ...{ summary: 'Shows a fabric.', answers: 'resource', answer: fabricModel },
    handler: async (context, { params }) => {
      const { record, etag } = await getStored(vaultOf(context), fabrics, params['fabric'] ?? '');
      return { status: 200, headers: { etag }, body: await fabricBody(context, record) };
    },
  }),
  operation({
    ...{ id: 'ReplicationFabrics_Create', verb: 'PUT', path, access: 'Operator', body: fabricInput },
    ...{ summary: 'Makes a site. Again: no change.', answers: 'job', answer: fabricModel },
    handler: async (context, request) => {
      const name = requireResourceName(request.params['fabric'] ?? '', 'fabric');
      const { clock, newId } = context.replication;
      const asked = request.body.properties?.customDetails?.instanceType.toUpperCase();
      const kind: FabricRecord['kind'] = asked === 'VMM' ? 'VMM' : 'HyperVSite';
      const record = await changeStored(
        vaultOf(context),
        fabrics,
        { key: name, ifMatch: request.ifMatch },
        (known) => {
          if (known && known.kind !== kind && asked !== undefined) {
            const message = `Fabric "${known.name}" exists and is a ${known.kind}.`;
            throw new LifeboatError('OperationNotSupportedInState', message, { target: known.name });
          }
          return (
            known ?? { name, internalId: newId(), createdAt: clock.now().toISOString(), kind, clouds: [] }
          );
        },
      );
      const targetName = record?.name ?? name;
      const targetId = idOf(context, targetName);
      return done(context, request, { kind: 'createSite', targetId, targetName });
    },
  }),
  operation({
    ...{ id: 'ReplicationFabrics_Delete', verb: 'POST', path: `${path}/remove`, access: 'Owner' },
    ...{ summary: 'Removes a fabric without protected items; revokes its hosts.', answers: 'job' },
    handler: removeFabric,
  }),
  operation({
    ...{ id: 'ReplicationFabrics_Purge', verb: 'DELETE', path, access: 'Owner' },
    ...{ summary: 'Removes a fabric without protected items; revokes its hosts.', answers: 'job' },
    handler: removeFabric,
  }),
  operation({
    ...{ id: 'ReplicationFabrics_CheckConsistency', verb: 'POST', path: `${path}/checkConsistency` },
    ...{ access: 'Operator', answers: 'job', answer: fabricModel },
    summary:
      'Looks for mappings and items of the fabric that point to nothing; what it finds is refused by name.',
    handler: async (context, request) => {
      const fabric = await getFabric(context, request.params);
      const problems = await findInconsistencies(context, fabric);
      if (problems.length > 0)
        throw new LifeboatError('OperationNotSupportedInState', problems.join(' '), { target: fabric.name });
      const targetId = idOf(context, fabric.name);
      return done(context, request, { kind: 'checkConsistency', targetId, targetName: fabric.name });
    },
  }),
  otherScenario({
    ...{ id: 'ReplicationFabrics_MigrateToAad', verb: 'POST', path: `${path}/migratetoaad`, access: 'Owner' },
    reason:
      'Hosts prove themselves with keys of their own or with Entra ID from the start; nothing is to be migrated.',
  }),
  otherScenario({
    ...{ id: 'ReplicationFabrics_RenewCertificate', verb: 'POST', path: `${path}/renewCertificate` },
    access: 'Owner',
    reason: 'Hosts have key pairs, not certificates; a host replaces its own with POST /agent/v1/keys.',
  }),
  otherScenario({
    ...{ id: 'ReplicationFabrics_ReassociateGateway', verb: 'POST', path: `${path}/reassociateGateway` },
    access: 'Owner',
    reason: 'Gateways (process servers) belong to VMware and physical machines.',
  }),
];
