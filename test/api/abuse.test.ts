// What a hostile caller tries, through the API as it is put together: sizes, depths, rates, names, headers, URLs.
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { operations } from '../../lib/api/operations.ts';
import { documentedPath } from '../../lib/api/reference/openapi.ts';
import type { ApiResponse } from '../../lib/api/http.ts';
import { adminKey, configureSite, enableBody, publicUrl, testApi, vault } from '../support/api.ts';
import { completeWorld, values } from '../support/apiWorld.ts';
import { testContext } from '../support/protectedVm.ts';
import { ManualClock } from '../support/manualClock.ts';

const owner = { authorization: `Bearer ${adminKey}` };
const errorOf = (response: ApiResponse) =>
  (response.body as { error: { code: string; message: string } }).error;

describe('sizes', () => {
  const path = `${vault}/replicationPolicies/p`;
  it.each<[string, string, number, string]>([
    ['a body beyond the limit', `{"a":"${'x'.repeat(5 * 2 ** 20)}"}`, 413, 'RequestTooLarge'],
    ['arrays nested a hundred thousand deep', '['.repeat(100_000), 413, 'RequestTooLarge'],
    ['objects nested deep', '{"a":'.repeat(40) + '1' + '}'.repeat(40), 413, 'RequestTooLarge'],
    ['brackets inside a string, which are none', JSON.stringify({ a: '['.repeat(100) }), 202, ''],
    [
      'a number that is none',
      '{"properties":{"providerSpecificInput":{"replicationInterval":1e999}}}',
      400,
      'InvalidRequest',
    ],
    ['half a body', '{"properties":', 400, 'InvalidRequest'],
    ['a list in place of an object', '[]', 400, 'InvalidRequest'],
    ['prototypes', '{"__proto__":{"properties":1},"constructor":{"prototype":{"x":1}}}', 202, ''],
  ])('%s', async (_what, body, status, code) => {
    const response = await testApi().call('PUT', path, body);
    expect(response.status).toBe(status);
    if (code !== '') expect(errorOf(response).code).toBe(code);
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  it.each<[string, string]>([
    ['a path of ten thousand characters', `/${'a'.repeat(10_000)}`],
    ['a query of ten thousand characters', `${vault}/replicationJobs?x=${'a'.repeat(10_000)}`],
  ])('%s is refused', async (_what, path) => {
    expect(errorOf(await testApi().call('GET', path)).code).toBe('RequestTooLarge');
  });

  it.each<[string, string, string]>([
    ['longer than its limit', `JobName eq '${'a'.repeat(4096)}'`, 'the limit is 4096'],
    ['nested too deep', `${'('.repeat(60)}JobName eq 'a'${')'.repeat(60)}`, 'levels'],
    ['negated too often', `${'not '.repeat(60)}JobName eq 'a'`, 'levels'],
    ['with too many comparisons', Array(150).fill("JobName eq 'a'").join(' or '), 'comparisons'],
    ['with a list that is too long', `JobName in (${Array(150).fill("'a'").join(',')})`, 'comparisons'],
    ['with an open string', "JobName eq 'a", "no closing '"],
    ['with an unknown field', "Secret eq 'a'", 'there is no field "Secret"'],
    ['with a field of every object', "constructor eq 'a'", 'there is no field'],
    ['with what is no language', 'DROP TABLE jobs; --', 'is not understood'],
    ['with a time that is none', "StartTime ge 'yesterday'", 'is no time'],
    ['that ends early', "JobName eq 'a' and", 'a field is missing'],
    ['with a word too many', "JobName eq 'a' 'b'", 'one word too many'],
  ])('a $filter %s is refused with its place', async (_what, filter, message) => {
    const response = await testApi().call(
      'GET',
      `${vault}/replicationJobs?$filter=${encodeURIComponent(filter)}`,
    );
    expect(response.status).toBe(400);
    expect(errorOf(response).message).toContain(message);
    expect(errorOf(response).message).toMatch(/at position \d+/);
  });

  it('a $filter of repeated characters takes no time that grows with their square', async () => {
    const filter = encodeURIComponent(`${' '.repeat(2000)}${"'".repeat(1999)}`);
    for (let round = 0; round < 50; round++)
      expect((await testApi().call('GET', `${vault}/replicationJobs?$filter=${filter}`)).status).toBe(400);
  });

  it.each(['Zm9v\n', '%%%', '../../x', 'x'.repeat(2000), 'AAEC', 'L2V0Yw'])(
    'the skipToken %j reaches no storage',
    async (token) => {
      const response = await testApi().call(
        'GET',
        `${vault}/replicationJobs?skipToken=${encodeURIComponent(token)}`,
      );
      expect([400, 413]).toContain(response.status);
    },
  );
});

describe('rates', () => {
  const slowApi = (requestsPerSecond: number) => {
    const clock = new ManualClock('2026-01-15T10:00:00Z');
    const replication = { ...testContext(), clock };
    const api = testApi(replication);
    api.context.settings.requestsPerSecond = requestsPerSecond;
    return { api, clock };
  };

  it('stop a caller that has used its share, say when to come again, and leave others alone', async () => {
    const { api, clock } = slowApi(1);
    const statuses: number[] = [];
    for (let count = 0; count < 25; count++)
      statuses.push((await api.call('GET', `${vault}/replicationFabrics`)).status);
    expect(statuses.slice(0, 20)).toEqual(Array(20).fill(200));
    const refused = await api.call('GET', `${vault}/replicationFabrics`);
    expect([refused.status, errorOf(refused).code, refused.headers?.['retry-after']]).toEqual([
      429,
      'TooManyRequests',
      '1',
    ]);
    clock.advance(3000);
    expect((await api.call('GET', `${vault}/replicationFabrics`)).status).toBe(200);
  });

  it('lock an address out that guesses keys, before its guesses are even compared', async () => {
    const { api, clock } = slowApi(1000);
    const guess = (key: string, address: string) =>
      api.call('GET', `${vault}/replicationFabrics`, undefined, {
        authorization: `Bearer ${key}`,
        'x-forwarded-for': address,
      });
    for (let count = 0; count < 60; count++)
      expect((await guess(`guess-${count}`, '203.0.113.7')).status).toBe(401);
    expect((await guess('guess', '203.0.113.7')).status).toBe(429);
    expect((await guess(adminKey, '203.0.113.7')).status).toBe(429);
    expect((await guess(adminKey, '203.0.113.8')).status).toBe(200);
    clock.advance(5000);
    expect((await guess(adminKey, '203.0.113.7')).status).toBe(200);
  });

  it('keep a flood out of the audit', async () => {
    const { api } = slowApi(1);
    for (let count = 0; count < 60; count++)
      await api.call('PUT', `${vault}/replicationFabrics/f${count}`, {});
    const rows = [];
    for await (const row of api.context.access.list('audit:2026-01-15')) rows.push(row);
    expect(rows).toHaveLength(20);
  });
});

describe('names', () => {
  const names = [
    '../../secret',
    '..%2f..%2fsecret',
    'a/b',
    'a\\b',
    'a#b',
    'a?b',
    'a\0b',
    '\r\nx',
    '.',
    ' ',
    '',
    'é'.repeat(200),
    'CON ',
    "' or 1 eq 1",
  ];

  it.each(names)('%j makes no row, no blob and no header of its own', async (name) => {
    const api = testApi();
    const container = await configureSite(api);
    const encoded = encodeURIComponent(name);
    const before = values(await api.call('GET', `${vault}/replicationFabrics`)).length;
    for (const path of [
      `${vault}/replicationFabrics/${encoded}`,
      `${vault}/replicationPolicies/${encoded}`,
      `${vault}/replicationRecoveryPlans/${encoded}`,
      `${container}/replicationProtectionContainerMappings/${encoded}`,
      `${container}/replicationProtectedItems/${encoded}`,
    ]) {
      const body = path.includes('ProtectedItems') ? enableBody(container) : {};
      const response = await api.call('PUT', path, body);
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(response.status).toBeLessThan(500);
      expect(JSON.stringify(response.headers)).not.toMatch(/\\r|\\n|\\u0000/);
    }
    expect(values(await api.call('GET', `${vault}/replicationFabrics`))).toHaveLength(before);
    const { replicas } = api.context.replication.storage;
    for (const blob of ['secret/os.vhd', '../secret/os.vhd'])
      expect(await replicas.find(blob)).toBeUndefined();
  });

  it('in an inventory cannot leave their blob path', async () => {
    const api = testApi();
    await configureSite(api);
    for (const id of ['../x', 'a/b', '..', 'A B', 'x'.repeat(65)]) {
      const machines = [{ id, name: 'n', disks: [{ id: 'os', sizeBytes: 512 }] }];
      const report = { host: { name: 'hv1' }, machines };
      expect((await api.call('PUT', '/agent/v1/sites/site1/inventory', report)).status).toBe(400);
      const disks = {
        host: { name: 'hv1' },
        machines: [{ id: 'vm', name: 'n', disks: [{ id, sizeBytes: 512 }] }],
      };
      expect((await api.call('PUT', '/agent/v1/sites/site1/inventory', disks)).status).toBe(400);
    }
  });
});

describe('headers', () => {
  it.each(['a\r\nset-cookie: x=1', 'a\nb', 'ä', '<script>', 'x'.repeat(200), ''])(
    'the client request id %j is not echoed',
    async (id) => {
      const response = await testApi().call('GET', `${vault}/replicationFabrics`, undefined, {
        ...owner,
        'x-ms-client-request-id': id,
      });
      expect(response.status).toBe(200);
      expect(response.headers).not.toHaveProperty('x-ms-client-request-id');
    },
  );

  it('of the caller never make a URL: those come from the configured public address', async () => {
    const api = testApi();
    const spoofed = {
      ...owner,
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
      forwarded: 'host=evil.example',
      'x-original-url': 'https://evil.example/',
    };
    const put = await api.call('PUT', `${vault}/replicationPolicies/p`, {}, spoofed);
    const list = await api.call('GET', `${vault}/replicationJobs?$take=1`, undefined, spoofed);
    const text = JSON.stringify([put.headers, list.body]);
    expect(text).toContain(publicUrl);
    expect(text).not.toContain('evil.example');
  });

  it('carry no version of an API that could break out of a URL', async () => {
    for (const version of ['2023-06-01&x=1', '2023-06-01\r\nx: y', '2023-06-01#', '9999-99-99">'])
      expect(
        (
          await testApi().call(
            'PUT',
            `${vault}/replicationPolicies/p?api-version=${encodeURIComponent(version)}`,
            {},
          )
        ).status,
      ).toBe(400);
  });
});

it('no URL that a caller gives is ever fetched', async () => {
  let hits = 0;
  const server = createServer((_request, response) => {
    hits++;
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const trap = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
  const { api, names } = await completeWorld();
  for (const operation of operations) {
    const path = documentedPath(operation).replaceAll(
      /\{(\w+)\}/g,
      (_all, name: string) => names[name] ?? 'x',
    );
    const bodies = [
      { properties: { providerSpecificInput: { storageAccounts: [trap] } } },
      {
        properties: {
          policyId: trap,
          protectableItemId: trap,
          recoveryNetworkId: trap,
          targetStorageClassificationId: trap,
        },
      },
      {
        properties: {
          migrationSolutionId: trap,
          networkId: trap,
          primaryFabricId: trap,
          recoveryFabricId: 'Microsoft Azure',
          groups: [
            {
              groupType: 'Boot',
              startGroupActions: [
                {
                  actionName: 'a',
                  failoverTypes: ['TestFailover'],
                  failoverDirections: ['PrimaryToRecovery'],
                  customDetails: {
                    instanceType: 'ScriptActionDetails',
                    path: trap,
                    fabricLocation: 'Primary',
                  },
                },
              ],
            },
          ],
        },
      },
      {
        properties: {
          machineName: 'h',
          authenticationIdentityInput: { aadAuthority: trap, audience: trap },
          customEmailAddresses: [trap],
        },
      },
    ];
    for (const body of bodies)
      await api.call(operation.verb, path, body, { ...owner, referer: trap, origin: trap });
  }
  server.close();
  expect(hits).toBe(0);
});
