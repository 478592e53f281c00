// The source side as operations: what hosts call, each behind the check that the host touches its own machines only. The handlers
// are in agent*.ts; a host's own identity is in hostIdentity.ts.
import type * as z from 'zod';
import { mayServeMachine, requireHost } from '../auth/caller.ts';
import type { Caller } from '../auth/caller.ts';
import { LifeboatError } from '../errors.ts';
import { findMachine, inventoryReport, listMachines } from '../inventory/inventory.ts';
import type { MachineRecord } from '../inventory/inventory.ts';
import { getItem } from '../protection/itemStore.ts';
import { requireIdentifier } from '../replication/names.ts';
import { storeTopology, topologyReport } from '../vault/topology.ts';
import { getAssignments, listAssignments, putInventory } from './agent.ts';
import { completeScrubDigests, getCoarseDigests, getFineDigests, putScrubDigests } from './agentDigests.ts';
import { getFailbackDigests, reportApplied, reportStopped } from './agentFailover.ts';
import { reportMomentOf } from './agentMoments.ts';
import { completeDisk, reportComparison, reportFailure, reportSnapshot } from './agentReports.ts';
import { checkBody } from './body.ts';
import { getFabric } from './fabrics.ts';
import type { ApiContext, ApiResponse, Handler, RoutedRequest } from './http.ts';
import { operation } from './operation.ts';
import type { Operation, Verb } from './operation.ts';

/** Throws `Forbidden` unless the caller may act for the site: an Owner, or a host that enrolled for it. */
async function requireSite(context: ApiContext, { params, caller }: RoutedRequest): Promise<string> {
  // Before anything is read: a host learns nothing of other sites, not even whether they exist.
  const asked = params['fabric'] ?? '';
  if (caller.kind === 'host' && caller.fabric.toLowerCase() !== asked.toLowerCase())
    requireHost(caller, { fabric: asked, host: caller.name });
  return (await getFabric(context, params)).name;
}

/**
 * Throws `Forbidden` unless the machine of the item is in the caller's inventory. An item that does not exist gets the same answer
 * as one of another host.
 */
async function requireOwnItem(context: ApiContext, { params, caller }: RoutedRequest): Promise<void> {
  const { storage } = context.replication;
  const item = requireIdentifier((params['item'] ?? '').toLowerCase(), 'The item');
  if (caller.kind !== 'host') return;
  const record = await getItem(storage.items, item).catch((error: unknown) => {
    if (error instanceof LifeboatError && error.code === 'ResourceNotFound') return undefined;
    throw error;
  });
  const machine = record && (await findMachine(storage.inventory, record.fabric, record.machine));
  if (record && machine && mayServeMachine(caller, { fabric: record.fabric, host: machine.host })) return;
  const message = `Item "${item}" is no machine of the inventory of host "${caller.name}".`;
  throw new LifeboatError('Forbidden', message, { target: item });
}

const ofOwnItem =
  (handler: Handler): Handler =>
  async (context, request) => {
    await requireOwnItem(context, request);
    return handler(context, request);
  };

/**
 * A host reports itself and nobody else, and a machine that another host reports stays with that host until its own report leaves
 * it out (as after a live migration). Such machines are left out here and named in the answer.
 */
async function putOwnInventory(context: ApiContext, request: RoutedRequest): Promise<ApiResponse> {
  const { caller } = request;
  const fabric = await requireSite(context, request);
  if (caller.kind !== 'host') return putInventory(context, request);
  const report = checkBody(await request.json(), inventoryReport);
  requireHost(caller, { fabric, host: report.host.name });
  const known = await listMachines(context.replication.storage.inventory, fabric);
  const hostOf = new Map(known.map(({ id, host }) => [id, host]));
  const isOwn = (id: string) => {
    const host = hostOf.get(id);
    return host === undefined || mayServeMachine(caller, { fabric, host });
  };
  const own = { host: { name: caller.name }, machines: report.machines.filter(({ id }) => isOwn(id)) };
  const response = await putInventory(context, { ...request, json: async () => own });
  const others = report.machines.filter(({ id }) => !isOwn(id)).map(({ id }) => id);
  return { ...response, body: { ...(response.body as object), machinesOfOtherHosts: others } };
}

/** A host sees the assignments of its own machines, whatever it asks for; no others are read. */
async function getOwnAssignments(context: ApiContext, request: RoutedRequest): Promise<ApiResponse> {
  const { caller } = request;
  if (caller.kind !== 'host') return getAssignments(context, request);
  const { fabric } = caller;
  const machines = await listMachines(context.replication.storage.inventory, fabric);
  const isOwn = ({ host }: MachineRecord): boolean => mayServeMachine(caller, { fabric, host });
  const own = new Set(machines.filter(isOwn).map(({ id }) => id));
  const site = fabric.toLowerCase();
  return listAssignments(context, (place) => place.fabric.toLowerCase() === site && own.has(place.machine));
}

const nameOf = (caller: Caller): string => (caller.kind === 'anonymous' ? '' : caller.name);

interface AgentRoute {
  id: string;
  verb: Verb;
  path: string;
  summary: string;
  handler: Handler;
  body?: z.ZodType;
  isBinary?: true;
}

const item = '/agent/v1/items/{item}';
const disk = `${item}/disks/{disk}`;

const routes: readonly AgentRoute[] = [
  {
    ...{ id: 'Agent_PutInventory', verb: 'PUT', path: '/agent/v1/sites/{fabric}/inventory' },
    ...{ body: inventoryReport, handler: putOwnInventory },
    summary: 'Reports the machines and disks of a host; replaces its earlier report.',
  },
  {
    ...{ id: 'Agent_GetAssignments', verb: 'GET', path: '/agent/v1/assignments' },
    ...{ handler: getOwnAssignments, summary: 'What the host has to do for its machines, with upload URLs.' },
  },
  {
    ...{ id: 'Agent_ReportSnapshot', verb: 'POST', path: `${item}/snapshot` },
    ...{ handler: ofOwnItem(reportSnapshot), summary: 'The snapshot to copy from was taken or released.' },
  },
  {
    ...{ id: 'Agent_ReportFailure', verb: 'POST', path: `${item}/failures` },
    ...{
      handler: ofOwnItem(reportFailure),
      summary: 'What the host could not do; answers when to try again.',
    },
  },
  {
    ...{ id: 'Agent_ReportComparison', verb: 'POST', path: `${item}/resync/progress` },
    ...{ handler: ofOwnItem(reportComparison), summary: 'How far the comparison of a resynchronization is.' },
  },
  {
    ...{ id: 'Agent_CompleteScrubDigests', verb: 'POST', path: `${item}/scrubs/{scrub}/complete` },
    ...{ handler: ofOwnItem(completeScrubDigests), summary: 'All digests of a scrub are there.' },
  },
  {
    ...{ id: 'Agent_ReportMoment', verb: 'POST', path: `${item}/moment` },
    ...{
      handler: ofOwnItem(reportMomentOf),
      summary: 'Cuts a cycle at one moment with the machines of the group.',
    },
  },
  {
    ...{ id: 'Agent_ReportStopped', verb: 'POST', path: `${item}/failover/stopped` },
    ...{ handler: ofOwnItem(reportStopped), summary: 'The machine is off, and all of its changes are cut.' },
  },
  {
    ...{ id: 'Agent_ReportFailbackApplied', verb: 'POST', path: `${disk}/failback/applied` },
    ...{ handler: ofOwnItem(reportApplied), summary: 'The disk equals the recovery point of the failback.' },
  },
  {
    ...{ id: 'Agent_GetFailbackDigests', verb: 'POST', path: `${disk}/failback/digests` },
    ...{
      handler: ofOwnItem(getFailbackDigests),
      summary: 'Digests of 4 KiB of what a failback brings home.',
    },
  },
  {
    ...{ id: 'Agent_CompleteDisk', verb: 'POST', path: `${disk}/initialReplication/complete` },
    ...{ handler: ofOwnItem(completeDisk), summary: 'Every page of the disk has been uploaded.' },
  },
  {
    ...{ id: 'Agent_GetCoarseDigests', verb: 'GET' },
    ...{ path: `${disk}/resync/{generation}/coarse/{segment}`, handler: ofOwnItem(getCoarseDigests) },
    summary: 'Digests of a segment of the replica; 202 while they are computed.',
  },
  {
    ...{ id: 'Agent_GetFineDigests', verb: 'POST', path: `${disk}/resync/{generation}/fine` },
    ...{ handler: ofOwnItem(getFineDigests), summary: 'Digests of 4 KiB inside the blocks that differ.' },
  },
  {
    ...{ id: 'Agent_PutScrubDigests', verb: 'PUT', path: `${disk}/scrubs/{scrub}/coarse/{segment}` },
    ...{ handler: ofOwnItem(putScrubDigests), isBinary: true },
    summary: 'Digests of a segment of the frozen view, as a binary manifest.',
  },
];

const topology = operation({
  ...{ id: 'Agent_PutTopology', verb: 'PUT', path: '/agent/v1/sites/{fabric}/topology', scope: 'service' },
  ...{ access: 'Host', answers: 'resource', body: topologyReport },
  summary: 'Reports networks, logical networks, storage classifications and the clouds of a VMM server.',
  handler: async (context, request) => {
    const fabric = await requireSite(context, request);
    const { storage, clock } = context.replication;
    const reportedAt = clock.now().toISOString();
    await storeTopology(storage.vault, request.body, {
      fabric,
      reportedBy: nameOf(request.caller),
      reportedAt,
    });
    const { clouds, networks, storageClassifications } = request.body;
    return {
      status: 200,
      body: {
        ...{ site: fabric, cloudCount: clouds.length, networkCount: networks.length },
        storageClassificationCount: storageClassifications.length,
      },
    };
  },
});

export const agentOperations: Operation[] = [
  ...routes.map((route) =>
    operation<unknown>({ scope: 'service', access: 'Host', answers: 'resource', ...route }),
  ),
  topology,
];
