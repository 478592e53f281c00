// Registration keys: what an Owner hands to whoever sets up a source host. A key is for one site, works once, and for five
// days. Only its digest is stored, in the table `access`.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import type { TablePort } from '../storage/ports.ts';
import { updateRow } from '../storage/updateRow.ts';
import { digestOf, formatCredential, isSecret, newSecret, parseCredential } from './secrets.ts';

const partition = 'registrationKeys';
const kind = 'lbreg';
const validMs = 5 * 24 * 3600 * 1000;

const registrationKey = z.object({
  id: z.string(),
  fabric: z.string(),
  /** The only host name that it enrols; null = any that is free. */
  hostName: z.string().nullable(),
  digest: z.string(),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  expiresAt: z.iso.datetime(),
  /** The host that used it, and the key pair that it came with. */
  usedBy: z.object({ host: z.string(), publicKey: z.string() }).nullable(),
  revokedAt: z.iso.datetime().nullable(),
});
export type RegistrationKey = z.infer<typeof registrationKey>;

export interface NewRegistrationKey {
  id: string;
  fabric: string;
  hostName: string | null;
  createdBy: string;
  now: Date;
}

/** Stores a new key and returns it with its text, which nobody can show again. */
export async function createRegistrationKey(
  access: TablePort,
  { id, fabric, hostName, createdBy, now }: NewRegistrationKey,
): Promise<{ text: string; key: RegistrationKey }> {
  const secret = newSecret();
  const key: RegistrationKey = {
    ...{ id, fabric, hostName, createdBy },
    digest: digestOf(secret),
    createdAt: now.toISOString(),
    expiresAt: new Date(now.getTime() + validMs).toISOString(),
    usedBy: null,
    revokedAt: null,
  };
  await access.transact(partition, [{ kind: 'insert', key: id, value: key }]);
  return { text: formatCredential(kind, id, secret), key };
}

/** Keys of one site, also those that are used or over. */
export async function listRegistrationKeys(access: TablePort, fabric: string): Promise<RegistrationKey[]> {
  const keys: RegistrationKey[] = [];
  for await (const row of access.list(partition)) {
    const key = registrationKey.parse(row.value);
    if (key.fabric.toLowerCase() === fabric.toLowerCase()) keys.push(key);
  }
  return keys;
}

const address = (access: TablePort, id: string) => ({
  table: access,
  partition,
  key: id,
  schema: registrationKey,
  what: `Registration key "${id}"`,
});

/** May be called twice. Throws `ResourceNotFound`. */
export const revokeRegistrationKey = (access: TablePort, id: string, now: Date): Promise<RegistrationKey> =>
  updateRow(address(access, id), (key) =>
    key.revokedAt === null ? { ...key, revokedAt: now.toISOString() } : key,
  );

const refused = (reason: string) => new LifeboatError('RegistrationRefused', reason);

/** The key behind the text, if the text is genuine and the key not expired or revoked. Throws `RegistrationRefused`. */
export async function getRegistrationKey(
  access: TablePort,
  text: string,
  now: Date,
): Promise<RegistrationKey> {
  const parsed = parseCredential(kind, text);
  const row = parsed && (await access.find(partition, parsed.id));
  const key = row && registrationKey.parse(row.value);
  // One message for an unknown id and a wrong secret: whoever guesses learns nothing.
  if (!key || !isSecret(parsed.secret, key.digest)) throw refused('The registration key is not valid.');
  if (key.revokedAt !== null) throw refused(`The registration key was revoked at ${key.revokedAt}.`);
  if (now.toISOString() >= key.expiresAt) throw refused(`The registration key expired at ${key.expiresAt}.`);
  return key;
}

/**
 * Spends the key for a host with this key pair and returns the id of the host: `newHost`, or on a repetition that of the first
 * time. Throws `RegistrationRefused` when another key pair was enrolled with it.
 */
export async function spendRegistrationKey(
  access: TablePort,
  id: string,
  { newHost, publicKey }: { newHost: string; publicKey: string },
): Promise<string> {
  const spent = await updateRow(address(access, id), (key) => {
    if (key.usedBy?.publicKey === publicKey) return key;
    if (key.usedBy !== null) throw refused('The registration key was used already; a key enrols one host.');
    if (key.revokedAt !== null) throw refused('The registration key was revoked.');
    return { ...key, usedBy: { host: newHost, publicKey } };
  });
  return spent.usedBy?.host ?? newHost;
}
