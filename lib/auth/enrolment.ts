// How a source host becomes known: with a registration key and a key pair of its own, once; and how it changes its key pair.
import { LifeboatError } from '../errors.ts';
import type { TablePort } from '../storage/ports.ts';
import { enrolmentProof, requireProof } from './hostKeys.ts';
import { findHost, findHostByName, insertHost, nameTaken, updateHost } from './hosts.ts';
import type { HostRecord } from './hosts.ts';
import { getRegistrationKey, spendRegistrationKey } from './registrationKeys.ts';

export interface Enrolment {
  registrationKey: string;
  hostName: string;
  /** Raw Ed25519 public key, base64url. */
  publicKey: string;
  /** Over `enrolmentProof`, base64url. */
  signature: string;
  agentVersion: string | null;
}

/**
 * Enrols a host. The same request again (its answer was lost) returns the same host; another one with a spent key throws
 * `RegistrationRefused`. Throws `OperationNotSupportedInState` when the site has a host of that name.
 */
export async function enrolHost(
  access: TablePort,
  enrolment: Enrolment,
  { now, newHost }: { now: Date; newHost: string },
): Promise<HostRecord> {
  const { registrationKey: text, hostName, publicKey, signature } = enrolment;
  const key = await getRegistrationKey(access, text, now);
  const subject = key.id;
  requireProof(enrolmentProof({ purpose: 'enrol', subject, hostName, publicKey }), publicKey, signature);
  if (key.hostName !== null && key.hostName.toLowerCase() !== hostName.toLowerCase()) {
    throw new LifeboatError(
      'RegistrationRefused',
      `This registration key is for host "${key.hostName}" only.`,
    );
  }
  const where = { fabric: key.fabric, name: hostName };
  const taken = await findHostByName(access, where);
  if (taken && taken.id !== key.usedBy?.host) throw nameTaken(where);
  const id = await spendRegistrationKey(access, key.id, { newHost, publicKey });
  const existing = await findHost(access, id);
  if (existing?.revokedAt === null) return existing;
  if (existing) throw new LifeboatError('RegistrationRefused', `Host "${existing.name}" was revoked.`);
  const host: HostRecord = {
    ...{ id, publicKey, ...where, agentVersion: enrolment.agentVersion },
    ...{ entraObjectId: null, enrolledAt: now.toISOString(), revokedAt: null, lastSeenAt: null, tokens: [] },
  };
  await insertHost(access, host);
  return host;
}

/**
 * Replaces the host's key: from the answer on only the new one makes tokens, and tokens of the old one end. The new key proves
 * itself; the caller has proved that it is the host. May be called twice with the same key.
 */
export function rotateHostKey(
  access: TablePort,
  host: Pick<HostRecord, 'id' | 'name'>,
  { publicKey, signature }: { publicKey: string; signature: string },
): Promise<HostRecord> {
  const proof = enrolmentProof({ purpose: 'rotate', subject: host.id, hostName: host.name, publicKey });
  requireProof(proof, publicKey, signature);
  return updateHost(access, host.id, (current) => {
    if (current.publicKey === null || current.revokedAt !== null)
      throw new LifeboatError('Forbidden', `Host "${current.name}" has no key that could be replaced.`);
    return current.publicKey === publicKey ? current : { ...current, publicKey, tokens: [] };
  });
}
