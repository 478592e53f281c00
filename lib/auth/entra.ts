// Tokens of Entra ID: signed by the tenant, for this app, with the role that an administrator assigned. Where the tenant's keys
// come from is a port (`getKey`); the edge fetches them and keeps them (functions/http/authentication.ts).
import { jwtVerify } from 'jose';
import type { JWTPayload, JWTVerifyGetKey } from 'jose';
import { LifeboatError } from '../errors.ts';
import type { PrincipalCaller } from './caller.ts';
import { roles } from './caller.ts';
import type { Role } from './caller.ts';

export interface EntraSettings {
  tenantId: string;
  /** `aud` of tokens for this app: its client id, its application id URI, or both. */
  audiences: readonly string[];
  /** For example `https://login.microsoftonline.com`, without slash at the end. */
  authority: string;
}

export interface EntraVerifier {
  settings: EntraSettings;
  /** The key that a token names, from the tenant's published set. */
  getKey: JWTVerifyGetKey;
}

/** Who the token speaks for. `role` is null when the app assigned none. */
export interface EntraIdentity extends Omit<PrincipalCaller, 'role'> {
  role: Role | null;
}

const clockToleranceSeconds = 60;
const tokenLimitChars = 16_384;

/** Versions 1 and 2 of the token service name themselves differently. */
const issuersOf = ({ authority, tenantId }: EntraSettings): string[] => [
  `${authority}/${tenantId}/v2.0`,
  `https://sts.windows.net/${tenantId}/`,
];

/** Where the tenant publishes its keys. */
export const entraKeysUrl = ({ authority, tenantId }: EntraSettings): string =>
  `${authority}/${tenantId}/discovery/v2.0/keys`;

/** Three base64url parts: everything else is no token of Entra ID. */
export const looksLikeJwt = (text: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text);

function roleOf(payload: JWTPayload): Role | null {
  const assigned: unknown[] = Array.isArray(payload['roles']) ? payload['roles'] : [];
  return roles.findLast((role) => assigned.includes(role)) ?? null;
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/**
 * The identity that a token proves. The signature must be RS256 by a key of the tenant, whatever the token says; issuer, audience,
 * tenant and times must fit. Throws `Unauthorized`, and `StorageUnavailable` never: a tenant whose keys cannot be fetched is
 * `Unauthorized` as well, with that reason in the cause.
 */
export async function verifyEntraToken(
  { settings, getKey }: EntraVerifier,
  token: string,
  now: Date,
): Promise<EntraIdentity> {
  try {
    if (token.length > tokenLimitChars) throw new Error('too long');
    const { payload } = await jwtVerify(token, getKey, {
      algorithms: ['RS256'],
      issuer: issuersOf(settings),
      audience: [...settings.audiences],
      requiredClaims: ['exp', 'oid', 'tid'],
      clockTolerance: clockToleranceSeconds,
      currentDate: now,
    });
    const id = textOf(payload['oid']);
    if (id === undefined || payload['tid'] !== settings.tenantId) throw new Error('another tenant');
    const name =
      textOf(payload['preferred_username']) ?? textOf(payload['upn']) ?? textOf(payload['azp']) ?? id;
    return { kind: 'principal', id, name, role: roleOf(payload) };
  } catch (cause) {
    throw new LifeboatError(
      'Unauthorized',
      'The token is not one of Entra ID for this service, or expired.',
      {
        cause,
      },
    );
  }
}
