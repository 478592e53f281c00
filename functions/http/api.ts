// One catch-all route for the whole API: Functions' own routing is case-sensitive, ARM's is not.
import { app } from '@azure/functions';
import type { HttpRequest, HttpResponseInit, InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import { apiContext } from '../services.ts';
import { readBytes, readText } from './requestBody.ts';

/**
 * The address that the platform's front end saw: it adds it at the end of X-Forwarded-For, behind whatever the caller wrote there.
 */
function addressOf(request: HttpRequest): string {
  const last = request.headers.get('x-forwarded-for')?.split(',').at(-1)?.trim() ?? '';
  // With the port for IPv4, which changes with every connection.
  const address = /^\d+\.\d+\.\d+\.\d+(?=:\d+$)/.exec(last)?.[0] ?? last;
  return /^[0-9a-fA-F:.[\]]{2,45}$/.test(address) ? address : 'local';
}

/** The API is a chunk of its own: instances that Flex Consumption starts for uploads, jobs or timers never load it. */
const loadApi = () => import('../../lib/api/handle.ts');

async function api(request: HttpRequest, invocation: InvocationContext): Promise<HttpResponseInit> {
  const { handleRequest } = await loadApi();
  const url = new URL(request.url);
  const { status, headers, body, bytes } = await handleRequest(await apiContext(invocation), {
    method: request.method,
    path: url.pathname,
    query: url.searchParams,
    headers: new Map(request.headers.entries()),
    address: addressOf(request),
    text: (limitBytes) => readText(request, limitBytes),
    bytes: (limitBytes) => readBytes(request, limitBytes),
  });
  const about = { status, ...(headers ? { headers } : {}) };
  if (bytes !== undefined) return { ...about, body: bytes };
  if (typeof body === 'string') return { ...about, body };
  return body === undefined ? about : { ...about, jsonBody: body };
}

app.http('api', {
  route: '{*path}',
  methods: ['GET', 'PUT', 'POST', 'PATCH', 'DELETE'],
  authLevel: 'anonymous',
  extraInputs: [df.input.durableClient()],
  handler: api,
});
