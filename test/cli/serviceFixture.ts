// The real API on a loopback port, over whatever storage a test has: what `lifeboat upload` talks to.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { arrayBuffer, text } from 'node:stream/consumers';
import { handleRequest } from '../../lib/api/handle.ts';
import type { ApiContext } from '../../lib/api/http.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import type { UploadSigner } from '../../lib/storage/ports.ts';
import { accessWithKey } from '../support/api.ts';

export const serviceKey = 'key-of-the-cli-tests';

export interface ServiceFixture {
  url: string;
  stop: () => Promise<void>;
}

export async function startService(
  replication: ReplicationContext,
  signer: UploadSigner,
): Promise<ServiceFixture> {
  const context: ApiContext = {
    replication,
    signer,
    orchestrations: { start: async () => undefined, raiseEvent: async () => undefined },
    settings: {
      vault: { subscription: 's', resourceGroup: 'rg', vault: 'v' },
      ...{ publicUrl: 'http://127.0.0.1', uploadUrlMinutes: 60, requestsPerSecond: 1000 },
    },
    ...accessWithKey(replication.storage.access, serviceKey),
  };
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    void handleRequest(context, {
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: new Map(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
      address: 'test',
      text: () => text(request),
      bytes: async () => new Uint8Array(await arrayBuffer(request)),
    }).then(({ status, headers, body }) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(body === undefined ? '' : JSON.stringify(body));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
