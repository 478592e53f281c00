// The part of the host's /admin API that scripts and tests use: status, list of functions, run a function now.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LoadedFunction } from '../worker/types.ts';
import { readBody } from './httpRequestData.ts';

export interface AdminFunction {
  loaded: LoadedFunction;
  isDisabled: boolean;
  /** Path template with the prefix, for HTTP functions. */
  route?: string;
  /** Why the function cannot be triggered here. */
  error?: string;
}

export interface AdminApiOptions {
  hostId: string;
  functions: () => readonly AdminFunction[];
  publicBaseUrl: () => string;
  /** Runs a function with `input` as its trigger's value; rejects with RunRefusedError when it cannot be run so. */
  run: (loaded: LoadedFunction, input: string | undefined) => Promise<void>;
}

/** The caller's fault: the message is the answer. */
export class RunRefusedError extends Error {}

export class AdminApi {
  readonly #options: AdminApiOptions;

  constructor(options: AdminApiOptions) {
    this.#options = options;
  }

  /** Answers any path below /admin. */
  async handle(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const { method } = request;
    if (method === 'GET' && path === '/admin/host/status') {
      sendJson(response, 200, this.#status());
      return;
    }
    if (method === 'GET' && path === '/admin/functions') {
      sendJson(
        response,
        200,
        this.#options.functions().map((entry) => this.#describe(entry)),
      );
      return;
    }
    const name = /^\/admin\/functions\/([^/]+)$/.exec(path)?.[1];
    const wanted = name === undefined ? '' : decodeURIComponent(name).toLowerCase();
    const found = this.#options.functions().find(({ loaded }) => loaded.name.toLowerCase() === wanted);
    if (found !== undefined && method === 'GET') sendJson(response, 200, this.#describe(found));
    else if (found !== undefined && method === 'POST') await this.#run(found.loaded, request, response);
    else response.writeHead(404).end();
  }

  /** Answers as soon as the run has begun, as the real host does. */
  async #run(loaded: LoadedFunction, request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#options.run(loaded, toInput(await readBody(request)));
      response.writeHead(202).end();
    } catch (error) {
      if (!(error instanceof RunRefusedError)) throw error;
      sendJson(response, 400, { message: error.message });
    }
  }

  #status(): unknown {
    return {
      id: this.#options.hostId,
      state: 'Running',
      version: '4.0',
      versionDetails: 'embedded local host',
      processUptime: Math.round(process.uptime() * 1000),
      platformVersion: process.version,
      instanceId: String(process.pid),
      functionAppContentEditingState: 'NotAllowed',
    };
  }

  #describe({ loaded, isDisabled, route, error }: AdminFunction): unknown {
    const base = this.#options.publicBaseUrl();
    return {
      name: loaded.name,
      href: `${base}/admin/functions/${loaded.name}`,
      invoke_url_template: route === undefined ? null : `${base}/${route}`,
      language: 'node',
      config: { bindings: loaded.bindings },
      isDisabled,
      ...(error === undefined ? {} : { error }),
      isDirect: true,
      isProxy: false,
    };
  }
}

/** The body is `{"input": …}`, empty, or not JSON at all, and then it is the input itself. */
function toInput(body: Buffer | undefined): string | undefined {
  if (body === undefined) return undefined;
  const text = body.toString('utf8');
  try {
    const { input } = JSON.parse(text) as { input?: unknown };
    if (input === undefined || input === null) return undefined;
    return typeof input === 'string' ? input : JSON.stringify(input);
  } catch {
    return text;
  }
}

function sendJson(response: ServerResponse, statusCode: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(statusCode, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': body.length,
  });
  response.end(body);
}
