// Source hosts that prove themselves as an Entra application instead of with a key of their own: an Owner names the
// application's object id (PUT …/replicationRecoveryServicesProviders/{name}), and its tokens need no role.
import * as z from 'zod';
import { LifeboatError, isLifeboatError } from '../errors.ts';
import type { TablePort } from '../storage/ports.ts';
import type { HostCaller } from './caller.ts';
import { findHost, insertHost } from './hosts.ts';
import type { HostRecord } from './hosts.ts';

const partition = 'entraHosts';
const entraRow = z.object({ host: z.string() });

/** Object ids are GUIDs. */
const keyOf = (objectId: string): string => objectId.toLowerCase();

async function findActive(access: TablePort, objectId: string): Promise<HostRecord | undefined> {
  const row = await access.find(partition, keyOf(objectId));
  const host = row && (await findHost(access, entraRow.parse(row.value).host));
  return host?.revokedAt === null && host.entraObjectId === keyOf(objectId) ? host : undefined;
}

export async function findEntraHost(access: TablePort, objectId: string): Promise<HostCaller | undefined> {
  const host = await findActive(access, objectId);
  return host && { kind: 'host', id: host.id, name: host.name, fabric: host.fabric };
}

/**
 * Enrols a host that is an Entra application. Again with the same name and application: the same host. Throws
 * `OperationNotSupportedInState` when the name or the application belongs to another host.
 */
export async function enrolEntraHost(
  access: TablePort,
  { name, fabric, objectId }: { name: string; fabric: string; objectId: string },
  { now, newHost }: { now: Date; newHost: string },
): Promise<HostRecord> {
  const entraObjectId = keyOf(objectId);
  const known = await findActive(access, entraObjectId);
  if (known?.name === name && known.fabric === fabric) return known;
  if (known) {
    const message = `Application ${entraObjectId} is host "${known.name}" of site "${known.fabric}" already.`;
    throw new LifeboatError('OperationNotSupportedInState', message, { target: name });
  }
  const host: HostRecord = {
    ...{ id: newHost, name, fabric, entraObjectId, publicKey: null, agentVersion: null },
    ...{ enrolledAt: now.toISOString(), revokedAt: null, lastSeenAt: null, tokens: [] },
  };
  await insertHost(access, host);
  const row = await access.find(partition, entraObjectId);
  const value = { host: host.id };
  try {
    await access.transact(partition, [
      row
        ? { kind: 'replace', key: entraObjectId, value, etag: row.etag }
        : { kind: 'insert', key: entraObjectId, value },
    ]);
  } catch (error) {
    if (!isLifeboatError(error, 'PreconditionFailed')) throw error;
    throw new LifeboatError('ConcurrentUpdate', `Application ${entraObjectId} is being enrolled elsewhere.`);
  }
  return host;
}
