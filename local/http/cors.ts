// Cross-origin requests, allowed as Core Tools allows them: any method and header for the origins that are listed.
// A preflight is always answered here, and a header of the app never contradicts the host's.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { StartError } from '../process/startError.ts';

export interface CorsPolicy {
  /** Lower case, without a slash at the end; `*` for any. */
  origins: ReadonlySet<string>;
  allowsCredentials: boolean;
}

/**
 * Reads a list of origins separated by commas; undefined when it is empty. Throws StartError that names `source` for
 * an entry that is no origin, and for credentials with `*`, which no browser accepts.
 */
export function parseCorsPolicy(
  list: string,
  allowsCredentials: boolean,
  source: string,
): CorsPolicy | undefined {
  const origins = list
    .split(',')
    .map((origin) => origin.trim().replace(/\/$/, '').toLowerCase())
    .filter((origin) => origin !== '');
  if (origins.length === 0) return undefined;
  const wrong = origins.find((origin) => origin !== '*' && !/^[a-z][a-z0-9+.-]*:\/\/[^/?#]+$/.test(origin));
  if (wrong !== undefined) {
    throw new StartError(
      `"${wrong}" in ${source} is no origin. Write scheme, host and port, like http://localhost:5173, or *.`,
    );
  }
  if (allowsCredentials && origins.includes('*')) {
    throw new StartError(`${source} allows credentials for every origin (*). Name the origins instead.`);
  }
  return { origins: new Set(origins), allowsCredentials };
}

/** Adds the headers to the response to come. True when the request was a preflight, which has been answered. */
export function applyCors(policy: CorsPolicy, request: IncomingMessage, response: ServerResponse): boolean {
  const { origin } = request.headers;
  if (origin === undefined) return false;
  const headers = toHeaders(policy, origin);
  const wantedMethod = request.headers['access-control-request-method'];
  const isPreflight = request.method === 'OPTIONS' && wantedMethod !== undefined;
  if (isPreflight && 'access-control-allow-origin' in headers) {
    headers['access-control-allow-methods'] = wantedMethod;
    const wantedHeaders = request.headers['access-control-request-headers'];
    if (wantedHeaders !== undefined) headers['access-control-allow-headers'] = wantedHeaders;
  }
  setWhenSent(response, headers);
  if (isPreflight) response.writeHead(204).end();
  return isPreflight;
}

function toHeaders({ origins, allowsCredentials }: CorsPolicy, origin: string): Record<string, string> {
  if (origins.has('*')) return { 'access-control-allow-origin': '*' };
  if (!origins.has(origin.toLowerCase())) return { vary: 'Origin' };
  return {
    'access-control-allow-origin': origin,
    vary: 'Origin',
    ...(allowsCredentials ? { 'access-control-allow-credentials': 'true' } : {}),
  };
}

/** Sets the headers in the last moment: whoever answers may have set the same ones. */
function setWhenSent(response: ServerResponse, headers: Record<string, string>): void {
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  response.writeHead = (...args: unknown[]) => {
    for (const [name, value] of Object.entries(headers)) {
      if (name === 'vary') response.appendHeader(name, value);
      else response.setHeader(name, value);
    }
    return writeHead(...args);
  };
}
