// What a browser is told, for origins that are listed and for others.
import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CorsPolicy, applyCors, parseCorsPolicy } from '../../../local/http/cors.ts';

let policy: CorsPolicy | undefined;
let url: string;
const server = createServer((request, response) => {
  if (policy !== undefined && applyCors(policy, request, response)) return;
  response.setHeader('vary', 'Accept');
  response.setHeader('access-control-allow-origin', 'https://of-the-app.example');
  response.writeHead(418, { 'x-own': 'kept' }).end('the app');
});
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/`;
});
afterAll(() => void server.close());

async function ask(headers: Record<string, string>, method = 'GET'): Promise<Response> {
  return fetch(url, { method, headers });
}

const shown = (response: Response): Record<string, string> =>
  Object.fromEntries(
    [...response.headers].filter(([name]) => name.startsWith('access-control-') || name === 'vary'),
  );

describe('a listed origin', () => {
  it('gets its name, after and instead of what the app says', async () => {
    policy = parseCorsPolicy('https://a.example, http://localhost:5173/', false, 'test');
    const response = await ask({ origin: 'http://localhost:5173' });
    expect([response.status, response.headers.get('x-own')]).toEqual([418, 'kept']);
    expect(shown(response)).toEqual({
      'access-control-allow-origin': 'http://localhost:5173',
      vary: 'Accept, Origin',
    });
  });

  it('gets its preflight answered, with the method and the headers it asked for', async () => {
    policy = parseCorsPolicy('https://a.example', true, 'test');
    const wanted = {
      origin: 'https://a.example',
      'access-control-request-method': 'DELETE',
      'access-control-request-headers': 'x-one, x-two',
    };
    const response = await ask(wanted, 'OPTIONS');
    expect([response.status, await response.text()]).toEqual([204, '']);
    expect(shown(response)).toEqual({
      'access-control-allow-origin': 'https://a.example',
      'access-control-allow-methods': 'DELETE',
      'access-control-allow-headers': 'x-one, x-two',
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
    });
  });

  it('reaches the app with an OPTIONS that is no preflight', async () => {
    policy = parseCorsPolicy('*', false, 'test');
    const response = await ask({ origin: 'https://a.example' }, 'OPTIONS');
    expect(response.status).toBe(418);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
  });
});

describe('another origin', () => {
  it('gets an answer that the browser will not show', async () => {
    policy = parseCorsPolicy('https://a.example', true, 'test');
    const asked = { origin: 'https://b.example', 'access-control-request-method': 'PUT' };
    const preflight = await ask(asked, 'OPTIONS');
    expect([preflight.status, shown(preflight)]).toEqual([204, { vary: 'Origin' }]);
  });

  it('or none at all changes nothing', async () => {
    policy = parseCorsPolicy('https://a.example', true, 'test');
    expect(shown(await ask({}))['vary']).toBe('Accept');
  });
});

describe('parseCorsPolicy', () => {
  it('is undefined without an origin', () => {
    expect(parseCorsPolicy(' , ', true, 'test')).toBeUndefined();
  });

  it.each([
    ['localhost:5173', false, '"localhost:5173" in --cors is no origin'],
    ['https://a.example/path', false, 'is no origin'],
    ['*', true, 'Name the origins'],
  ])('refuses %s', (list, allowsCredentials, message) => {
    expect(() => parseCorsPolicy(list, allowsCredentials, '--cors')).toThrow(message);
  });
});
