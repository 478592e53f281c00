// Recovery services providers: the source hosts that enrolled themselves for a fabric. A provider's name is the host's id.
import * as z from 'zod';
import { enrolEntraHost } from '../auth/entraHosts.ts';
import { findHost, findHostByName, listHosts, revokeHost } from '../auth/hosts.ts';
import type { HostRecord } from '../auth/hosts.ts';
import { LifeboatError } from '../errors.ts';
import { listMachines } from '../inventory/inventory.ts';
import { listItemPlaces } from '../protection/itemStore.ts';
import { resource, resourceId } from './arm.ts';
import { done } from './completedJobs.ts';
import { getFabric, silentMs } from './fabrics.ts';
import type { ApiContext, RoutedRequest } from './http.ts';
import { recoveryServicesProviderProperties } from './models/fabrics.ts';
import { resourceOf } from './models/wire.ts';
import { operation } from './operation.ts';
import { fabricPath } from './paths.ts';
import { pageOfAll } from './paging.ts';

const kind = 'replicationRecoveryServicesProviders';
const path = `${fabricPath}/${kind}/{provider}`;
const providerModel = resourceOf('RecoveryServicesProvider', recoveryServicesProviderProperties);

const guid = z.guid();
const identity = z.object({
  tenantId: guid,
  applicationId: guid,
  objectId: guid,
  audience: z.string().max(500),
  aadAuthority: z.string().max(500),
});

const providerInput = z
  .object({
    properties: z.object({
      machineName: z.string().min(1).max(256),
      machineId: z.string().max(256).nullish(),
      biosId: z.string().max(256).nullish(),
      authenticationIdentityInput: identity,
      resourceAccessIdentityInput: identity,
      dataPlaneAuthenticationIdentityInput: identity.nullish(),
    }),
  })
  .meta({ id: 'AddRecoveryServicesProviderInput' });

async function machinesOf(context: ApiContext, fabric: string): Promise<Map<string, string>> {
  const machines = await listMachines(context.replication.storage.inventory, fabric);
  return new Map(machines.map(({ id, host }) => [id, host.toLowerCase()]));
}

/** Host name in lower case → protected items whose machine it reports, for one fabric. */
async function itemsByHost(context: ApiContext, fabric: string): Promise<Map<string, number>> {
  const hostOf = await machinesOf(context, fabric);
  const counts = new Map<string, number>();
  for await (const item of listItemPlaces(context.replication.storage)) {
    const host = item.fabric === fabric ? hostOf.get(item.machine) : undefined;
    if (host !== undefined) counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  return counts;
}

const segmentsOf = (host: HostRecord): string[] => ['replicationFabrics', host.fabric, kind, host.id];

function providerBody(context: ApiContext, fabricType: string, host: HostRecord, protectedItemCount: number) {
  const seenMs = host.lastSeenAt === null ? 0 : Date.parse(host.lastSeenAt);
  const isConnected = context.replication.clock.now().getTime() - seenMs < silentMs;
  return resource(context.settings.vault, segmentsOf(host), {
    fabricType,
    friendlyName: host.name,
    providerVersion: host.agentVersion,
    providerVersionState: 'Latest',
    fabricFriendlyName: host.fabric,
    lastHeartBeat: host.lastSeenAt,
    connectionStatus: isConnected ? 'Connected' : 'Disconnected',
    protectedItemCount,
    allowedScenarios: ['Refresh'],
    healthErrorDetails: [],
    draIdentifier: host.id,
    machineName: host.name,
  });
}

/** The enrolled host that the path names, by id or by name. Throws `ResourceNotFound`. */
async function getProvider(context: ApiContext, params: RoutedRequest['params']) {
  const fabric = await getFabric(context, params);
  const name = params['provider'] ?? '';
  const host =
    (/^[0-9a-f-]{36}$/i.test(name) ? await findHost(context.access, name) : undefined) ??
    (await findHostByName(context.access, { fabric: fabric.name, name }));
  if (host?.fabric === fabric.name && host.revokedAt === null) return { fabric, host };
  throw new LifeboatError('ResourceNotFound', `Source host "${name}" is not enrolled in "${fabric.name}".`, {
    target: name,
  });
}

async function listProviders(context: ApiContext, request: RoutedRequest, fabric: string | undefined) {
  const hosts = (await listHosts(context.access, fabric)).filter(({ revokedAt }) => revokedAt === null);
  const counts = new Map<string, Map<string, number>>();
  for (const name of new Set(hosts.map((host) => host.fabric)))
    counts.set(name, await itemsByHost(context, name));
  return pageOfAll(context, request, {
    all: hosts,
    keyOf: ({ id }) => id,
    body: async (host) => {
      const { kind: type } = await getFabric(context, { fabric: host.fabric });
      return providerBody(context, type, host, counts.get(host.fabric)?.get(host.name.toLowerCase()) ?? 0);
    },
  });
}

async function removeProvider(context: ApiContext, request: RoutedRequest) {
  const { host } = await getProvider(context, request.params);
  await revokeHost(context.access, host.id, context.replication.clock.now());
  const targetId = resourceId(context.settings.vault, ...segmentsOf(host));
  return done(context, request, { kind: 'removeProvider', targetId, targetName: host.name });
}

export const providerOperations = [
  operation({
    ...{ id: 'ReplicationRecoveryServicesProviders_List', verb: 'GET', path: `/${kind}`, access: 'Reader' },
    ...{ summary: 'Lists the enrolled source hosts of the vault.', answers: 'page', answer: providerModel },
    handler: (context, request) => listProviders(context, request, undefined),
  }),
  operation({
    id: 'ReplicationRecoveryServicesProviders_ListByReplicationFabrics',
    ...{ verb: 'GET', path: `${fabricPath}/${kind}`, access: 'Reader' },
    ...{ summary: 'Lists the enrolled source hosts of a fabric.', answers: 'page', answer: providerModel },
    handler: async (context, request) =>
      listProviders(context, request, (await getFabric(context, request.params)).name),
  }),
  operation({
    ...{ id: 'ReplicationRecoveryServicesProviders_Get', verb: 'GET', path, access: 'Reader' },
    ...{ summary: 'Shows an enrolled source host.', answers: 'resource', answer: providerModel },
    handler: async (context, { params }) => {
      const { fabric, host } = await getProvider(context, params);
      const count = (await itemsByHost(context, fabric.name)).get(host.name.toLowerCase()) ?? 0;
      return { status: 200, body: providerBody(context, fabric.kind, host, count) };
    },
  }),
  operation({
    ...{ id: 'ReplicationRecoveryServicesProviders_Create', verb: 'PUT', path, access: 'Owner' },
    ...{ body: providerInput, answers: 'job', answer: providerModel },
    summary: 'Enrols a source host that is an Entra application; hosts with keys enrol themselves.',
    handler: async (context, request) => {
      const { clock, newId } = context.replication;
      const fabric = await getFabric(context, request.params);
      const { machineName, authenticationIdentityInput } = request.body.properties;
      if (context.credentials.entra === undefined) {
        const message = 'This app takes no tokens of Entra ID (LIFEBOAT_ENTRA_TENANT_ID is not set).';
        throw new LifeboatError('OperationNotSupportedInState', message, { target: machineName });
      }
      const { objectId } = authenticationIdentityInput;
      const about = { name: machineName, fabric: fabric.name, objectId };
      const host = await enrolEntraHost(context.access, about, { now: clock.now(), newHost: newId() });
      const named = { ...request.params, provider: host.id };
      const targetId = resourceId(context.settings.vault, ...segmentsOf(host));
      return done(
        context,
        { ...request, params: named },
        {
          ...{ kind: 'registerProvider', targetId, targetName: host.name },
        },
      );
    },
  }),
  operation({
    id: 'ReplicationRecoveryServicesProviders_RefreshProvider',
    ...{ verb: 'POST', path: `${path}/refreshProvider`, access: 'Operator' },
    ...{ answers: 'job', answer: providerModel },
    summary: 'Done at once: source hosts report their machines by themselves.',
    handler: async (context, request) => {
      const { host } = await getProvider(context, request.params);
      const targetId = resourceId(context.settings.vault, ...segmentsOf(host));
      return done(context, request, { kind: 'refreshProvider', targetId, targetName: host.name });
    },
  }),
  operation({
    ...{ id: 'ReplicationRecoveryServicesProviders_Delete', verb: 'POST', path: `${path}/remove` },
    ...{ access: 'Owner', answers: 'job', summary: 'Revokes a source host.' },
    handler: removeProvider,
  }),
  operation({
    ...{ id: 'ReplicationRecoveryServicesProviders_Purge', verb: 'DELETE', path, access: 'Owner' },
    ...{ answers: 'job', summary: 'Revokes a source host.' },
    handler: removeProvider,
  }),
];
