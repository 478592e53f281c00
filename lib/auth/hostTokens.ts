// Access tokens of source hosts. A host signs an assertion with its Ed25519 key (a JWT, at most five minutes long, used once)
// and gets a token for a quarter of an hour. The token is random; its digest lies in the host's row, so that revoking the host
// ends it at once.
import { createHash } from 'node:crypto';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import { LifeboatError, isLifeboatError } from '../errors.ts';
import type { TablePort } from '../storage/ports.ts';
import type { HostCaller } from './caller.ts';
import { publicKeyOf } from './hostKeys.ts';
import { findHost, updateHost } from './hosts.ts';
import type { HostRecord } from './hosts.ts';
import { digestOf, formatCredential, isSecret, newSecret, parseCredential } from './secrets.ts';

const kind = 'lbhost';
export const hostTokenSeconds = 15 * 60;
/** Longest life of an assertion: so long its id is remembered at least. */
const assertionSeconds = 5 * 60;
/** How far the host's clock may be off. */
const clockToleranceSeconds = 60;
/** Tokens of one host that are valid at once; the oldest ends when there are more. */
const maxTokens = 8;
const assertionLimitChars = 4096;

const refused = (cause?: unknown): LifeboatError =>
  new LifeboatError('Unauthorized', 'The assertion does not prove an enrolled host.', { cause });

/** The partition of assertions of that hour; older ones are swept. */
export const assertionsPartition = (at: Date): string => `assertions:${at.toISOString().slice(0, 13)}`;

async function verifyAssertion(
  access: TablePort,
  assertion: string,
  { audience, now }: { audience: string; now: Date },
): Promise<{ host: HostRecord; jti: string; expiresAt: Date }> {
  if (assertion.length > assertionLimitChars) throw refused();
  const { kid } = decodeProtectedHeader(assertion);
  const host =
    typeof kid === 'string' && /^[0-9a-f-]{36}$/i.test(kid) ? await findHost(access, kid) : undefined;
  if (!host || host.publicKey === null || host.revokedAt !== null) throw refused();
  const { payload } = await jwtVerify(assertion, publicKeyOf(host.publicKey), {
    algorithms: ['EdDSA', 'Ed25519'],
    issuer: host.id,
    subject: host.id,
    audience,
    requiredClaims: ['iat', 'exp', 'jti'],
    maxTokenAge: assertionSeconds,
    clockTolerance: clockToleranceSeconds,
    currentDate: now,
  });
  const { jti = '', exp = 0, iat = 0 } = payload;
  if (exp - iat > assertionSeconds || jti.length < 16 || jti.length > 128) throw refused();
  return { host, jti, expiresAt: new Date((exp + clockToleranceSeconds) * 1000) };
}

/**
 * Stores that this assertion was used; throws `Unauthorized` when it was before. The partition follows from the assertion's own
 * end, so that every use of it looks at the same row.
 */
async function useOnce(
  access: TablePort,
  { host, jti, expiresAt }: { host: HostRecord; jti: string; expiresAt: Date },
): Promise<void> {
  const key = createHash('sha256')
    .update(JSON.stringify([host.id, jti]))
    .digest('hex');
  try {
    await access.transact(assertionsPartition(expiresAt), [{ kind: 'insert', key, value: {} }]);
  } catch (error) {
    if (!isLifeboatError(error, 'PreconditionFailed')) throw error;
    throw new LifeboatError('Unauthorized', 'The assertion was used before; sign a new one for every token.');
  }
}

/**
 * A token for the host that signed the assertion. Header: `kid` = the host's id, `alg` = EdDSA or Ed25519. Claims: `iss` and `sub` =
 * the host's id, `aud` = `audience`, `iat`, `exp` (five minutes later at most), `jti` (16 characters or more, never used before).
 * Throws `Unauthorized`.
 */
export async function issueHostToken(
  access: TablePort,
  assertion: string,
  about: { audience: string; now: Date },
): Promise<{ token: string; host: HostRecord; expiresAt: Date }> {
  let verified;
  try {
    verified = await verifyAssertion(access, assertion, about);
  } catch (error) {
    // Everything that jose throws is about the assertion; what storage throws is not.
    if (error instanceof LifeboatError) throw error;
    throw refused(error);
  }
  await useOnce(access, verified);
  const secret = newSecret();
  const expiresAt = new Date(about.now.getTime() + hostTokenSeconds * 1000);
  const now = about.now.toISOString();
  const host = await updateHost(access, verified.host.id, (current) => {
    if (current.revokedAt !== null || current.publicKey !== verified.host.publicKey) throw refused();
    const valid = current.tokens.filter((token) => token.expiresAt > now).slice(1 - maxTokens);
    const tokens = [...valid, { digest: digestOf(secret), expiresAt: expiresAt.toISOString() }];
    return { ...current, tokens, lastSeenAt: now };
  });
  return { token: formatCredential(kind, host.id, secret), host, expiresAt };
}

/** The host whose valid token this is; undefined when the text is no token of a host. Throws `Unauthorized` when it is worthless. */
export async function findTokenHost(
  access: TablePort,
  text: string,
  now: Date,
): Promise<HostCaller | undefined> {
  const parsed = parseCredential(kind, text);
  if (!parsed) return undefined;
  const host = await findHost(access, parsed.id);
  const isValid = host?.tokens.some(
    ({ digest, expiresAt }) => expiresAt > now.toISOString() && isSecret(parsed.secret, digest),
  );
  if (host?.revokedAt !== null || isValid !== true)
    throw new LifeboatError(
      'Unauthorized',
      'The access token of the host is not valid any more; get a new one.',
    );
  return { kind: 'host', id: host.id, name: host.name, fabric: host.fabric };
}
