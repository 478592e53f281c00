// From the Authorization header to the caller. Three kinds of credential, told apart by their form: the admin key, tokens of
// source hosts, and tokens of Entra ID.
import { LifeboatError } from '../errors.ts';
import type { TablePort } from '../storage/ports.ts';
import type { Caller } from './caller.ts';
import { looksLikeJwt, verifyEntraToken } from './entra.ts';
import type { EntraVerifier } from './entra.ts';
import { findEntraHost } from './entraHosts.ts';
import { findTokenHost } from './hostTokens.ts';
import { digestOf, isSecret } from './secrets.ts';

export interface CredentialChecks {
  /** Undefined: this app takes no admin key. */
  adminKey: string | undefined;
  /** Undefined: this app takes no tokens of Entra ID. */
  entra: EntraVerifier | undefined;
  access: TablePort;
}

const bearer = /^bearer +(\S{1,16384})$/i;

/**
 * The caller that a header proves; `anonymous` when there is no header. Throws `Unauthorized` for credentials that are not valid, and
 * `Forbidden` for a genuine token to which nobody assigned a role.
 */
export async function authenticate(
  { adminKey, entra, access }: CredentialChecks,
  header: string | undefined,
  now: Date,
): Promise<Caller> {
  if (header === undefined) return { kind: 'anonymous' };
  const [, credential] = bearer.exec(header) ?? [];
  if (credential === undefined) throw new LifeboatError('Unauthorized', 'This request needs a valid key.');
  if (adminKey !== undefined && isSecret(credential, digestOf(adminKey)))
    return { kind: 'principal', id: 'adminKey', name: 'administrator', role: 'Owner' };
  const host = await findTokenHost(access, credential, now);
  if (host) return host;
  if (entra === undefined || !looksLikeJwt(credential))
    throw new LifeboatError('Unauthorized', 'This request needs a valid key.');
  const { role, ...identity } = await verifyEntraToken(entra, credential, now);
  if (role !== null) return { ...identity, role };
  const entraHost = await findEntraHost(access, identity.id);
  if (entraHost) return entraHost;
  const message = `${identity.name} has none of the roles Reader, Operator, Owner of this app.`;
  throw new LifeboatError('Forbidden', message, { target: 'roles' });
}
