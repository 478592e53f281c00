// A proxy in front of Azurite's blob service, which sees every request whole and decides what becomes of it: pass it on,
// answer it itself, or keep it for later. Signatures stay valid, because none of them covers the host's name.
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface ProxiedRequest {
  method: string;
  /** Path and query. */
  url: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface ProxiedAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** What to answer; undefined leaves the client without an answer. `forward` sends the request on, whenever it is called. */
export type Intercept = (
  request: ProxiedRequest,
  forward: () => Promise<ProxiedAnswer>,
) => Promise<ProxiedAnswer | undefined>;

export interface StorageProxy {
  /** The same account, its blobs through the proxy. */
  connectionString: string;
  stop(): Promise<void>;
}

/** Starts a proxy on a free loopback port. `blobEndpoint` and `connectionString` are Azurite's. */
export async function startStorageProxy(
  azurite: { blobEndpoint: string; connectionString: string },
  intercept: Intercept,
): Promise<StorageProxy> {
  const { hostname, port } = new URL(azurite.blobEndpoint);
  const server = createServer((incoming, response) => {
    void buffer(incoming).then(async (body) => {
      const { method = '', url = '', headers } = incoming;
      const request: ProxiedRequest = { method, url, headers, body };
      const answer = await intercept(request, () => send(request, { hostname, port }));
      if (answer !== undefined) reply(response, answer);
    });
  });
  // A connection that is closed while a request is on its way is a fault; those are the tests' to inject.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxied = azurite.blobEndpoint.replace(`:${port}/`, `:${(server.address() as AddressInfo).port}/`);
  return {
    connectionString: azurite.connectionString.replace(azurite.blobEndpoint, proxied),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function send(
  { method, url, headers, body }: ProxiedRequest,
  to: { hostname: string; port: string },
): Promise<ProxiedAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ ...to, method, path: url, headers, agent: false }, (answer) => {
      void buffer(answer).then(
        (answered) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answered }),
        reject,
      );
    });
    outgoing.on('error', reject).end(body);
  });
}

function reply(response: ServerResponse, { status, headers, body }: ProxiedAnswer): void {
  // The body is whole by now; answers to HEAD say how long it would be.
  const others = Object.entries(headers).filter(([name]) => name !== 'transfer-encoding');
  response.writeHead(status, Object.fromEntries(others)).end(body);
}
