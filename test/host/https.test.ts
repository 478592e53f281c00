// `--https`: clients that trust the authority of the data directory, and only they, reach everything that plain HTTP
// serves, and every URL that the host gives out says https.
import { readFileSync } from 'node:fs';
import { type RequestOptions, request } from 'node:https';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type ReadyHost, startHost, streamingApp, untilSaid, waitFor } from './startHost.ts';

interface Answer {
  status: number | undefined;
  text: string;
}

function call(url: string, ca: string | undefined, options: RequestOptions & { body?: string } = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const { body, ...rest } = options;
    const outgoing = request(url, { ...rest, ...(ca === undefined ? {} : { ca }) }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode, text }));
      response.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

const trusted = (host: ReadyHost): string => readFileSync(String(host.local['caCertificate']), 'utf8');

describe('an app with Durable Functions, behind keys', () => {
  let host: ReadyHost;
  let ca: string;
  beforeAll(async () => {
    host = await startHost({ args: ['--https', '--enable-auth', '--strict'] });
    ca = trusted(host);
  });

  it('says where it is, and whom to trust', async () => {
    expect(host.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(host.local['caCertificate']).toBe(join(host.dataDirectory, 'tls', 'ca.pem'));
    await untilSaid(host, `CA:       ${String(host.local['caCertificate'])}`);
  });

  it('serves the app by both of its names, over HTTPS only', async () => {
    const port = new URL(host.url).port;
    for (const name of ['127.0.0.1', 'localhost'])
      expect(await call(`https://${name}:${port}/api/ping`, ca)).toMatchObject({ status: 200 });
    await expect(call(`${host.url}/api/ping`, undefined)).rejects.toThrow(/certificate/);
    await expect(fetch(`http://127.0.0.1:${port}/api/ping`)).rejects.toThrow();
    const { text } = await call(`${host.url}/api/echo/x?y=1`, ca, { method: 'POST', body: 'body' });
    expect(JSON.parse(text)).toMatchObject({ url: `${host.url}/api/echo/x?y=1`, text: 'body' });
  });

  it('lets its own Durable client through, and hands out https links', async () => {
    const started = await call(`${host.url}/api/greetings`, ca, { method: 'POST', body: '["a","b"]' });
    expect(started.status).toBe(202);
    const { statusQueryGetUri } = JSON.parse(started.text) as { statusQueryGetUri: string };
    expect(statusQueryGetUri.startsWith(`${host.url}/runtime/webhooks/durabletask/`)).toBe(true);
    const finished = await waitFor(async () => {
      const answer = await call(statusQueryGetUri, ca);
      return answer.status === 200 && answer;
    });
    expect(JSON.parse(finished.text)).toMatchObject({ output: ['Hello a', 'Hello b'] });
  });

  it('keeps its certificate over a restart', async () => {
    await host.stop();
    const next = await startHost({ args: ['--https'], dataDirectory: host.dataDirectory });
    expect(await call(`${next.url}/api/ping`, ca)).toMatchObject({ status: 200 });
    await next.stop();
  });
});

it('a streaming app sees https in its URLs', async () => {
  const host = await startHost({ app: streamingApp, args: ['--https'] });
  const url = `${host.url}/digest/a/7`;
  const answer = await call(url, trusted(host), { method: 'PUT', body: 'streamed' });
  expect(JSON.parse(answer.text)).toMatchObject({ length: 8, url });
  expect(await host.stop()).toBe(0);
});
