// What one client can hold: clients that dawdle are cut with the right answer, others on the same port are not.
import { once } from 'node:events';
import { type Socket, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type ConnectionLimits, defaultConnectionLimits } from '../../../local/http/connectionLimits.ts';
import { HttpPort } from '../../../local/http/httpPort.ts';

const quick: ConnectionLimits = {
  ...defaultConnectionLimits,
  headersTimeoutMs: 400,
  checkIntervalMs: 100,
  bodyWindowMs: 500,
  minBodyBytesPerSecond: 20,
};

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface OpenPort {
  port: number;
  logged: string[];
  /** Length of each body that arrived whole. */
  bodies: number[];
}

/** Answers 200 when the body has arrived; with `readAfterMs` it begins to read late. */
async function openPort(limits: Partial<ConnectionLimits> = {}, readAfterMs = 0): Promise<OpenPort> {
  const logged: string[] = [];
  const bodies: number[] = [];
  const port = new HttpPort({
    log: (_level, _category, message) => logged.push(message),
    limits: { ...quick, ...limits },
    handle: (request, response) => {
      void (async () => {
        let length = 0;
        await sleep(readAfterMs);
        for await (const chunk of request as AsyncIterable<Buffer>) length += chunk.length;
        bodies.push(length);
        response.end('done');
      })().catch(() => logged.push('body incomplete'));
    },
  });
  closers.push(() => port.close());
  return { port: await port.listen(0), logged, bodies };
}

interface Client {
  socket: Socket;
  /** All that was received, once the other side has closed. */
  ended: Promise<string>;
}

async function open(port: number): Promise<Client> {
  const socket = connect(port, '127.0.0.1');
  closers.push(() => socket.destroy());
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => (text += part));
  socket.on('error', () => undefined);
  const ended = new Promise<string>((resolve) => socket.once('close', () => resolve(text)));
  await once(socket, 'connect');
  return { socket, ended };
}

/** Writes `text` byte by byte until the other side has enough of it. */
async function drip(client: Client, text: string, everyMs: number): Promise<void> {
  for (const letter of text) {
    if (client.socket.closed || client.socket.readableEnded) return;
    client.socket.write(letter);
    await sleep(everyMs);
  }
}

async function get(port: number): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}/`)).status;
}

describe('a client that dawdles', () => {
  it('with its headers is answered 408 and cut', async () => {
    const { port } = await openPort();
    const client = await open(port);
    void drip(client, `GET / HTTP/1.1\r\nHost: x\r\n${'X-Slow: 1\r\n'.repeat(1000)}`, 20);
    expect(await get(port)).toBe(200);
    expect(await client.ended).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('with its body is answered 408 and cut, and the app is told', async () => {
    const { port, logged, bodies } = await openPort();
    const client = await open(port);
    client.socket.write('POST /upload?code=secret HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n');
    void drip(client, 'x'.repeat(10_000), 120);
    expect(await get(port)).toBe(200);
    expect(await client.ended).toMatch(/^HTTP\/1\.1 408 /);
    await expect.poll(() => logged).toContain('body incomplete');
    expect(bodies).toEqual([0]);
    expect(logged.some((line) => line.includes('POST /upload:'))).toBe(true);
    expect(logged.join('\n')).not.toContain('secret');
  });

  it('after half a chunked body is cut too', async () => {
    const { port } = await openPort();
    const client = await open(port);
    client.socket.write(
      'PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe',
    );
    expect(await client.ended).toMatch(/^HTTP\/1\.1 408 /);
  });
});

describe('not cut is', () => {
  it('an upload that lasts but goes on', async () => {
    const { port, bodies } = await openPort();
    const client = await open(port);
    const parts = 12;
    client.socket.write(
      `POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${parts * 10}\r\n\r\n`,
    );
    // Three times the window, in pieces, at a multiple of the lowest rate.
    for (let part = 0; part < parts; part++) {
      client.socket.write('0123456789');
      await sleep(125);
    }
    expect(await client.ended).toMatch(/^HTTP\/1\.1 200 /);
    expect(bodies).toEqual([parts * 10]);
  });

  it('a client whose body the app is slow to take', async () => {
    const { port, bodies } = await openPort({}, 1_000);
    const body = Buffer.alloc(4 * 2 ** 20, 1);
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body });
    expect([response.status, bodies]).toEqual([200, [body.length]]);
  });

  it('a client that waits long for an answer', async () => {
    const { port } = await openPort({}, 1_000);
    expect(await get(port)).toBe(200);
  });
});

it('headers beyond the limit are answered 431', async () => {
  const { port } = await openPort();
  const headers = { 'x-large': 'x'.repeat(quick.maxHeaderBytes + 1) };
  expect((await fetch(`http://127.0.0.1:${port}/`, { headers })).status).toBe(431);
  const larger = { 'x-large': 'x'.repeat(quick.maxHeaderBytes - 2_000) };
  expect((await fetch(`http://127.0.0.1:${port}/`, { headers: larger })).status).toBe(200);
});

it('connections beyond the limit are refused and reported once; one that closes makes room', async () => {
  const { port, logged } = await openPort({ maxConnections: 3, headersTimeoutMs: 60_000 });
  const kept = await Promise.all([open(port), open(port), open(port)]);
  const refused = await Promise.all([open(port), open(port)]);
  expect(await Promise.all(refused.map((client) => client.ended))).toEqual(['', '']);
  await expect.poll(() => logged.length).toBe(1);
  expect(logged[0]).toContain('3 connections are open');
  kept[0].socket.destroy();
  await expect.poll(() => get(port).catch(() => 'refused')).toBe(200);
});

it('a port that is taken is named, or the next one is used', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  closers.push(() => other.close());
  await once(other, 'listening');
  const address = other.address();
  const taken = typeof address === 'object' && address !== null ? address.port : 0;
  const port = new HttpPort({ log: () => undefined, handle: (_request, response) => response.end() });
  closers.push(() => port.close());
  await expect(port.listen(taken)).rejects.toThrow(`port ${taken} of 127.0.0.1 is in use`);
  expect(await port.listen(taken, { mayUseNext: true })).toBeGreaterThan(taken);
});
