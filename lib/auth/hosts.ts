// Source hosts that enrolled themselves: rows in the table `access`, partition `hosts`. A host is its Ed25519 key; its name and
// its site are fixed at enrolment, and no two hosts of a site that are not revoked share a name.
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { LifeboatError, isLifeboatError } from '../errors.ts';
import type { TablePort } from '../storage/ports.ts';
import { updateRow } from '../storage/updateRow.ts';

const partition = 'hosts';
const namesPartition = 'hostNames';

export const hostRecord = z.object({
  id: z.string(),
  name: z.string(),
  fabric: z.string(),
  /** Raw Ed25519 public key, base64url; null when the host proves itself with Entra ID. */
  publicKey: z.string().nullable(),
  /** Object id of the Entra application that is the host; null for a host with a key. */
  entraObjectId: z.string().nullable(),
  agentVersion: z.string().nullable(),
  enrolledAt: z.iso.datetime(),
  revokedAt: z.iso.datetime().nullable(),
  lastSeenAt: z.iso.datetime().nullable(),
  /** Digests of the access tokens that are valid. */
  tokens: z.array(z.object({ digest: z.string(), expiresAt: z.iso.datetime() })),
});
export type HostRecord = z.infer<typeof hostRecord>;

export async function findHost(access: TablePort, id: string): Promise<HostRecord | undefined> {
  const row = await access.find(partition, id.toLowerCase());
  return row && hostRecord.parse(row.value);
}

/** Hosts of one site, or of all; also revoked ones. */
export async function listHosts(access: TablePort, fabric?: string): Promise<HostRecord[]> {
  const hosts: HostRecord[] = [];
  for await (const row of access.list(partition)) {
    const host = hostRecord.parse(row.value);
    if (fabric === undefined || host.fabric.toLowerCase() === fabric.toLowerCase()) hosts.push(host);
  }
  return hosts;
}

/** Applies a pure change; see `updateRow`. */
export const updateHost = (
  access: TablePort,
  id: string,
  change: (host: HostRecord) => HostRecord,
): Promise<HostRecord> =>
  updateRow(
    { table: access, partition, key: id.toLowerCase(), schema: hostRecord, what: `Host "${id}"` },
    change,
  );

const nameKey = ({ fabric, name }: Pick<HostRecord, 'fabric' | 'name'>): string =>
  createHash('sha256')
    .update(JSON.stringify([fabric.toLowerCase(), name.toLowerCase()]))
    .digest('hex');

const nameRow = z.object({ host: z.string() });

/** The host of this name that is not revoked. */
export async function findHostByName(
  access: TablePort,
  where: Pick<HostRecord, 'fabric' | 'name'>,
): Promise<HostRecord | undefined> {
  const row = await access.find(namesPartition, nameKey(where));
  const host = row && (await findHost(access, nameRow.parse(row.value).host));
  return host?.revokedAt === null ? host : undefined;
}

/**
 * Stores a new host under its name. Throws `OperationNotSupportedInState` while a host of this name is enrolled and not revoked.
 * A crash after the host and before its name leaves a host that nobody knows the key of: harmless.
 */
export async function insertHost(access: TablePort, host: HostRecord): Promise<void> {
  const key = nameKey(host);
  const taken = await access.find(namesPartition, key);
  const owner = taken && (await findHost(access, nameRow.parse(taken.value).host));
  if (owner?.revokedAt === null && owner.id !== host.id) throw nameTaken(host);
  await access.transact(partition, [{ kind: 'put', key: host.id, value: host }]);
  const value = { host: host.id };
  try {
    await access.transact(namesPartition, [
      taken ? { kind: 'replace', key, value, etag: taken.etag } : { kind: 'insert', key, value },
    ]);
  } catch (error) {
    if (!isLifeboatError(error, 'PreconditionFailed')) throw error;
    await revokeHost(access, host.id, new Date(host.enrolledAt));
    throw nameTaken(host);
  }
}

export const nameTaken = ({ fabric, name }: Pick<HostRecord, 'fabric' | 'name'>): LifeboatError =>
  new LifeboatError(
    'OperationNotSupportedInState',
    `Host "${name}" is enrolled in site "${fabric}" already; revoke it before another takes its name.`,
    { target: name },
  );

/** From now on neither its tokens nor its key are worth anything. May be called twice. */
export const revokeHost = (access: TablePort, id: string, now: Date): Promise<HostRecord> =>
  updateHost(access, id, (host) =>
    host.revokedAt === null ? { ...host, revokedAt: now.toISOString(), tokens: [] } : host,
  );
