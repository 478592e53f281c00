// Turns an incoming request into the RPC's HTTP message.
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { toNullableStrings } from '../worker/rpcDefaults.ts';
import type { TypedData } from '../worker/types.ts';

/** The real host's default limit for a request body. */
const maximumBodyBytes = 100 * 2 ** 20;

export class BodyTooLargeError extends Error {
  constructor() {
    super(`The request body is larger than ${maximumBodyBytes} bytes.`);
    this.name = 'BodyTooLargeError';
  }
}

/** Reads the whole body; undefined for GET and HEAD, whose bodies are dropped, and for none. Throws BodyTooLargeError. */
export async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  if (request.method === 'GET' || request.method === 'HEAD') return undefined;
  if (Number(request.headers['content-length'] ?? 0) > maximumBodyBytes) throw new BodyTooLargeError();
  const chunks: Buffer[] = [];
  let lengthBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    lengthBytes += chunk.length;
    if (lengthBytes > maximumBodyBytes) throw new BodyTooLargeError();
    chunks.push(chunk);
  }
  return lengthBytes === 0 ? undefined : Buffer.concat(chunks);
}

/** False when the Host header or the path make no URL. */
export function hasValidUrl(request: IncomingMessage): boolean {
  return URL.canParse(absoluteUrl(request));
}

/** Absolute URL of a request, as the client wrote it. */
function absoluteUrl(request: IncomingMessage): string {
  return `${schemeOf(request)}://${request.headers.host ?? 'localhost'}${request.url ?? '/'}`;
}

export function schemeOf(request: IncomingMessage): 'http' | 'https' {
  return request.socket instanceof TLSSocket ? 'https' : 'http';
}

/** Header names are lower case; several values of one name are joined by commas. */
function headerEntries(request: IncomingMessage): [string, string][] {
  return Object.entries(request.headers).flatMap(([name, value]): [string, string][] => {
    const text = Array.isArray(value) ? value.join(', ') : (value ?? '');
    return text === '' ? [] : [[name, text]];
  });
}

/** Trigger value of a request that is not streamed. */
export function toHttpTrigger(
  request: IncomingMessage,
  params: Record<string, string>,
  body: Buffer | undefined,
): TypedData {
  const url = absoluteUrl(request);
  const query = new Map<string, string>();
  for (const [name, value] of new URL(url).searchParams) {
    const earlier = query.get(name);
    query.set(name, earlier === undefined ? value : `${earlier},${value}`);
  }
  const http = {
    method: request.method ?? 'GET',
    url,
    nullableHeaders: toNullableStrings(headerEntries(request)),
    nullableQuery: toNullableStrings(query),
    nullableParams: toNullableStrings(Object.entries(params)),
  };
  return { http: body === undefined ? http : { ...http, body: { bytes: body } } };
}

/** Trigger metadata of a streamed request: route parameters as strings, headers and query as JSON. */
export function toStreamMetadata(
  request: IncomingMessage,
  params: Record<string, string>,
): Record<string, TypedData> {
  const query = Object.fromEntries(new URL(absoluteUrl(request)).searchParams);
  return {
    ...Object.fromEntries(Object.entries(params).map(([name, value]) => [name, { string: value }])),
    Headers: { json: JSON.stringify(Object.fromEntries(headerEntries(request))) },
    Query: { json: JSON.stringify(query) },
  };
}
