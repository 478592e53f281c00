// `--enable-auth`: keys open what they open in Azure, the app's own Durable client works without one, and nothing
// is open that should not be.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type ReadyHost, startHost } from './startHost.ts';

let host: ReadyHost;
let keys: Record<string, string>;
beforeAll(async () => {
  host = await startHost({ args: ['--enable-auth', '--cors', 'https://portal.example'] });
  keys = JSON.parse(readFileSync(join(host.dataDirectory, 'keys.json'), 'utf8')) as Record<string, string>;
});

async function statusOf(path: string, key?: string, method = 'GET'): Promise<number> {
  const headers: Record<string, string> = key === undefined ? {} : { 'x-functions-key': key };
  return (await fetch(host.url + path, { method, headers })).status;
}

describe('functions', () => {
  it.each<[string, number[]]>([
    ['/api/ping', [200, 200, 200, 200]],
    ['/api/guarded', [401, 401, 200, 200]],
    ['/api/guardedByMaster', [401, 401, 401, 200]],
    ['/api/unknown', [404, 404, 404, 404]],
  ])('%s with none, a system, the function and the master key: %j', async (path, expected) => {
    const shown = [undefined, keys['blobs_extension'], keys['default'], keys['_master']];
    expect(await Promise.all(shown.map((key) => statusOf(path, key)))).toEqual(expected);
  });

  it('take the key from the query too', async () => {
    expect(await statusOf(`/api/guarded?code=${keys['default'] ?? ''}`)).toBe(200);
    expect(await statusOf('/api/guarded?code=wrong')).toBe(401);
  });
});

describe('the host’s own paths', () => {
  it.each<[string, string, string, number]>([
    ['/admin/host/status', 'GET', '_master', 200],
    ['/admin/functions', 'GET', '_master', 200],
    ['/Admin/Functions', 'GET', '_master', 404],
    ['/runtime/webhooks/durabletask/instances', 'GET', 'durabletask_extension', 200],
    ['/runtime/webhooks/durabletask/instances', 'GET', '_master', 200],
    ['/runtime/webhooks/blobs?functionName=none', 'POST', 'blobs_extension', 404],
  ])('%s opens with the right key only', async (path, method, keyName, status) => {
    expect(await statusOf(path, undefined, method)).toBe(401);
    expect(await statusOf(path, keys['default'], method)).toBe(401);
    expect(await statusOf(path, keys[keyName], method)).toBe(status);
  });

  it('the base of the app’s own Durable clients opens with no key at all', async () => {
    for (const path of ['/durabletask/instances', '/durabletask//instances', '/durabletask/x/instances']) {
      expect(await statusOf(path, keys['_master'])).toBe(401);
    }
  });
});

describe('Durable', () => {
  it('works for the app, and hands out links that carry the key', async () => {
    const start = await fetch(`${host.url}/api/greetings`, { method: 'POST', body: '["Ada"]' });
    expect(start.status).toBe(202);
    const { statusQueryGetUri } = (await start.json()) as { statusQueryGetUri: string };
    expect(new URL(statusQueryGetUri).searchParams.get('code')).toBe(keys['durabletask_extension']);
    let status: { runtimeStatus: string; output?: unknown };
    do status = (await (await fetch(statusQueryGetUri)).json()) as typeof status;
    while (['Pending', 'Running'].includes(status.runtimeStatus));
    expect(status.output).toEqual(['Hello Ada']);
    expect((await fetch(statusQueryGetUri.replace(/&code=[^&]+/, ''))).status).toBe(401);
  });
});

it('a preflight needs no key, and a refusal can be read by the page', async () => {
  const origin = 'https://portal.example';
  const asked = { origin, 'access-control-request-method': 'GET' };
  const preflight = await fetch(`${host.url}/api/guarded`, { method: 'OPTIONS', headers: asked });
  expect(preflight.status).toBe(204);
  const refused = await fetch(`${host.url}/api/guarded`, { headers: { origin } });
  expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, origin]);
});

it('keys are in local.json and keys.json only, readable by the user only, and stay the same', async () => {
  expect(host.local).toMatchObject({ masterKey: keys['_master'], functionKey: keys['default'] });
  expect(statSync(join(host.dataDirectory, 'keys.json')).mode & 0o777).toBe(0o600);
  for (const key of Object.values(keys)) expect(host.output()).not.toContain(key);
  await host.stop();
  const next = await startHost({ args: ['--enable-auth'], dataDirectory: host.dataDirectory });
  expect(next.local['masterKey']).toBe(keys['_master']);
  await next.stop();
});
