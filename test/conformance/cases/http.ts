// HTTP functions: routes, what the handler gets, what the caller gets.
import { describe, expect } from 'vitest';
import { type Access, holds } from './case.ts';

const trigger = 'Azure Functions HTTP trigger';
const output = 'Azure Functions HTTP output bindings';

interface Echo {
  method: string;
  params: Record<string, string>;
  query: Record<string, string>;
  header: string | null;
  bodyBase64: string;
}

export function httpCases(access: Access): void {
  describe('HTTP', () => {
    const api = (route: string, init?: RequestInit): Promise<Response> => access().api(route, init);
    const echoOf = async (route: string, init?: RequestInit): Promise<Echo> =>
      (await (await api(route, init)).json()) as Echo;

    holds('a function without a route answers at /api/<name>', trigger, async () => {
      const response = await api('ping');
      expect([response.status, await response.text()]).toEqual([200, 'pong']);
    });

    holds('route parameters reach the handler, an optional one may be missing', trigger, async () => {
      expect((await echoOf('items/42/lid')).params).toEqual({ id: '42', part: 'lid' });
      expect((await echoOf('items/42')).params['id']).toBe('42');
    });

    holds('a catch-all parameter takes the rest of the path', trigger, async () => {
      expect((await echoOf('echo/a/b/c')).params['rest']).toBe('a/b/c');
    });

    holds('a value that breaks the route’s constraint is 404', trigger, async () => {
      expect((await api('items/forty-two')).status).toBe(404);
    });

    holds('a path of no function and a method that the function does not list are 404', trigger, async () => {
      expect((await api('nowhere')).status).toBe(404);
      expect((await api('ping', { method: 'DELETE' })).status).toBe(404);
    });

    holds('method, query and headers reach the handler', trigger, async () => {
      const echo = await echoOf('echo/x?a=1&b=two%20words', { headers: { 'x-conformance': 'Yes' } });
      expect(echo).toMatchObject({ method: 'GET', query: { a: '1', b: 'two words' }, header: 'Yes' });
    });

    holds('a body reaches the handler byte for byte', trigger, async () => {
      const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 256));
      const { bodyBase64 } = await echoOf('echo/x', { method: 'POST', body: bytes });
      expect(Buffer.from(bodyBase64, 'base64').equals(bytes)).toBe(true);
    });

    holds('status, headers, cookies and JSON of a response reach the caller', output, async () => {
      const response = await api('created', { method: 'POST' });
      expect(response.status).toBe(201);
      expect(response.headers.get('location')).toBe('/somewhere');
      expect(response.headers.get('content-type')).toContain('application/json');
      expect(response.headers.get('set-cookie')).toMatch(/^crumb=1;.*httponly/i);
      expect(await response.json()).toEqual({ made: true });
    });

    holds('bytes of a response reach the caller unchanged', output, async () => {
      const response = await api('bytes');
      expect(response.headers.get('content-type')).toBe('application/x-bytes');
      expect([...new Uint8Array(await response.arrayBuffer())]).toEqual([0, 255, 10, 13]);
    });

    holds('a handler that returns nothing is a success with an empty body', output, async () => {
      const response = await api('silent');
      expect([response.ok, await response.text()]).toEqual([true, '']);
    });

    holds('a handler that throws is 500, and its words stay inside', output, async () => {
      const response = await api('broken');
      expect(response.status).toBe(500);
      expect(await response.text()).not.toContain('internal words');
    });
  });
}
