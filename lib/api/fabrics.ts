// Fabrics (Hyper-V sites) and the one protection container that each has.
import { LifeboatError } from '../errors.ts';
import { listItems } from '../protection/itemStore.ts';
import {
  containerOf,
  fabrics,
  findResource,
  getResource,
  listResources,
  putResource,
} from '../vault/resources.ts';
import type { FabricRecord } from '../vault/resources.ts';
import { accepted, list, resource, resourceId } from './arm.ts';
import type { ApiContext, Handler } from './http.ts';
import { recordCompletedJob } from './completedJobs.ts';
import { requireResourceName } from './names.ts';

function fabricBody({ settings }: ApiContext, record: FabricRecord) {
  return resource(settings.vault, ['replicationFabrics', record.name], {
    friendlyName: record.name,
    internalIdentifier: record.internalId,
    bcdrState: 'Valid',
    health: 'Normal',
    healthErrorDetails: [],
    encryptionDetails: { kekState: 'None', kekCertThumbprint: null },
    customDetails: { instanceType: 'HyperVSite', hyperVHosts: [] },
  });
}

/** PUT again on a fabric that exists changes nothing: it keeps its container. */
export const putFabric: Handler = async (context, { params, apiVersion }) => {
  const name = requireResourceName(params['fabric'] ?? '', 'fabric');
  const { storage, clock, newId } = context.replication;
  const existing = await findResource(storage.vault, fabrics, name);
  const record = existing ?? { name, internalId: newId(), createdAt: clock.now().toISOString() };
  if (!existing) await putResource(storage.vault, fabrics, record);
  const path = resourceId(context.settings.vault, 'replicationFabrics', record.name);
  const job = await recordCompletedJob(context, {
    kind: 'createSite',
    targetId: path,
    targetName: record.name,
  });
  return accepted(context, { job, resource: path, apiVersion });
};

export const getFabric: Handler = async (context, { params }) => {
  const record = await getResource(context.replication.storage.vault, fabrics, params['fabric'] ?? '');
  return { status: 200, body: fabricBody(context, record) };
};

export const listFabrics: Handler = async (context) => {
  const all = await listResources(context.replication.storage.vault, fabrics);
  return list(all.map((record) => fabricBody(context, record)));
};

/** The fabric and its container as the path names them. Throws `ResourceNotFound`. */
export async function getContainer(
  context: ApiContext,
  params: Readonly<Record<string, string>>,
): Promise<{ fabric: FabricRecord; container: string }> {
  const fabric = await getResource(context.replication.storage.vault, fabrics, params['fabric'] ?? '');
  const container = containerOf(fabric);
  const asked = params['container'] ?? '';
  if (asked.toLowerCase() !== container.toLowerCase()) {
    const message = `Protection container "${asked}" does not exist in fabric "${fabric.name}"; its container is "${container}".`;
    throw new LifeboatError('ResourceNotFound', message, { target: asked });
  }
  return { fabric, container };
}

async function countItems(context: ApiContext, fabric: FabricRecord): Promise<number> {
  let count = 0;
  for await (const record of listItems(context.replication.storage)) {
    if (record.fabric === fabric.name) count++;
  }
  return count;
}

async function containerBody(context: ApiContext, fabric: FabricRecord) {
  const container = containerOf(fabric);
  const segments = ['replicationFabrics', fabric.name, 'replicationProtectionContainers', container];
  return resource(context.settings.vault, segments, {
    fabricFriendlyName: fabric.name,
    friendlyName: fabric.name,
    fabricType: 'HyperVSite',
    protectedItemCount: await countItems(context, fabric),
    pairingStatus: 'Paired',
    role: 'Primary',
    fabricSpecificDetails: null,
  });
}

export const readContainer: Handler = async (context, { params }) => {
  const { fabric } = await getContainer(context, params);
  return { status: 200, body: await containerBody(context, fabric) };
};

export const listContainers: Handler = async (context, { params }) => {
  const { vault } = context.replication.storage;
  const fabricName = params['fabric'];
  const all =
    fabricName === undefined
      ? await listResources(vault, fabrics)
      : [await getResource(vault, fabrics, fabricName)];
  return list(await Promise.all(all.map((fabric) => containerBody(context, fabric))));
};
