// The built command behind a proxy: what it asks of the service goes through it, and NO_PROXY goes around it.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const cli = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'lifeboat.mjs');
const vault = '/subscriptions/s/resourceGroups/r/providers/Microsoft.RecoveryServices/vaults/v';
const tunnels: string[] = [];
let service: Server;
let proxy: Server;
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

beforeAll(async () => {
  service = createServer((_, response) => {
    response.setHeader('content-type', 'application/json');
    response.end('{"value":[]}');
  }).listen(0, '127.0.0.1');
  proxy = createServer().listen(0, '127.0.0.1');
  proxy.on('connect', ({ url = '' }, client) => {
    tunnels.push(url);
    const [host = '', port = ''] = url.split(':');
    const upstream = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(client).pipe(upstream);
    });
    client.on('error', () => upstream.destroy());
  });
  await Promise.all([once(service, 'listening'), once(proxy, 'listening')]);
});
afterAll(() => {
  service.closeAllConnections();
  service.close();
  proxy.close();
});

const listSites = (noProxy: string) =>
  run(
    process.execPath,
    [cli, 'item', 'list', '--service', `http://127.0.0.1:${portOf(service)}`, '--key', 'k', '--vault', vault],
    {
      env: { HTTP_PROXY: `http://127.0.0.1:${portOf(proxy)}`, NO_PROXY: noProxy },
    },
  );

it('is used, unless the address is excepted', async () => {
  expect((await listSites('')).stdout).toContain('No machine is protected');
  expect(tunnels).toEqual([`127.0.0.1:${portOf(service)}`]);
  expect((await listSites('127.0.0.1')).stdout).toContain('No machine is protected');
  expect(tunnels).toHaveLength(1);
});
