// HTTP streaming (`app.setup({ enableHttpStream: true })`): the request itself is proxied to the server that
// the app's library opened in the worker, tied to the invocation by a header; the RPC carries no body.
// On failure the library leaves the proxied request open, so the host answers and cuts it.
import {
  Agent,
  type ClientRequest,
  type IncomingMessage,
  type ServerResponse,
  request as httpRequest,
} from 'node:http';
import { pipeline } from 'node:stream/promises';
import { schemeOf } from './httpRequestData.ts';

const invocationIdHeader = 'x-ms-invocation-id';
/** Headers that belong to one connection only. */
const hopByHop = [
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'proxy-connection',
];
/** The real host gives up a forwarded request that shows no activity for so long. */
const inactivityMs = 240_000;
/** A handler that returned nothing sends no response; the worker does not say so, hence this wait. */
const lateResponseMs = 1000;

export class StreamingProxy {
  readonly #target: URL;
  readonly #agent = new Agent({ keepAlive: true });

  /** `httpUri` is the capability that the app's library announced. */
  constructor(httpUri: string) {
    this.#target = new URL(httpUri);
    // The library announces `localhost`, which may resolve to ::1; it was made to listen on IPv4 loopback.
    this.#target.hostname = '127.0.0.1';
  }

  /**
   * Forwards the request while `invoke` runs and relays the response. Rejects with the error of `invoke` when the
   * function failed; the response is then untouched unless it had begun, in which case it is cut.
   */
  async forward(
    request: IncomingMessage,
    response: ServerResponse,
    call: { invocationId: string; invoke: () => Promise<unknown> },
  ): Promise<void> {
    const outgoing = this.#open(request, call.invocationId);
    const relayed = relay(outgoing, response);
    // Handled below in every case; without this a fast failure would count as unhandled.
    relayed.catch(() => undefined);
    pipeline(request, outgoing).catch((error: unknown) => outgoing.destroy(error as Error));
    try {
      await call.invoke();
    } catch (error) {
      outgoing.destroy();
      if (response.headersSent) response.destroy();
      throw error;
    }
    const timer = setTimeout(() => {
      if (!response.headersSent) outgoing.destroy(new NoResponseError());
    }, lateResponseMs);
    try {
      await relayed;
    } catch (error) {
      if (!(error instanceof NoResponseError)) throw error;
      response.writeHead(200, { 'content-length': 0 }).end();
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #open(request: IncomingMessage, invocationId: string): ClientRequest {
    const headers = { ...request.headers };
    for (const name of hopByHop) Reflect.deleteProperty(headers, name);
    headers['x-forwarded-host'] = request.headers.host ?? 'localhost';
    headers['x-forwarded-proto'] = schemeOf(request);
    headers[invocationIdHeader] = invocationId;
    return httpRequest({
      agent: this.#agent,
      hostname: this.#target.hostname,
      port: this.#target.port,
      method: request.method,
      path: request.url,
      headers,
      timeout: inactivityMs,
    });
  }
}

class NoResponseError extends Error {}

async function relay(outgoing: ClientRequest, response: ServerResponse): Promise<void> {
  outgoing.on('timeout', () => outgoing.destroy(new Error(`No activity for ${inactivityMs / 1000} s.`)));
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.once('error', reject);
    outgoing.once('close', () => reject(new Error('The worker closed the connection without an answer.')));
  });
  for (let index = 0; index < incoming.rawHeaders.length; index += 2) {
    const name = incoming.rawHeaders[index] ?? '';
    const isOwn = hopByHop.includes(name.toLowerCase()) || name.toLowerCase() === invocationIdHeader;
    if (!isOwn) response.appendHeader(name, incoming.rawHeaders[index + 1] ?? '');
  }
  response.statusCode = incoming.statusCode ?? 200;
  response.flushHeaders();
  await pipeline(incoming, response);
}
