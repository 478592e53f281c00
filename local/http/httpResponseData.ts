// Writes the RPC's HTTP message, or any other value an HTTP function returned, as the response.
import type { ServerResponse } from 'node:http';
import type { TypedData } from '../worker/types.ts';

/** A cookie as the RPC carries it; the nullable members are wrapped. */
interface RpcCookie {
  name: string;
  value: string;
  domain?: { value?: string };
  path?: { value?: string };
  expires?: { value?: { seconds?: number } };
  secure?: { value?: boolean };
  httpOnly?: { value?: boolean };
  sameSite?: string;
  maxAge?: { value?: number };
}

interface RpcHttpResponse {
  statusCode?: string;
  headers?: Record<string, string>;
  cookies?: RpcCookie[];
  body?: TypedData | null;
}

/** Sends what the function returned; nothing returned is 200 with an empty body, as in the real host. */
export function sendReturnValue(response: ServerResponse, returnValue: TypedData | undefined): void {
  const http = returnValue?.http as RpcHttpResponse | undefined;
  if (http === undefined) {
    sendBody(response, 200, returnValue);
    return;
  }
  for (const [name, value] of Object.entries(http.headers ?? {})) {
    // How the body is framed on the wire is this host's matter.
    if (name !== 'transfer-encoding' && name !== 'connection') response.appendHeader(name, value);
  }
  for (const cookie of http.cookies ?? []) response.appendHeader('Set-Cookie', toSetCookie(cookie));
  sendBody(response, Number(http.statusCode ?? 200), http.body ?? undefined);
}

function sendBody(response: ServerResponse, statusCode: number, body: TypedData | undefined): void {
  const { bytes, contentType } = toBytes(body);
  response.statusCode = statusCode;
  const isBodyless = statusCode === 204 || statusCode === 304 || statusCode < 200;
  if (isBodyless) {
    response.removeHeader('content-length');
    response.end();
    return;
  }
  if (contentType !== undefined && !response.hasHeader('content-type'))
    response.setHeader('content-type', contentType);
  response.setHeader('content-length', bytes.length);
  response.end(bytes);
}

/** Bytes of any typed value, and the content type it has when the function gave none. */
function toBytes(body: TypedData | undefined): { bytes: Uint8Array; contentType?: string } {
  const text = 'text/plain; charset=utf-8';
  if (body?.bytes !== undefined) return { bytes: body.bytes };
  if (body?.string !== undefined) return { bytes: Buffer.from(body.string), contentType: text };
  if (body?.json !== undefined)
    return { bytes: Buffer.from(body.json), contentType: 'application/json; charset=utf-8' };
  const number = body?.int ?? body?.double;
  if (number !== undefined) return { bytes: Buffer.from(String(number)), contentType: text };
  return { bytes: new Uint8Array() };
}

const sameSiteTexts: Record<string, string> = { lax: 'Lax', strict: 'Strict', explicitNone: 'None' };

function toSetCookie({ name, value, expires, maxAge, ...rest }: RpcCookie): string {
  const expirySeconds = expires?.value?.seconds;
  const attributes: [string, string | undefined][] = [
    ['Max-Age', maxAge?.value === undefined ? undefined : String(Math.floor(maxAge.value))],
    ['Domain', rest.domain?.value],
    ['Path', rest.path?.value],
    ['Expires', expirySeconds === undefined ? undefined : new Date(expirySeconds * 1000).toUTCString()],
    ['SameSite', sameSiteTexts[rest.sameSite ?? '']],
  ];
  const valued = attributes.flatMap(([key, text]) => (text === undefined ? [] : [`${key}=${text}`]));
  const flags = [
    rest.httpOnly?.value === true ? 'HttpOnly' : '',
    rest.secure?.value === true ? 'Secure' : '',
  ];
  return [`${name}=${encodeURIComponent(value)}`, ...valued, ...flags.filter((flag) => flag !== '')].join(
    '; ',
  );
}
