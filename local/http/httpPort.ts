// One listening port of 127.0.0.1, plain or TLS, with limits on what a client can hold. What is served there is up to
// its handler.
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { StartError, errnoOf, reasonOf } from '../process/startError.ts';
import type { HostLog } from '../worker/types.ts';
import { BodyRateGuard } from './bodyRateGuard.ts';
import { type ConnectionLimits, defaultConnectionLimits } from './connectionLimits.ts';

export interface HttpPortOptions {
  log: HostLog;
  /** Answers every request; never rejects. */
  handle: (request: IncomingMessage, response: ServerResponse) => void;
  /** PEM texts; absent for plain HTTP. */
  tls?: { chain: string; privateKey: string } | undefined;
  limits?: ConnectionLimits;
}

/** How many ports after the wanted one are tried. */
const fallbackPorts = 100;
/** A flood of connections is reported this often. */
const dropReportMs = 60_000;

export class HttpPort {
  readonly #server: Server;
  readonly #bodies: BodyRateGuard;
  readonly #log: HostLog;

  constructor({ log, handle, tls, limits = defaultConnectionLimits }: HttpPortOptions) {
    this.#log = log;
    const bodies = (this.#bodies = new BodyRateGuard(limits));
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      bodies.watch(request, () => this.#endSlowRequest(request, response));
      handle(request, response);
    };
    const options = {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      // A whole upload may take any time, as long as it goes on: the guard sees to that.
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: limits.checkIntervalMs,
    };
    this.#server =
      tls === undefined
        ? createServer(options, listener)
        : createTlsServer(
            {
              ...options,
              handshakeTimeout: limits.tlsHandshakeTimeoutMs,
              cert: tls.chain,
              key: tls.privateKey,
            },
            listener,
          );
    this.#server.maxConnections = limits.maxConnections;
    this.#reportTroubles(limits.maxConnections);
  }

  /**
   * Returns the port; 0 lets the system choose. A port that is taken is a StartError, or, with `mayUseNext`, makes it
   * try the ones after it.
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

  /** Cuts what is left. */
  close(): void {
    this.#bodies.stop();
    this.#server.closeAllConnections();
    this.#server.close();
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

  #endSlowRequest(request: IncomingMessage, response: ServerResponse): void {
    const what = `${request.method ?? ''} ${request.url?.split('?', 1)[0] ?? ''}`;
    this.#log('warning', 'Host.Http', `${what}: the client stopped sending its body; the request was cut.`);
    if (response.headersSent) request.socket.destroy();
    // Whoever reads the body learns that there is no more.
    else response.writeHead(408, { connection: 'close', 'content-length': 0 }).end(() => request.destroy());
  }

  #reportTroubles(maxConnections: number): void {
    let reportedAtMs = -Infinity;
    this.#server.on('drop', () => {
      if (performance.now() - reportedAtMs < dropReportMs) return;
      reportedAtMs = performance.now();
      this.#log(
        'warning',
        'Host.Http',
        `${maxConnections} connections are open; further ones are refused until some close.`,
      );
    });
    this.#server.on('tlsClientError', (error: Error) => {
      const reason =
        errnoOf(error) === 'ERR_SSL_HTTP_REQUEST' ? 'it spoke plain HTTP; use https' : reasonOf(error);
      this.#log('debug', 'Host.Http', `A client did not get through the TLS handshake: ${reason}.`);
    });
  }
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
