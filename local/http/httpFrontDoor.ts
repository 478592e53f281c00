// The host's one HTTP port: management paths first, then the app's routes. Refuses while the app is not ready
// (503), while it stops, and what lacks the key it needs (401); never lets an error of one request reach another.
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { StartError, errnoOf, reasonOf } from '../process/startError.ts';
import type { HostLog, Worker } from '../worker/types.ts';
import { type CorsPolicy, applyCors } from './cors.ts';
import type { Access, HostKeys } from './hostKeys.ts';
import { answerEmpty, invoke, invokeStreaming } from './httpInvocation.ts';
import { BodyTooLargeError } from './httpRequestData.ts';
import type { RouteTable } from './routeTable.ts';
import type { StreamingProxy } from './streamingProxy.ts';

/** Serves one folder of paths that belongs to the host. */
export interface HttpExtension {
  /** Lower case, without a slash at the end. */
  basePath: string;
  access: Access;
  /** Answers; false leaves the request untouched for whoever is next. */
  handle(request: IncomingMessage, response: ServerResponse, path: string): Promise<boolean>;
}

export interface HttpApp {
  worker: Worker;
  routes: RouteTable;
  /** Asked in this order before the app's routes. */
  extensions: readonly HttpExtension[];
  /** Present when the app streams HTTP. */
  streaming: StreamingProxy | undefined;
  /** Undefined lets everybody in, whatever a function asks for. */
  keys: HostKeys | undefined;
  cors: CorsPolicy | undefined;
}

/** How many ports after the wanted one are tried. */
const fallbackPorts = 100;

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

  /**
   * Listens on 127.0.0.1 and returns the port; 0 lets the system choose. A port that is taken is a StartError, or, with
   * `mayUseNext`, makes it try the ones after it.
   */
  async listen(port: number, { mayUseNext = false } = {}): Promise<number> {
    const lastPort = mayUseNext ? Math.min(65_535, port + fallbackPorts) : port;
    for (let wanted = port; ; wanted++) {
      try {
        return await this.#listenOn(wanted);
      } catch (error) {
        if (errnoOf(error) !== 'EADDRINUSE' || wanted >= lastPort) throw toStartError(port, error);
      }
    }
  }

  async #listenOn(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, host: '127.0.0.1' }, () => {
        this.#server.off('error', reject);
        resolve();
      });
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
      else answerEmpty(response, 500);
    }
  }

  async #dispatch(app: HttpApp, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    if (app.cors !== undefined && applyCors(app.cors, request, response)) return;
    if (await serveHostPath(app, path, request, response)) return;
    if (this.#isStopping) {
      refuse(response);
      return;
    }
    const match = app.routes.find(request.method ?? 'GET', path);
    if (match === undefined) {
      // The home page tells a probe that the host is up, as Azure's does.
      if (request.method === 'GET' && path === '/') response.end('Your Functions app is up and running.\n');
      else answerEmpty(response, 404);
    } else if (!isPermitted(app, request, match.route.access)) {
      answerEmpty(response, 401);
    } else if (app.streaming === undefined) {
      await invoke(app.worker, match, request, response);
    } else {
      await invokeStreaming(app.worker, app.streaming, match, { request, response });
    }
  }
}

/** False when the path is none of the host's own. */
async function serveHostPath(
  app: HttpApp,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const isBelow = (folder: string): boolean => `${path.toLowerCase()}/`.startsWith(`${folder}/`);
  for (const extension of app.extensions) {
    if (!isBelow(extension.basePath)) continue;
    if (!isPermitted(app, request, extension.access)) {
      answerEmpty(response, 401);
      return true;
    }
    if (await extension.handle(request, response, path)) return true;
  }
  return false;
}

function isPermitted({ keys }: HttpApp, request: IncomingMessage, access: Access): boolean {
  return keys?.permits(request, access) ?? true;
}

function refuse(response: ServerResponse): void {
  response.writeHead(503, { 'retry-after': '1', 'content-length': 0 }).end();
}

function toStartError(port: number, error: unknown): StartError {
  const reason =
    errnoOf(error) === 'EADDRINUSE'
      ? `port ${port} of 127.0.0.1 is in use by another program. Stop that one, choose another port with --port, or let --port-fallback take the next free one.`
      : errnoOf(error) === 'EACCES'
        ? `this user may not listen on port ${port}. Choose one above 1023 with --port.`
        : reasonOf(error);
  return new StartError(`Cannot listen: ${reason}`, { cause: error });
}
