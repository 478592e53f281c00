// The host's one HTTP port: management paths first, then the app's routes. Refuses while the app is not ready
// (503) and while it stops, and never lets an error of one request reach another.
import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { StartError, errnoOf, reasonOf } from '../process/startError.ts';
import type { HostLog, Worker } from '../worker/types.ts';
import { BodyTooLargeError, readBody, toHttpTrigger, toStreamMetadata } from './httpRequestData.ts';
import { sendReturnValue } from './httpResponseData.ts';
import type { RouteMatch, RouteTable } from './routeTable.ts';
import type { StreamingProxy } from './streamingProxy.ts';

/** Answers the paths that are its own; false leaves the request untouched for the next one. */
export type HttpExtension = (
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
) => Promise<boolean>;

export interface HttpApp {
  worker: Worker;
  routes: RouteTable;
  /** Asked in this order before the app's routes. */
  extensions: readonly HttpExtension[];
  /** Present when the app streams HTTP. */
  streaming: StreamingProxy | undefined;
}

export class HttpFrontDoor {
  readonly #server: Server;
  readonly #log: HostLog;
  #app: HttpApp | undefined;
  #isStopping = false;

  constructor(log: HostLog) {
    this.#log = log;
    this.#server = createServer((request, response) => void this.#handle(request, response));
    // Uploads may be slow and large; connections are dropped when idle, not when long.
    this.#server.requestTimeout = 0;
    this.#server.keepAliveTimeout = 75_000;
  }

  /** Listens on 127.0.0.1 and returns the port; 0 lets the system choose. Throws StartError when it is taken. */
  async listen(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => reject(toStartError(port, error)));
      this.#server.listen({ port, host: '127.0.0.1' }, resolve);
    });
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  /** From now on requests are served. */
  open(app: HttpApp): void {
    this.#app = app;
  }

  /** Refuses new requests for the app; running ones, and the host's own paths that they may call, go on. */
  stopAccepting(): void {
    this.#isStopping = true;
  }

  /** Cuts what is left. */
  close(): void {
    this.#app?.streaming?.close();
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A client that goes away is no error of the host.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    if (this.#isStopping) response.setHeader('connection', 'close');
    try {
      if (this.#app === undefined) refuse(response);
      else await this.#dispatch(this.#app, request, response);
    } catch (error) {
      if (error instanceof BodyTooLargeError) {
        // Read on and forget, or the client would see a reset instead of the answer.
        request.resume();
        response.writeHead(413, { connection: 'close', 'content-length': 0 }).end();
        return;
      }
      this.#log('error', 'Host.Http', `${request.method ?? ''} ${request.url ?? ''}: ${reasonOf(error)}`);
      if (response.headersSent) response.destroy();
      else response.writeHead(500, { 'content-length': 0 }).end();
    }
  }

  async #dispatch(app: HttpApp, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    for (const extension of app.extensions) {
      if (await extension(request, response, path)) return;
    }
    if (this.#isStopping) {
      refuse(response);
      return;
    }
    const match = app.routes.find(request.method ?? 'GET', path);
    if (match === undefined) {
      // The home page tells a probe that the host is up, as Azure's does.
      if (request.method === 'GET' && path === '/') response.end('Your Functions app is up and running.\n');
      else response.writeHead(404, { 'content-length': 0 }).end();
      return;
    }
    // Every authLevel counts as anonymous, as under Core Tools: the port is open to this machine only.
    if (app.streaming === undefined) await invoke(app, match, request, response);
    else await invokeStreaming(app, app.streaming, match, { request, response });
  }
}

function refuse(response: ServerResponse): void {
  response.writeHead(503, { 'retry-after': '1', 'content-length': 0 }).end();
}

async function invoke(
  { worker }: HttpApp,
  { route, params }: RouteMatch,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request);
  let result;
  try {
    result = await worker.invoke({
      functionId: route.loaded.functionId,
      trigger: toHttpTrigger(request, params, body),
    });
  } catch {
    // The worker has logged it; the client learns nothing of the app's insides.
    response.writeHead(500, { 'content-length': 0 }).end();
    return;
  }
  sendReturnValue(response, result.returnValue);
}

async function invokeStreaming(
  { worker }: HttpApp,
  proxy: StreamingProxy,
  { route, params }: RouteMatch,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  const invocationId = randomUUID();
  const { functionId } = route.loaded;
  const triggerMetadata = toStreamMetadata(request, params);
  let failure: unknown;
  const call = async (): Promise<void> => {
    try {
      await worker.invoke({ functionId, invocationId, trigger: { http: {} }, triggerMetadata });
    } catch (error) {
      failure = error ?? new Error('The function failed.');
      throw error;
    }
  };
  try {
    await proxy.forward(request, response, { invocationId, invoke: call });
  } catch (error) {
    if (failure === undefined) throw error;
    if (!response.headersSent) response.writeHead(500, { 'content-length': 0 }).end();
  }
}

function toStartError(port: number, error: Error): StartError {
  const reason =
    errnoOf(error) === 'EADDRINUSE'
      ? `port ${port} of 127.0.0.1 is in use by another program. Stop that one, or choose another port with --port.`
      : errnoOf(error) === 'EACCES'
        ? `this user may not listen on port ${port}. Choose one above 1023 with --port.`
        : error.message;
  return new StartError(`Cannot listen: ${reason}`, { cause: error });
}
