// HTTP streaming: the body passes through the app's own server, in both directions, unbuffered.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { type ReadyHost, startHost, streamingApp } from './startHost.ts';

let host: ReadyHost;
beforeAll(async () => {
  host = await startHost({ app: streamingApp });
});

it('takes a chunked body beyond the limit of buffered requests', async () => {
  const chunk = Buffer.alloc(2 ** 20, 7);
  const count = 101;
  const hash = createHash('sha256');
  let sent = 0;
  const body = new ReadableStream({
    pull(controller) {
      if (sent++ === count) {
        controller.close();
        return;
      }
      hash.update(chunk);
      controller.enqueue(chunk);
    },
  });
  const url = `${host.url}/digest/a%20b/7?q=1`;
  const response = await fetch(url, {
    method: 'PUT',
    body,
    duplex: 'half',
    headers: { 'x-test': 'Value' },
  });
  expect(response.status).toBe(201);
  expect(await response.json()).toEqual({
    length: count * chunk.length,
    sha256: hash.digest('hex'),
    url,
    params: { name: 'a b', part: '7' },
    header: 'Value',
  });
});

it('streams a generated response with its headers and cookies', async () => {
  const response = await fetch(`${host.url}/lines/5000`);
  const text = await response.text();
  expect(text.split('\n').slice(4998)).toEqual(['line 4998', 'line 4999', '']);
  expect(response.headers.get('x-own')).toBe('kept');
  expect(response.headers.getSetCookie()).toEqual(['a=1']);
  expect(response.headers.has('x-ms-invocation-id')).toBe(false);
});

it.each([['GET'], ['POST']])('answers 500 to a failed %s, which the worker leaves open', async (method) => {
  const response = await fetch(`${host.url}/fails`, { method, ...(method === 'POST' ? { body: 'x' } : {}) });
  expect([response.status, await response.text()]).toEqual([500, '']);
});

it('answers 200 when the handler returns nothing', async () => {
  const response = await fetch(`${host.url}/nothing`);
  expect([response.status, await response.text()]).toEqual([200, '']);
});

it.runIf(process.platform === 'linux')('listens on 127.0.0.1 only, the worker’s own server included', () => {
  const addresses = listeningAddresses(host.local.pid);
  expect(addresses.length).toBeGreaterThanOrEqual(2);
  expect(new Set(addresses)).toEqual(new Set(['0100007F']));
});

/** Local addresses (hexadecimal, as the kernel writes them) of the listening TCP sockets of a process. */
function listeningAddresses(pid: number): string[] {
  const sockets = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      return [];
    }
  });
  const rows = ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n').slice(1),
  );
  return rows.flatMap((row) => {
    const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
    return state === '0A' && sockets.includes(inode) ? [local.split(':')[0] ?? ''] : [];
  });
}
