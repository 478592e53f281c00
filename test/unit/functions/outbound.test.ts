// What the service calls for people, on real servers of this computer, and everything that it does not call.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { guardedOutbound } from '../../../functions/outbound.ts';
import { parseAllowedHosts, plainAddress, refusalOfUrl } from '../../../functions/outboundGuard.ts';

const none = parseAllowedHosts('');
const request = { method: 'POST', headers: {}, timeoutSeconds: 5 } as const;
let server: Server;
let port: number;
const seen: { url: string; host: string; body: string }[] = [];

beforeAll(async () => {
  server = createServer((incoming, response) => {
    let body = '';
    incoming.on('data', (part: Buffer) => (body += part.toString()));
    incoming.on('end', () => {
      seen.push({ url: incoming.url ?? '', host: incoming.headers.host ?? '', body });
      if (incoming.url === '/moved') response.writeHead(302, { location: '/elsewhere' }).end();
      else if (incoming.url === '/endless') {
        response.writeHead(200);
        const write = (): void => {
          while (response.write('x'.repeat(65_536)));
          response.once('drain', write);
        };
        response.on('error', () => undefined);
        write();
      } else if (incoming.url !== '/silent') response.writeHead(201).end('line one\n\u001b[31mline two');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe('what is never called', () => {
  it.each([
    'https://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f.0.0.1/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:a00:1]/',
    'https://10.0.0.4/',
    'https://172.31.255.255/',
    'https://192.168.1.1/',
    'https://169.254.169.254/metadata/instance',
    'https://168.63.129.16/',
    'https://0.0.0.0/',
    'https://[fe80::1]/',
    'https://[fd12::1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://user:secret@hooks.example/',
    'http://hooks.example/',
    'tcp://hooks.example:443',
    'file:///etc/passwd',
    'gopher://hooks.example/',
    'no url',
  ])('%s', (url) => {
    expect(refusalOfUrl(none, url)).toBeDefined();
  });

  it.each([['127.0.0.1'], ['93.184.216.34', '10.0.0.1'], ['169.254.169.254'], ['::ffff:192.168.0.1']])(
    'a name that stands for %s',
    async (...addresses) => {
      const outbound = guardedOutbound(none, async () => addresses.map((address) => ({ address })));
      const before = seen.length;
      const answer = await outbound.call({ ...request, url: `https://hooks.example:${port}/` });
      expect(answer.kind).toBe('refused');
      expect(seen).toHaveLength(before);
    },
  );

  it('the metadata service, whoever lists it', async () => {
    const all = parseAllowedHosts('0.0.0.0/0, ::/0, metadata.internal, *.internal');
    for (const host of ['169.254.169.254', '168.63.129.16', '[::ffff:169.254.169.254]'])
      expect(refusalOfUrl(all, `http://${host}/`)).toMatch(/never called/);
    const outbound = guardedOutbound(all, async () => [{ address: '169.254.169.254' }]);
    expect((await outbound.call({ ...request, url: 'http://metadata.internal/' })).kind).toBe('refused');
  });
});

describe('a listed host', () => {
  const listed = parseAllowedHosts('127.0.0.0/8, *.contoso.local');

  it('is called at the address that was checked, under its own name', async () => {
    let asked = 0;
    const outbound = guardedOutbound(listed, async () => [
      { address: asked++ === 0 ? '127.0.0.1' : '169.254.169.254' },
    ]);
    const url = `http://hooks.contoso.local:${port}/go?x=1`;
    const answer = await outbound.call({ ...request, url, body: '{"a":1}' });
    expect(answer).toEqual({ kind: 'answered', status: 201, text: 'line one [31mline two' });
    expect(asked).toBe(1);
    expect(seen.at(-1)).toEqual({ url: '/go?x=1', host: `hooks.contoso.local:${port}`, body: '{"a":1}' });
  });

  it('is not followed elsewhere, and not read without end', async () => {
    const outbound = guardedOutbound(listed);
    const base = `http://127.0.0.1:${port}`;
    expect(await outbound.call({ ...request, url: `${base}/moved` })).toMatchObject({ status: 302 });
    expect(seen.at(-1)?.url).toBe('/moved');
    const endless = await outbound.call({ ...request, url: `${base}/endless` });
    expect(endless).toEqual({ kind: 'answered', status: 200, text: 'x'.repeat(1024) });
  });

  it('that is silent, closed or unknown is unreachable', async () => {
    const outbound = guardedOutbound(listed, async () => {
      throw Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' });
    });
    const silent = { ...request, url: `http://127.0.0.1:${port}/silent`, timeoutSeconds: 0.2 };
    expect(await outbound.call(silent)).toMatchObject({ kind: 'unreachable' });
    expect(await outbound.call({ ...request, url: 'http://127.0.0.1:1/' })).toEqual({
      ...{ kind: 'unreachable', reason: 'ECONNREFUSED' },
    });
    expect(await outbound.call({ ...request, url: 'https://gone.example/' })).toMatchObject({
      ...{ kind: 'unreachable', reason: 'gone.example was not found (ENOTFOUND).' },
    });
  });

  it('is probed by a connection alone', async () => {
    const outbound = guardedOutbound(listed);
    expect(await outbound.call({ ...request, url: `tcp://127.0.0.1:${port}` })).toEqual({
      kind: 'connected',
    });
    expect(await outbound.call({ ...request, url: 'tcp://127.0.0.1:1' })).toMatchObject({
      kind: 'unreachable',
    });
  });
});

it('the list takes names, addresses and ranges, and names what is none of them', () => {
  for (const bad of ['10.0.0.0/33', 'a b', 'https://x', '10.0.0.0/x'])
    expect(() => parseAllowedHosts(`ok.example, ${bad}`)).toThrow(bad);
  expect(plainAddress('::ffff:7f00:1')).toBe('127.0.0.1');
});
