// What the host's HTTP port serves: management paths first, then the app's routes. Refuses while the app is not ready
// (503), while it stops, and what lacks the key it needs (401); never lets an error of one request reach another.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { reasonOf } from '../process/startError.ts';
import type { HostLog, Worker } from '../worker/types.ts';
import { type CorsPolicy, applyCors } from './cors.ts';
import type { Access, HostKeys } from './hostKeys.ts';
import { answerEmpty, invoke, invokeStreaming } from './httpInvocation.ts';
import { BodyTooLargeError, hasValidUrl } from './httpRequestData.ts';
import { HttpPort, type HttpPortOptions } from './httpPort.ts';
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

export class HttpFrontDoor {
  readonly #port: HttpPort;
  readonly #log: HostLog;
  #app: HttpApp | undefined;
  #isStopping = false;

  constructor(log: HostLog, tls: HttpPortOptions['tls']) {
    this.#log = log;
    this.#port = new HttpPort({
      log,
      tls,
      handle: (request, response) => void this.#handle(request, response),
    });
  }

  /** As HttpPort.listen. */
  async listen(port: number, options: { mayUseNext: boolean }): Promise<number> {
    return this.#port.listen(port, options);
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
    this.#port.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A client that goes away is no error of the host.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    if (this.#isStopping) response.setHeader('connection', 'close');
    try {
      if (!hasValidUrl(request)) answerEmpty(response, 400);
      else if (this.#app === undefined) refuse(response);
      else await this.#dispatch(this.#app, request, response);
    } catch (error) {
      if (error instanceof BodyTooLargeError) {
        // Read on and forget, or the client would see a reset instead of the answer.
        request.resume();
        response.writeHead(413, { connection: 'close', 'content-length': 0 }).end();
        return;
      }
      const isClientGone = request.destroyed && !request.complete;
      const what = `${request.method ?? ''} ${request.url?.split('?', 1)[0] ?? ''}`;
      // The query may hold a key.
      this.#log(isClientGone ? 'debug' : 'error', 'Host.Http', `${what}: ${reasonOf(error)}`);
      if (response.headersSent || isClientGone) response.destroy();
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
