// HTTP functions: what a request carries, as the handler sees it, and the kinds of response.
import { app } from '@azure/functions';

async function echo(request) {
  const body = Buffer.from(await request.arrayBuffer());
  return {
    jsonBody: {
      method: request.method,
      params: request.params,
      query: Object.fromEntries(request.query),
      header: request.headers.get('X-Conformance'),
      bodyBase64: body.toString('base64'),
    },
  };
}

const anonymous = { authLevel: 'anonymous' };
app.http('ping', { ...anonymous, methods: ['GET'], handler: () => ({ body: 'pong' }) });
app.http('mirror', { ...anonymous, methods: ['GET', 'POST'], route: 'echo/{*rest}', handler: echo });
app.http('item', { ...anonymous, methods: ['GET'], route: 'items/{id:int}/{part?}', handler: echo });
app.http('bytes', {
  ...anonymous,
  methods: ['GET'],
  handler: () => ({
    body: Uint8Array.of(0, 255, 10, 13),
    headers: { 'content-type': 'application/x-bytes' },
  }),
});
app.http('created', {
  ...anonymous,
  methods: ['POST'],
  handler: () => ({
    status: 201,
    headers: { location: '/somewhere' },
    jsonBody: { made: true },
    cookies: [{ name: 'crumb', value: '1', httpOnly: true, path: '/' }],
  }),
});
app.http('silent', { ...anonymous, methods: ['GET'], handler: () => undefined });
app.http('broken', {
  ...anonymous,
  methods: ['GET'],
  handler: () => {
    throw new Error('internal words');
  },
});
