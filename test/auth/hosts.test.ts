// Source hosts: registration keys, enrolment, tokens, rotation, revocation; and that a host touches its own machines only.
import { perLook, perLookAndMachine } from '../../lib/cost/estimate.ts';
import { countedStorage } from '../../scripts/soak/countedStorage.ts';
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { enrolmentProof } from '../../lib/auth/hostKeys.ts';
import type { ApiResponse } from '../../lib/api/http.ts';
import { adminKey, configureSite, enableBody, publicUrl, testApi, vault, vmReport } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import { testContext } from '../support/protectedVm.ts';
import { ManualClock } from '../support/manualClock.ts';

const audience = `${publicUrl}/agent/v1/token`;
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const bodyOf = (response: ApiResponse) => response.body as Record<string, string>;
const codeOf = (response: ApiResponse) => (response.body as { error: { code: string } }).error.code;

interface Keys {
  privateKey: KeyObject;
  publicKey: string;
}

function newKeys(): Keys {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { privateKey, publicKey: publicKey.export({ format: 'jwk' }).x ?? '' };
}

const proofOf = (keys: Keys, about: { purpose: 'enrol' | 'rotate'; subject: string; hostName: string }) =>
  sign(null, Buffer.from(enrolmentProof({ ...about, publicKey: keys.publicKey })), keys.privateKey).toString(
    'base64url',
  );

async function newRegistrationKey(api: TestApi, body: object = {}): Promise<string> {
  const made = await api.call('POST', '/lifeboat/v1/sites/site1/registrationKeys', body);
  expect(made.status).toBe(201);
  return bodyOf(made)['registrationKey'] ?? '';
}

function register(api: TestApi, registrationKey: string, hostName: string, keys: Keys): Promise<ApiResponse> {
  const subject = registrationKey.split('_')[1] ?? '';
  const signature = proofOf(keys, { purpose: 'enrol', subject, hostName });
  const body = { registrationKey, hostName, publicKey: keys.publicKey, signature };
  return api.call('POST', '/agent/v1/register', body, {});
}

interface AssertionOptions {
  now?: Date;
  seconds?: number;
  audience?: string;
  jti?: string;
  subject?: string;
}

function assertion(hostId: string, { privateKey }: Keys, options: AssertionOptions = {}): Promise<string> {
  const seconds = Math.floor((options.now ?? new Date()).getTime() / 1000);
  return new SignJWT({ jti: options.jti ?? randomUUID() })
    .setProtectedHeader({ alg: 'EdDSA', kid: hostId })
    .setIssuer(hostId)
    .setSubject(options.subject ?? hostId)
    .setAudience(options.audience ?? audience)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + (options.seconds ?? 120))
    .sign(privateKey);
}

const askToken = async (api: TestApi, text: string) =>
  api.call('POST', '/agent/v1/token', { assertion: text }, {});

interface Host {
  id: string;
  keys: Keys;
  token: string;
}

async function enrol(api: TestApi, name: string): Promise<Host> {
  const keys = newKeys();
  const registered = await register(api, await newRegistrationKey(api), name, keys);
  expect(registered.status).toBe(200);
  const { id } = (registered.body as { host: { id: string } }).host;
  const now = api.context.replication.clock.now();
  const answer = await askToken(api, await assertion(id, keys, { now }));
  expect(answer.status).toBe(200);
  return { id, keys, token: bodyOf(answer)['accessToken'] ?? '' };
}

async function site(): Promise<{ api: TestApi; container: string; clock: ManualClock }> {
  const clock = new ManualClock('2026-01-15T10:00:00Z');
  const api = testApi({ ...testContext(), clock });
  return { api, container: await configureSite(api), clock };
}

const day = 24 * 3_600_000;

describe('registration', () => {
  it('works once, for the key pair that proved itself, and again for the same request', async () => {
    const { api } = await site();
    const key = await newRegistrationKey(api);
    const keys = newKeys();
    const first = await register(api, key, 'hv1.contoso.local', keys);
    const again = await register(api, key, 'hv1.contoso.local', keys);
    expect(again.body).toEqual(first.body);
    expect(codeOf(await register(api, key, 'hv2.contoso.local', newKeys()))).toBe('RegistrationRefused');
    const providers = await api.call(
      'GET',
      `${vault}/replicationFabrics/site1/replicationRecoveryServicesProviders`,
    );
    expect(providers.body).toMatchObject({ value: [{ properties: { friendlyName: 'hv1.contoso.local' } }] });
  });

  it('has one winner when two hosts use a key at the same moment', async () => {
    const { api } = await site();
    const key = await newRegistrationKey(api);
    const answers = await Promise.all(
      ['hv1', 'hv2', 'hv3'].map((name) => register(api, key, name, newKeys())),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
  });

  it.each([
    ['a wrong secret', (key: string) => `${key.slice(0, -4)}AAAA`],
    ['another id', (key: string) => key.replace(/_[0-9a-f-]{36}_/, `_${randomUUID()}_`)],
    ['rubbish', () => 'lbreg_x_y'],
  ])('refuses %s', async (_what, change) => {
    const { api } = await site();
    const key = change(await newRegistrationKey(api));
    const answer = await register(api, key, 'hv1', newKeys());
    expect(answer.status).toBe(401);
  });

  it('refuses a key after five days, a revoked one, and one that is for another host', async () => {
    const { api, clock } = await site();
    const old = await newRegistrationKey(api);
    const bound = await newRegistrationKey(api, { hostName: 'hv1' });
    expect(codeOf(await register(api, bound, 'hv2', newKeys()))).toBe('RegistrationRefused');
    expect((await register(api, bound, 'HV1', newKeys())).status).toBe(200);
    const [id] = [bodyOf(await api.call('GET', '/lifeboat/v1/sites/site1/registrationKeys'))].map(
      (page) =>
        (page as unknown as { value: { id: string; state: string }[] }).value.find(
          ({ state }) => state === 'Usable',
        )?.id,
    );
    clock.advance(5 * day - 1000);
    await api.call('DELETE', `/lifeboat/v1/sites/site1/registrationKeys/${id ?? ''}`);
    expect(codeOf(await register(api, old, 'hv3', newKeys()))).toBe('RegistrationRefused');
    const late = await newRegistrationKey(api);
    clock.advance(5 * day);
    expect(codeOf(await register(api, late, 'hv3', newKeys()))).toBe('RegistrationRefused');
  });

  it('refuses a signature that is not of the key pair, and a name that another host has', async () => {
    const { api } = await site();
    const key = await newRegistrationKey(api);
    const mine = newKeys();
    const signature = proofOf(newKeys(), {
      purpose: 'enrol',
      subject: key.split('_')[1] ?? '',
      hostName: 'hv1',
    });
    const forged = { registrationKey: key, hostName: 'hv1', publicKey: mine.publicKey, signature };
    expect((await api.call('POST', '/agent/v1/register', forged, {})).status).toBe(400);
    await enrol(api, 'hv1');
    const taken = await register(api, await newRegistrationKey(api), 'HV1', newKeys());
    expect(codeOf(taken)).toBe('OperationNotSupportedInState');
  });

  it('stores and shows no secret', async () => {
    const { api, clock } = await site();
    const key = await newRegistrationKey(api);
    const host = await enrol(api, 'hv1');
    const audit = `audit:${clock.now().toISOString().slice(0, 10)}`;
    // The last 43 characters; the alphabet of secrets has the underscore.
    const secrets = [key.slice(-43), host.token.slice(-43), adminKey];
    const stored: unknown[] = [];
    for (const partition of ['registrationKeys', 'hosts', 'hostNames', audit])
      for await (const row of api.context.access.list(partition)) stored.push(row);
    expect(stored.length).toBeGreaterThan(3);
    const shown = await api.call('GET', '/lifeboat/v1/hosts');
    const text = JSON.stringify([stored, shown]);
    for (const secret of secrets) expect(text).not.toContain(secret);
  });
});

describe('tokens', () => {
  it('come for an assertion once, and end after a quarter of an hour', async () => {
    const { api, clock } = await site();
    const { id, keys, token } = await enrol(api, 'hv1');
    const used = await assertion(id, keys, { now: clock.now() });
    expect((await askToken(api, used)).status).toBe(200);
    const replayed = await askToken(api, used);
    expect([replayed.status, codeOf(replayed)]).toEqual([401, 'Unauthorized']);
    expect((await api.call('GET', '/agent/v1/assignments', undefined, bearer(token))).status).toBe(200);
    clock.advance(15 * 60_000);
    expect((await api.call('GET', '/agent/v1/assignments', undefined, bearer(token))).status).toBe(401);
  });

  it('come for one of several uses of an assertion at the same moment', async () => {
    const { api, clock } = await site();
    const { id, keys } = await enrol(api, 'hv1');
    const text = await assertion(id, keys, { now: clock.now() });
    const answers = await Promise.all([1, 2, 3, 4].map(() => askToken(api, text)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it.each<[string, (now: Date) => AssertionOptions]>([
    ['for another audience', (now) => ({ now, audience: 'https://other.example' })],
    ['that is too old', (now) => ({ now: new Date(now.getTime() - 10 * 60_000) })],
    ['from the future', (now) => ({ now: new Date(now.getTime() + 10 * 60_000) })],
    ['that lives too long', (now) => ({ now, seconds: 3600 })],
    ['for another subject', (now) => ({ now, subject: randomUUID() })],
    ['with a short id', (now) => ({ now, jti: 'x' })],
  ])('do not come for an assertion %s', async (_what, options) => {
    const { api, clock } = await site();
    const { id, keys } = await enrol(api, 'hv1');
    expect((await askToken(api, await assertion(id, keys, options(clock.now())))).status).toBe(401);
  });

  it('do not come for an assertion of another key, without algorithm, or signed with the public key', async () => {
    const { api, clock } = await site();
    const { id, keys } = await enrol(api, 'hv1');
    const good = await assertion(id, keys, { now: clock.now() });
    const [, payload = '', signature = ''] = good.split('.');
    const header = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const symmetric = await new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg: 'HS256', kid: id })
      .setIssuer(id)
      .setSubject(id)
      .setAudience(audience)
      .setIssuedAt(Math.floor(clock.now().getTime() / 1000))
      .setExpirationTime(Math.floor(clock.now().getTime() / 1000) + 60)
      .sign(Buffer.from(keys.publicKey, 'base64url'));
    const forgeries = [
      await assertion(id, newKeys(), { now: clock.now() }),
      `${header({ alg: 'none', kid: id })}.${payload}.`,
      `${header({ alg: 'EdDSA', kid: randomUUID() })}.${payload}.${signature}`,
      `${header({ alg: 'EdDSA', kid: '../hosts' })}.${payload}.${signature}`,
      symmetric,
      'x.y.z',
      'rubbish',
    ];
    for (const forged of forgeries) expect((await askToken(api, forged)).status, forged).toBe(401);
  });

  it('end when the key is replaced, and the new key makes new ones', async () => {
    const { api, clock } = await site();
    const { id, keys, token } = await enrol(api, 'hv1');
    const next = newKeys();
    const about = { purpose: 'rotate', subject: id, hostName: 'hv1' } as const;
    const body = { publicKey: next.publicKey, signature: proofOf(next, about) };
    expect(
      (await api.call('POST', '/agent/v1/keys', { ...body, signature: proofOf(keys, about) }, bearer(token)))
        .status,
    ).toBe(400);
    expect((await api.call('POST', '/agent/v1/keys', body, bearer(token))).status).toBe(200);
    expect((await api.call('GET', '/agent/v1/assignments', undefined, bearer(token))).status).toBe(401);
    expect((await askToken(api, await assertion(id, keys, { now: clock.now() }))).status).toBe(401);
    expect((await askToken(api, await assertion(id, next, { now: clock.now() }))).status).toBe(200);
  });

  it('end at once when the host is revoked, and its name is free again', async () => {
    const { api, clock } = await site();
    const { id, keys, token } = await enrol(api, 'hv1');
    expect((await api.call('POST', `/lifeboat/v1/hosts/${id}/revoke`)).status).toBe(200);
    expect((await api.call('GET', '/agent/v1/assignments', undefined, bearer(token))).status).toBe(401);
    expect((await askToken(api, await assertion(id, keys, { now: clock.now() }))).status).toBe(401);
    await enrol(api, 'hv1');
  });
});

describe('a host', () => {
  const report = (host: string, ...ids: string[]) => ({
    host: { name: host },
    machines: ids.map((id) => ({ ...vmReport.machines[0]!, id })),
  });

  /** hv1 has vm-1 (protected), hv2 has vm-2 (protected). */
  async function twoHosts() {
    const { api, container } = await site();
    const hv1 = await enrol(api, 'hv1.contoso.local');
    const hv2 = await enrol(api, 'hv2.contoso.local');
    const put = (host: Host, body: object, fabric = 'site1') =>
      api.call('PUT', `/agent/v1/sites/${fabric}/inventory`, body, bearer(host.token));
    expect((await put(hv1, report('hv1.contoso.local', 'vm-1'))).status).toBe(200);
    expect((await put(hv2, report('hv2.contoso.local', 'vm-2'))).status).toBe(200);
    for (const id of ['vm-1', 'vm-2']) {
      const body = enableBody(container, id);
      Object.assign(body.properties.providerSpecificDetails, { targetAzureVmName: id });
      expect((await api.call('PUT', `${container}/replicationProtectedItems/${id}`, body)).status).toBe(202);
    }
    return { api, container, hv1, hv2, put };
  }

  it('sees the assignments of its own machines only', async () => {
    const { api, hv1, hv2 } = await twoHosts();
    const seen = async (host: Host, query = '') => {
      const answer = await api.call('GET', `/agent/v1/assignments${query}`, undefined, bearer(host.token));
      return (answer.body as { value: { item: string }[] }).value.map(({ item }) => item);
    };
    expect(await seen(hv1)).toEqual(['vm-1']);
    expect(await seen(hv2, '?site=site1')).toEqual(['vm-2']);
    expect(await seen(hv1, '?site=other')).toEqual(['vm-1']);
  });

  it('asks of the storage what the cost estimate says, and nothing for the machines of others', async () => {
    const { api, hv1, put } = await twoHosts();
    const { storage, counts } = countedStorage(api.context.replication.storage);
    const counted = testApi({ ...api.context.replication, storage });
    const look = async (): Promise<{ tables: number; blobLists: number }> => {
      counts.calls.clear();
      const answer = await counted.call('GET', '/agent/v1/assignments', undefined, bearer(hv1.token));
      expect(answer.status).toBe(200);
      const asked = ([name, count]: [string, number], port: RegExp): number => (port.test(name) ? count : 0);
      const sum = (port: RegExp): number =>
        [...counts.calls].reduce((all, each) => all + asked(each, port), 0);
      return { tables: sum(/^(access|vault|items|inventory|jobs)\./), blobLists: sum(/^deltas\./) };
    };
    expect((await put(hv1, report('hv1.contoso.local', 'vm-1', 'vm-3'))).status).toBe(200);
    const one = await look();
    expect(one.tables).toBeLessThanOrEqual(perLook.tables + perLookAndMachine.tables);
    expect(one.blobLists).toBeLessThanOrEqual(perLook.blobLists);
    expect([...counts.calls.keys()].filter((name) => name.startsWith('items.'))).toEqual(['items.find']);
    expect(counts.calls.get('items.find')).toBe(1);
  });

  it("cannot touch another host's items, by any operation that names one", async () => {
    const { api, hv1 } = await twoHosts();
    const { operations } = await import('../../lib/api/operations.ts');
    const ofItems = operations.filter(({ access, path }) => access === 'Host' && path.includes('{item}'));
    expect(ofItems.length).toBeGreaterThan(5);
    for (const { verb, path, id } of ofItems) {
      for (const item of ['vm-2', 'VM-2', 'nothing']) {
        const filled = path
          .replace('{item}', item)
          .replaceAll(/\{disk\}/g, 'os')
          .replaceAll(/\{\w+\}/g, '1');
        const answer = await api.call(verb, filled, {}, bearer(hv1.token));
        expect([id, answer.status, codeOf(answer)]).toEqual([id, 403, 'Forbidden']);
      }
    }
    expect(
      (
        await api.call(
          'POST',
          '/agent/v1/items/vm-1/disks/os/initialReplication/complete',
          {},
          bearer(hv1.token),
        )
      ).status,
    ).toBe(200);
  });

  it("cannot report for another host or site, nor take over another's machine", async () => {
    const { api, hv1, hv2, put } = await twoHosts();
    expect((await put(hv1, report('hv2.contoso.local', 'vm-2'))).status).toBe(403);
    await api.call('PUT', `${vault}/replicationFabrics/site2`, {});
    for (const other of ['site2', 'no-such-site']) {
      expect((await put(hv1, report('hv1.contoso.local', 'vm-1'), other)).status).toBe(403);
      expect((await api.call('PUT', `/agent/v1/sites/${other}/topology`, {}, bearer(hv1.token))).status).toBe(
        403,
      );
    }
    const claimed = await put(hv1, report('hv1.contoso.local', 'vm-1', 'vm-2'));
    expect(claimed.body).toMatchObject({ machineCount: 1, machinesOfOtherHosts: ['vm-2'] });
    // As after a live migration: the machine leaves the one report, then stands in the other.
    await put(hv2, report('hv2.contoso.local'));
    const moved = await put(hv1, report('hv1.contoso.local', 'vm-1', 'vm-2'));
    expect(moved.body).toMatchObject({ machineCount: 2, machinesOfOtherHosts: [] });
  });

  it('may call nothing of the management API', async () => {
    const { api, hv1 } = await twoHosts();
    const { operations } = await import('../../lib/api/operations.ts');
    for (const { verb, path, scope, access } of operations) {
      if (access === 'Host' || access === 'Anyone') continue;
      const filled = path.replaceAll(/\{\w+\}/g, 'x');
      const answer = await api.call(verb, scope === 'vault' ? vault + filled : filled, {}, bearer(hv1.token));
      expect([path, answer.status]).toEqual([path, 403]);
    }
  });
});
