// HTTP triggers, seen by clients of the running program.
import { request as httpRequest } from 'node:http';
import { beforeAll, describe, expect, it } from 'vitest';
import { type ReadyHost, fixtureApp, startHost, untilSaid } from './startHost.ts';

let host: ReadyHost;
beforeAll(async () => {
  host = await startHost();
});

const at = (path: string): string => `${host.url}${path}`;

interface Echo {
  method: string;
  url: string;
  params: Record<string, string>;
  query: Record<string, string>;
  headers: Record<string, string>;
  length: number;
  text?: string;
  hook?: string;
}

async function echo(path: string, init?: RequestInit): Promise<Echo> {
  const response = await fetch(at(path), init);
  expect(response.status).toBe(200);
  return (await response.json()) as Echo;
}

describe('requests', () => {
  it('carry method, URL, query, parameters, headers and body', async () => {
    const seen = await echo('/api/echo/a%20b/c?x=1&x=2&empty=&y=%C3%A4', {
      method: 'POST',
      body: 'body text',
      headers: { 'X-Test': 'Value' },
    });
    expect(seen).toMatchObject({
      method: 'POST',
      url: at('/api/echo/a%20b/c?x=1&x=2&empty=&y=%C3%A4'),
      params: { rest: 'a b/c' },
      query: { x: '1,2', empty: '', y: 'ä' },
      text: 'body text',
      hook: 'yes',
    });
    expect(seen.headers).toMatchObject({ 'x-test': 'Value', 'content-type': 'text/plain;charset=UTF-8' });
  });

  it('carry a chunked body', async () => {
    const body = new ReadableStream({
      start(controller) {
        for (const part of ['one ', 'two ', 'three']) controller.enqueue(Buffer.from(part));
        controller.close();
      },
    });
    const seen = await echo('/api/echo/', { method: 'PUT', body, duplex: 'half' });
    expect(seen.text).toBe('one two three');
  });

  it('lose the body of a GET', async () => {
    const text = await new Promise<string>((resolve, reject) => {
      const outgoing = httpRequest(
        at('/api/echo/x'),
        { method: 'GET', headers: { 'content-length': 4 } },
        (response) => {
          let all = '';
          response.setEncoding('utf8').on('data', (part: string) => (all += part));
          response.on('end', () => resolve(all));
        },
      );
      outgoing.on('error', reject);
      outgoing.end('body');
    });
    expect(JSON.parse(text)).toMatchObject({ length: 0 });
  });

  it('whose Host header makes no URL are refused with 400', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const outgoing = httpRequest(at('/api/echo/x'), { headers: { host: 'a"<b' } }, (response) =>
        resolve(response.resume().statusCode),
      );
      outgoing.on('error', reject);
      outgoing.end();
    });
    expect(status).toBe(400);
  });

  it('beyond 100 MB are refused with 413', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { 'content-length': 100 * 2 ** 20 + 1 };
      const outgoing = httpRequest(at('/api/echo/x'), { method: 'POST', headers }, (response) => {
        resolve(response.statusCode);
        outgoing.destroy();
      });
      outgoing.on('error', reject);
      outgoing.write('only the beginning');
    });
    expect(status).toBe(413);
  });
});

describe('routes', () => {
  it.each([
    ['/api/ping', 200, 'pong'],
    ['/API/Ping/', 200, 'pong'],
    ['/api/items/special', 200, 'literal'],
    ['/api/items/SPECIAL', 200, 'literal'],
  ])('%s answers %i', async (path, status, body) => {
    const response = await fetch(at(path));
    expect([response.status, await response.text()]).toEqual([status, body]);
  });

  it.each([
    ['/api/items/12', { id: '12' }],
    ['/api/items/12/second', { id: '12', part: 'second' }],
    ['/api/items/name', { name: 'name' }],
  ])('%s has the parameters %j', async (path, params) => {
    expect((await echo(path)).params).toEqual(params);
  });

  it.each([
    ['GET', '/api/unknown'],
    ['GET', '/ping'],
    ['GET', '/api/items/a-b'],
    ['DELETE', '/api/ping'],
    ['HEAD', '/api/ping'],
  ])('%s %s is 404 without a body', async (method, path) => {
    const response = await fetch(at(path), { method });
    expect([response.status, await response.text()]).toEqual([404, '']);
  });

  it('the root page says that the app runs', async () => {
    expect((await fetch(at('/'))).status).toBe(200);
  });
});

describe('responses', () => {
  const get = (kind: string): Promise<Response> => fetch(at(`/api/response/${kind}`));

  it('text, JSON and bytes', async () => {
    const [text, json, bytes] = await Promise.all([get('text'), get('json'), get('bytes')]);
    expect(await text.text()).toBe('plain');
    expect(text.headers.get('content-type')).toMatch(/^text\/plain/);
    expect(await json.json()).toEqual({ a: [1, 2] });
    expect(json.headers.get('content-type')).toBe('application/json');
    expect([...new Uint8Array(await bytes.arrayBuffer())]).toEqual([0, 255, 1]);
    expect(bytes.headers.get('content-type')).toBe('application/x-bytes');
  });

  it('status and headers', async () => {
    const response = await get('status');
    expect(response.status).toBe(201);
    expect(response.headers.get('location')).toBe('/there');
    expect(response.headers.get('x-many')).toBe('one, two');
  });

  it('nothing is 200 and empty, 204 stays 204', async () => {
    const [none, empty] = await Promise.all([get('none'), get('empty')]);
    expect([none.status, await none.text()]).toEqual([200, '']);
    expect([empty.status, await empty.text()]).toEqual([204, '']);
  });

  it('cookies', async () => {
    expect((await get('cookies')).headers.getSetCookie()).toEqual([
      'a=1%202; Max-Age=60; Path=/; SameSite=Lax; HttpOnly; Secure',
      'b=2; Domain=example.org; Expires=Fri, 02 Jan 1970 00:00:00 GMT; SameSite=None',
    ]);
  });

  it('an error is 500 and tells the client nothing', async () => {
    const response = await get('error');
    expect([response.status, await response.text()]).toEqual([500, '']);
    await untilSaid(host, 'this text must not reach the client');
  });

  it('a number is no HTTP response', async () => {
    expect((await get('number')).status).toBe(500);
  });

  it('HEAD gets headers only', async () => {
    const response = await fetch(at('/api/echo/x'), { method: 'HEAD' });
    expect(response.status).toBe(200);
    expect(Number(response.headers.get('content-length'))).toBeGreaterThan(0);
    expect(await response.text()).toBe('');
  });
});

describe('the environment of the app', () => {
  const read = async (name: string): Promise<unknown> => (await fetch(at(`/api/environment/${name}`))).json();

  it('has the settings of the sample file, the secrets and the public URL', async () => {
    expect(await read('FIXTURE_FROM_FILE')).toEqual({ value: 'from the sample', cwd: fixtureApp });
    expect(await read('FIXTURE_DATA')).toMatchObject({ value: host.local.storageConnectionString });
    expect(await read('AzureWebJobsStorage')).toMatchObject({ value: host.local.storageConnectionString });
    expect(await read('FIXTURE_KEY')).toMatchObject({ value: host.local['key'] });
    expect(String(host.local['key'])).toMatch(/^[\w-]{43}$/);
    expect(host.local['pingUrl']).toBe(at('/api/ping'));
    expect(await read('WEBSITE_HOSTNAME')).toMatchObject({ value: `localhost:${new URL(host.url).port}` });
  });

  it('has log hooks that rewrite what is logged', async () => {
    await echo('/api/echo/log');
    await untilSaid(host, 'password ***');
    expect(host.output()).not.toContain('hunter2');
  });
});

describe('the admin API', () => {
  it('tells the status and the functions', async () => {
    expect(await (await fetch(at('/admin/host/status'))).json()).toMatchObject({
      id: 'host-fixture',
      state: 'Running',
    });
    const functions = (await (await fetch(at('/admin/functions'))).json()) as {
      name: string;
      error?: string;
    }[];
    expect(functions).toContainEqual(
      expect.objectContaining({ name: 'ping', invoke_url_template: at('/api/ping'), isDisabled: false }),
    );
    expect(functions.find(({ name }) => name === 'badSchedule')?.error).toContain('"every now and then"');
  });

  it.each([
    ['ping', 400, 'is an HTTP function'],
    ['greetAll', 400, 'start an orchestration'],
    ['unknown', 404, ''],
  ])('refuses to run %s with %i', async (name, status, message) => {
    const response = await fetch(at(`/admin/functions/${name}`), { method: 'POST' });
    expect(response.status).toBe(status);
    expect(await response.text()).toContain(message);
  });
});

describe('the Durable client', () => {
  it('starts an orchestration from an HTTP function', async () => {
    const start = await fetch(at('/api/greetings'), {
      method: 'POST',
      body: JSON.stringify(['Ada', 'Alan']),
    });
    expect(start.status).toBe(202);
    const { statusQueryGetUri } = (await start.json()) as { statusQueryGetUri: string };
    let status: { runtimeStatus: string; output?: unknown };
    do status = (await (await fetch(statusQueryGetUri)).json()) as typeof status;
    while (['Pending', 'Running'].includes(status.runtimeStatus));
    expect(status).toMatchObject({ runtimeStatus: 'Completed', output: ['Hello Ada', 'Hello Alan'] });
  });
});
