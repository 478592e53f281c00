// A scripted server on loopback: what the client sends again, what it does not, and what it says.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { ServiceConnection } from '../../../agent/serviceConnection.ts';

type Script = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let url: string;
let scripts: Script[];
let seen: string[];

beforeEach(async () => {
  scripts = [];
  seen = [];
  server = createServer((request, response) => {
    seen.push(`${request.method ?? ''} ${request.url ?? ''} ${request.headers.authorization ?? ''}`);
    const script = scripts.shift();
    if (script) script(request, response);
    else response.writeHead(500).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const answer =
  (status: number, body: unknown): Script =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
const hangUp: Script = (request) => request.socket.destroy();
const connect = (maxTries = 3, signal?: AbortSignal): ServiceConnection =>
  new ServiceConnection({ url: `${url}/`, key: 'secret-key', maxTries, retryDelayMs: 1, signal });
const schema = z.object({ value: z.number() });

describe('service connection', () => {
  it('sends again after a busy service and a lost connection', async () => {
    scripts = [
      answer(503, { error: { code: 'StorageUnavailable', message: 'busy' } }),
      hangUp,
      answer(200, { value: 5 }),
    ];
    const { body } = await connect().request('PUT', '/a?b=c', schema, { x: 1 });
    expect(body).toEqual({ value: 5 });
    expect(seen).toEqual(Array(3).fill('PUT /a?b=c Bearer secret-key'));
  });

  it('gives up after the last attempt, with the error that the service gave', async () => {
    const detail = { code: 'StorageUnavailable', recommendedAction: 'Wait.' };
    const busy = answer(503, { error: { code: 'StorageUnavailable', message: 'busy', details: [detail] } });
    scripts = [busy, busy, busy];
    await expect(connect().request('GET', '/', schema)).rejects.toMatchObject({
      name: 'ServiceError',
      code: 'StorageUnavailable',
      status: 503,
      recommendedAction: 'Wait.',
    });
    expect(seen).toHaveLength(3);
  });

  it('does not repeat what the service refused', async () => {
    scripts = [answer(404, { error: { code: 'ResourceNotFound', message: 'no such thing', target: 'x' } })];
    await expect(connect().request('GET', '/', schema)).rejects.toMatchObject({
      code: 'ResourceNotFound',
      target: 'x',
    });
    expect(seen).toHaveLength(1);
  });

  it.each([
    ['a page of something else', 200, '<html>'],
    ['a refusal of something else', 403, '{"detail":"no"}'],
    ['a body of another version', 200, '{"value":"five"}'],
  ])('recognizes %s', async (_name, status, body) => {
    scripts = [answer(status, body)];
    await expect(connect().request('GET', '/', schema)).rejects.toMatchObject({
      code: 'ServiceAnswerInvalid',
    });
  });

  it('does not follow a redirect with the key', async () => {
    scripts = [
      (_request, response) => {
        response.writeHead(302, { location: `${url}/elsewhere` }).end();
      },
    ];
    await expect(connect(1).request('GET', '/', schema)).rejects.toMatchObject({
      code: 'ServiceUnreachable',
    });
    expect(seen).toHaveLength(1);
  });

  it('names the address and the cause when nobody answers', async () => {
    server.close();
    await once(server, 'close');
    const failed = connect(2).request('GET', '/', schema);
    await expect(failed).rejects.toMatchObject({ code: 'ServiceUnreachable' });
    await expect(failed).rejects.toThrow(`${url} does not answer: ECONNREFUSED`);
  });

  it('stops at an abort, also between attempts', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    scripts = [
      (request) => {
        controller.abort(reason);
        request.socket.destroy();
      },
    ];
    await expect(connect(3, controller.signal).request('GET', '/', schema)).rejects.toBe(reason);
    expect(seen).toHaveLength(1);
  });

  it.each(['', 'localhost:7071', 'ftp://host', 'http://'])('"%s" is no address', (address) => {
    expect(() => new ServiceConnection({ url: address, key: 'k' })).toThrow('is no http(s) URL');
  });
});
