// One catch-all route for the whole API: Functions' own routing is case-sensitive, ARM's is not.
import { app } from '@azure/functions';
import type { HttpRequest, HttpResponseInit, InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import { handleRequest } from '../../lib/api/handle.ts';
import { apiContext } from '../services.ts';

async function api(request: HttpRequest, invocation: InvocationContext): Promise<HttpResponseInit> {
  const url = new URL(request.url);
  const { status, headers, body, bytes } = await handleRequest(await apiContext(invocation), {
    method: request.method,
    path: url.pathname,
    query: url.searchParams,
    headers: new Map(request.headers.entries()),
    text: () => request.text(),
    bytes: async () => new Uint8Array(await request.arrayBuffer()),
  });
  if (bytes !== undefined) return { status, ...(headers ? { headers } : {}), body: bytes };
  return body === undefined
    ? { status, ...(headers ? { headers } : {}) }
    : { status, ...(headers ? { headers } : {}), jsonBody: body };
}

app.http('api', {
  route: '{*path}',
  methods: ['GET', 'PUT', 'POST', 'PATCH', 'DELETE'],
  authLevel: 'anonymous',
  extraInputs: [df.input.durableClient()],
  handler: api,
});
