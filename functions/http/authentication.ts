// What credentials this app takes, from its settings. The tenant's keys are fetched from the one address that follows from the
// tenant's id, kept for ten minutes, and fetched again (at most every half minute) when a token names a key that is not among them.
import { createRemoteJWKSet } from 'jose';
import type { CredentialChecks } from '../../lib/auth/authenticate.ts';
import { entraKeysUrl } from '../../lib/auth/entra.ts';
import type { EntraVerifier } from '../../lib/auth/entra.ts';
import type { TablePort } from '../../lib/storage/ports.ts';
import type { Settings } from '../settings.ts';

const keysMaxAgeMs = 10 * 60_000;
const keysCooldownMs = 30_000;
const keysTimeoutMs = 5000;

function entraVerifier(settings: Settings): EntraVerifier | undefined {
  const { LIFEBOAT_ENTRA_TENANT_ID: tenantId, LIFEBOAT_ENTRA_AUDIENCE: audience } = settings;
  if (tenantId === undefined || audience === undefined) return undefined;
  const entra = {
    tenantId,
    audiences: audience.split(',').map((each) => each.trim()),
    authority: settings.LIFEBOAT_ENTRA_AUTHORITY.replace(/\/+$/, ''),
  };
  const getKey = createRemoteJWKSet(new URL(entraKeysUrl(entra)), {
    cacheMaxAge: keysMaxAgeMs,
    cooldownDuration: keysCooldownMs,
    timeoutDuration: keysTimeoutMs,
  });
  return { settings: entra, getKey };
}

export const credentialChecks = (settings: Settings, access: TablePort): CredentialChecks => ({
  adminKey: settings.LIFEBOAT_ADMIN_KEY,
  entra: entraVerifier(settings),
  access,
});
