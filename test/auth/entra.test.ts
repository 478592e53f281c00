// Tokens of Entra ID: what is taken, what is not, how keys are fetched and rotate, and what each role may do.
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import {
  SignJWT,
  UnsecuredJWT,
  createLocalJWKSet,
  createRemoteJWKSet,
  exportJWK,
  generateKeyPair,
} from 'jose';
import type { CryptoKey, JWK, JWTVerifyGetKey } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EntraSettings } from '../../lib/auth/entra.ts';
import { operations } from '../../lib/api/operations.ts';
import type { ApiResponse } from '../../lib/api/http.ts';
import { adminKey, testApi, vault } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import { testContext } from '../support/protectedVm.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const settings: EntraSettings = {
  tenantId,
  audiences: ['api://lifeboat', '22222222-2222-4222-8222-222222222222'],
  authority: 'https://login.microsoftonline.com',
};

interface TenantKey {
  kid: string;
  privateKey: CryptoKey;
  jwk: JWK;
}

async function newKey(kid: string, alg = 'RS256'): Promise<TenantKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

let key: TenantKey;
beforeAll(async () => {
  key = await newKey('one');
});

const claims = (extra: Record<string, unknown> = {}) => ({
  iss: `https://login.microsoftonline.com/${tenantId}/v2.0`,
  aud: 'api://lifeboat',
  tid: tenantId,
  oid: '33333333-3333-4333-8333-333333333333',
  preferred_username: 'operator@contoso.example',
  roles: ['Owner'],
  iat: Math.floor(Date.now() / 1000),
  exp: Math.floor(Date.now() / 1000) + 3600,
  ...extra,
});

const token = (extra: Record<string, unknown> = {}, by = key, alg = 'RS256') =>
  new SignJWT(claims(extra)).setProtectedHeader({ alg, kid: by.kid }).sign(by.privateKey);

function apiWith(getKey: JWTVerifyGetKey, adminKeyOrNone: string | null = adminKey): TestApi {
  const replication = testContext();
  const { access } = replication.storage;
  return testApi(replication, {
    credentials: { adminKey: adminKeyOrNone ?? undefined, entra: { settings, getKey }, access },
  });
}

const api = () => apiWith(createLocalJWKSet({ keys: [key.jwk] }));

const get = (to: TestApi, credential: string): Promise<ApiResponse> =>
  to.call('GET', `${vault}/replicationFabrics`, undefined, { authorization: `Bearer ${credential}` });

describe('a token', () => {
  it('of either version of the token service is taken', async () => {
    const one = { iss: `https://sts.windows.net/${tenantId}/`, aud: '22222222-2222-4222-8222-222222222222' };
    for (const extra of [{}, one]) expect((await get(api(), await token(extra))).status).toBe(200);
  });

  it.each<[string, Record<string, unknown>]>([
    ['that expired', { exp: Math.floor(Date.now() / 1000) - 120 }],
    ['that is not valid yet', { nbf: Math.floor(Date.now() / 1000) + 600 }],
    ['without end', { exp: undefined }],
    ['for another audience', { aud: 'api://other' }],
    ['of another issuer', { iss: 'https://login.example/v2.0' }],
    ['of another tenant', { tid: '44444444-4444-4444-8444-444444444444' }],
    ['of another tenant by its issuer', { iss: 'https://login.microsoftonline.com/other/v2.0' }],
    ['without subject', { oid: undefined }],
  ])('%s is not taken', async (_what, extra) => {
    const answer = await get(api(), await token(extra));
    expect(answer.status).toBe(401);
    expect(answer.headers?.['www-authenticate']).toBe('Bearer');
  });

  it('is not taken by its own word: other algorithms, other keys, changed claims', async () => {
    const good = await token();
    const [head = '', , signature = ''] = good.split('.');
    const changed = Buffer.from(JSON.stringify(claims({ roles: ['Owner'], oid: 'x' }))).toString('base64url');
    const publicPem = Buffer.from(JSON.stringify(key.jwk));
    const forgeries = [
      new UnsecuredJWT(claims()).encode(),
      await token({}, await newKey('one')),
      await token({}, await newKey('two')),
      await token({}, await newKey('one', 'PS256'), 'PS256'),
      await new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', kid: 'one' }).sign(publicPem),
      `${head}.${changed}.${signature}`,
      `${good}x`,
      'a'.repeat(20_000),
    ];
    for (const forged of forgeries) expect((await get(api(), forged)).status).toBe(401);
  });

  it('of somebody without a role is refused with the reason', async () => {
    const answer = await get(api(), await token({ roles: [] }));
    expect(answer.status).toBe(403);
    expect(JSON.stringify(answer.body)).toContain('none of the roles Reader, Operator, Owner');
  });

  it('is the only way in when the app has no admin key', async () => {
    const without = apiWith(createLocalJWKSet({ keys: [key.jwk] }), null);
    for (const guess of [adminKey, '', 'undefined']) expect((await get(without, guess)).status).toBe(401);
    expect((await get(without, await token())).status).toBe(200);
  });
});

describe('roles', () => {
  const allowed = {
    Reader: ['Reader'],
    Operator: ['Reader', 'Operator'],
    Owner: ['Reader', 'Operator', 'Owner'],
  };

  it.each(['Reader', 'Operator', 'Owner'] as const)('%s may do what it may, and no more', async (role) => {
    const to = api();
    const headers = { authorization: `Bearer ${await token({ roles: ['Other', role] })}` };
    for (const { id, verb, path, scope, access } of operations) {
      const filled = path.replaceAll(/\{\w+\}/g, 'x');
      const answer = await to.call(verb, scope === 'vault' ? vault + filled : filled, {}, headers);
      const isAllowed =
        access === 'Anyone' || (access === 'Host' ? role === 'Owner' : allowed[role].includes(access));
      expect([id, answer.status === 403], JSON.stringify(answer.body)).toEqual([id, !isAllowed]);
      if (isAllowed) continue;
      const { message } = (answer.body as { error: { message: string } }).error;
      expect(message).toContain(`needs the role ${access === 'Host' ? 'Owner' : access}`);
    }
  });

  it('keep what deletes, fails over or gives access for Owners', () => {
    const grave = operations.filter(
      ({ id, verb, state }) =>
        state !== 'other' &&
        // Who may read all may read whether a failover is possible, but not who got access.
        (verb !== 'GET' || /^(RegistrationKeys|Audit)_/.test(id)) &&
        (verb === 'DELETE' ||
          /failover(?!cleanup)|commit|reprotect|revoke|registrationkeys|audit|remove/i.test(id)),
    );
    // A test failover and the schedule of drills destroy nothing: they are an Operator's.
    const open = grave.filter(({ id, access }) => access !== 'Owner' && !/TestFailover|Drill/.test(id));
    expect(open.map(({ id }) => id)).toEqual([]);
  });
});

describe("the tenant's keys", () => {
  let server: Server;
  let published: JWK[] = [];
  let fetches = 0;
  let url: URL;
  beforeAll(async () => {
    server = createServer((_request, response) => {
      fetches++;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ keys: published }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`);
  });
  afterAll(() => server.close());

  it('are fetched once, and again when a token names a new one; what is withdrawn ends', async () => {
    published = [key.jwk];
    fetches = 0;
    const to = apiWith(createRemoteJWKSet(url, { cooldownDuration: 0, cacheMaxAge: 600_000 }));
    for (let count = 0; count < 3; count++) expect((await get(to, await token())).status).toBe(200);
    expect(fetches).toBe(1);
    const next = await newKey('two');
    published = [next.jwk];
    expect((await get(to, await token({}, next))).status).toBe(200);
    expect(fetches).toBe(2);
    expect((await get(to, await token())).status).toBe(401);
  });

  it('are not fetched for every token that names a key that does not exist', async () => {
    published = [key.jwk];
    fetches = 0;
    const to = apiWith(createRemoteJWKSet(url, { cooldownDuration: 30_000, cacheMaxAge: 600_000 }));
    expect((await get(to, await token())).status).toBe(200);
    const stranger = await newKey('stranger');
    for (let count = 0; count < 4; count++)
      expect((await get(to, await token({}, stranger))).status).toBe(401);
    expect(fetches).toBe(1);
  });
});

describe('a host that is an Entra application', () => {
  it('is enrolled by an Owner, needs no role, and is a host and nothing else', async () => {
    const to = api();
    const owner = { authorization: `Bearer ${adminKey}` };
    await to.call('PUT', `${vault}/replicationFabrics/site1`, {}, owner);
    const objectId = '55555555-5555-4555-8555-555555555555';
    const identity = {
      ...{ tenantId, applicationId: objectId, objectId, audience: 'api://lifeboat' },
      aadAuthority: 'https://login.microsoftonline.com',
    };
    const input = {
      properties: {
        machineName: 'hv9.contoso.local',
        authenticationIdentityInput: identity,
        resourceAccessIdentityInput: identity,
      },
    };
    const path = `${vault}/replicationFabrics/site1/replicationRecoveryServicesProviders/hv9`;
    expect((await to.call('PUT', path, input, owner)).status).toBe(202);
    const host = { authorization: `Bearer ${await token({ roles: undefined, oid: objectId })}` };
    expect((await to.call('GET', '/agent/v1/assignments', undefined, host)).status).toBe(200);
    expect((await to.call('GET', `${vault}/replicationFabrics`, undefined, host)).status).toBe(403);
    expect(
      (await to.call('DELETE', path.replace('/hv9', '/hv9.contoso.local'), undefined, owner)).status,
    ).toBe(202);
    expect((await to.call('GET', '/agent/v1/assignments', undefined, host)).status).toBe(403);
  });
});
