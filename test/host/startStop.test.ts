// Stopping and surviving: what is kept, what is said, and what the next start finds.
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BlobServiceClient } from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';
import {
  type Observation,
  type ReadyHost,
  observationsOf,
  runHost,
  startHost,
  temporaryFolder,
  untilSaid,
  waitFor,
} from './startHost.ts';

async function putBlob(host: ReadyHost, container: string, name: string, text: string): Promise<void> {
  const client = BlobServiceClient.fromConnectionString(
    host.local.storageConnectionString,
  ).getContainerClient(container);
  await client.createIfNotExists();
  await client.getBlockBlobClient(name).upload(text, text.length);
}

async function getBlob(host: ReadyHost, container: string, name: string): Promise<string> {
  const service = BlobServiceClient.fromConnectionString(host.local.storageConnectionString);
  return (await service.getContainerClient(container).getBlobClient(name).downloadToBuffer()).toString();
}

function readObservations(file: string): Observation[] {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  return lines.map((line) => JSON.parse(line) as Observation);
}

describe('a clean stop', () => {
  it('lets a running request end, keeps what was written, and takes the same ports again', async () => {
    const first = await startHost();
    await putBlob(first, 'kept', 'blob', 'written before the stop');
    const slow = fetch(`${first.url}/api/slow`).then((response) => response.text());
    await waitFor(async () => (await observationsOf(first, 'slow')).length === 1);
    expect(await first.stop()).toBe(0);
    expect(await slow).toBe('slow but done');
    expect(existsSync(join(first.dataDirectory, 'local.json'))).toBe(false);
    expect(existsSync(join(first.dataDirectory, 'host.lock'))).toBe(false);

    const second = await startHost({ dataDirectory: first.dataDirectory });
    expect(await getBlob(second, 'kept', 'blob')).toBe('written before the stop');
    expect(second.local.storageConnectionString).toBe(first.local.storageConnectionString);
    expect(second.local['key']).toBe(first.local['key']);
    expect(await second.stop()).toBe(0);
  });

  it('leaves secrets readable by the user only', async () => {
    const host = await startHost();
    for (const name of ['secrets.json', 'local.json']) {
      expect(statSync(join(host.dataDirectory, name)).mode & 0o777).toBe(0o600);
    }
    await host.stop();
  });
});

describe('a second Ctrl-C', () => {
  it('ends the host at once, and its storage is still saved', async () => {
    const host = await startHost();
    await putBlob(host, 'kept', 'blob', 'written before');
    fetch(`${host.url}/api/hang`).catch(() => undefined);
    await waitFor(async () => (await observationsOf(host, 'hang')).length === 1);
    host.child.kill('SIGINT');
    // npm repeats the first one; that is not a second one yet.
    host.child.kill('SIGINT');
    await untilSaid(host, 'SIGINT: stopping');
    await sleep(900);
    expect(host.child.exitCode).toBeNull();
    host.child.kill('SIGINT');
    expect((await host.exited).code).toBe(130);
    const next = await startHost({ dataDirectory: host.dataDirectory });
    expect(await getBlob(next, 'kept', 'blob')).toBe('written before');
    await next.stop();
  });
});

describe('the end of npm', () => {
  it.runIf(process.platform !== 'win32')(
    'stops the host although the signal reached only the shell',
    async () => {
      const host = await startHost({ isBehindShell: true, env: { npm_lifecycle_event: 'start' } });
      host.child.kill('SIGTERM');
      // The output closes when the host itself has ended.
      await host.exited;
      expect(host.output()).toContain('The process that started this host has ended');
      expect(existsSync(join(host.dataDirectory, 'host.lock'))).toBe(false);
    },
  );
});

describe('a crash', () => {
  it('by kill -9 of the whole process group loses no acknowledged write and no blob', async () => {
    const file = join(temporaryFolder(), 'observations');
    const env = { FIXTURE_OBSERVATIONS: file };
    const texts = Array.from({ length: 20 }, (_, index) => `text ${index}`);
    const first = await startHost({ env, isGroupLeader: true });
    for (const [index, text] of texts.entries()) await putBlob(first, 'inbox', `crash/${index}.txt`, text);
    await first.kill();
    const second = await startHost({ env, dataDirectory: first.dataDirectory });
    for (const [index, text] of texts.entries())
      expect(await getBlob(second, 'inbox', `crash/${index}.txt`)).toBe(text);
    // Every blob was run: by the first host, by the second, or by both.
    const run = await waitFor(() => {
      const observations = readObservations(file).filter(({ kind }) => kind === 'blobBytes');
      const seen = new Set(observations.map(({ text }) => text));
      return seen.size === texts.length && seen;
    });
    expect(run).toEqual(new Set(texts));
    expect(await second.stop()).toBe(0);
  });

  it('of Azurite stops the host with exit code 1', async () => {
    const host = await startHost();
    const lock = JSON.parse(readFileSync(join(host.dataDirectory, 'host.lock'), 'utf8')) as {
      azurite: { pid: number };
    };
    process.kill(lock.azurite.pid, 'SIGKILL');
    const { code, output } = await host.exited;
    expect(code).toBe(1);
    expect(output).toContain('Azurite ended unexpectedly');
  });

  it('of the app outside of any invocation stops the host with exit code 1, its data saved', async () => {
    const host = await startHost();
    // It may be gone before it has answered.
    await fetch(`${host.url}/api/crash`, { method: 'POST' }).catch(() => undefined);
    const { code, output } = await host.exited;
    expect(code).toBe(1);
    expect(output).toContain('thrown outside of any invocation');
    expect(existsSync(join(host.dataDirectory, 'host.lock'))).toBe(false);
  });

  it('of a host whose pid another process has now is not taken for a running host', async () => {
    const dataDirectory = join(temporaryFolder(), 'data');
    mkdirSync(dataDirectory);
    const stale = { host: { pid: process.pid, startTime: '1' } };
    writeFileSync(join(dataDirectory, 'host.lock'), JSON.stringify(stale));
    const host = await startHost({ dataDirectory });
    expect(await host.stop()).toBe(0);
  });
});

describe('--port-fallback', () => {
  it('takes the next free port and says so', async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const { port } = blocker.address() as { port: number };
    const host = await startHost({ port, args: ['--port-fallback'] });
    blocker.close();
    const chosen = Number(new URL(host.url).port);
    expect(chosen).toBeGreaterThan(port);
    await untilSaid(host, `Port ${port} is in use by another program; this host listens on ${chosen}`);
    expect((await fetch(`${host.url}/api/ping`)).status).toBe(200);
    expect(await host.stop()).toBe(0);
  });
});

describe('--inspect', () => {
  it('opens the inspector on the loopback interface', async () => {
    const host = await startHost({ args: ['--inspect', '0'] });
    const address = await waitFor(() => /ws:\/\/(127\.0\.0\.1:\d+)\//.exec(host.output())?.[1]);
    const [target] = (await (await fetch(`http://${address}/json/list`)).json()) as { type: string }[];
    expect(target?.type).toBe('node');
    expect(await host.stop()).toBe(0);
  });
});

describe('receipts', () => {
  it('of deleted and of replaced blobs are removed', async () => {
    const first = await startHost();
    await putBlob(first, 'inbox', 'sweep/kept.txt', 'old');
    await putBlob(first, 'inbox', 'sweep/deleted.txt', 'x');
    const receiptsOf = async (host: ReadyHost): Promise<string[]> => {
      const service = BlobServiceClient.fromConnectionString(host.local.storageConnectionString);
      const found: string[] = [];
      for await (const { name } of service.getContainerClient('azure-webjobs-hosts').listBlobsFlat())
        if (name.includes('blobBytes') && name.includes('/sweep/'))
          found.push(name.split('/sweep/')[1] ?? '');
      return found.sort();
    };
    await waitFor(async () => (await receiptsOf(first)).length === 2);
    await putBlob(first, 'inbox', 'sweep/kept.txt', 'new');
    await waitFor(async () => (await receiptsOf(first)).length === 3);
    const service = BlobServiceClient.fromConnectionString(first.local.storageConnectionString);
    await service.getContainerClient('inbox').deleteBlob('sweep/deleted.txt');
    await first.stop();
    // The listing at the start does it; later ones come every 30 s.
    const second = await startHost({ dataDirectory: first.dataDirectory });
    await waitFor(async () => (await receiptsOf(second)).length === 1);
    expect(await receiptsOf(second)).toEqual(['kept.txt']);
    expect(await second.stop()).toBe(0);
  });
});

describe('--json', () => {
  it('writes one JSON object a line, the app’s console included', async () => {
    const app = temporaryFolder();
    writeFileSync(join(app, 'package.json'), JSON.stringify({ type: 'module', main: 'index.mjs' }));
    writeFileSync(join(app, 'index.mjs'), "console.log('from %s', 'the app'); throw new Error('stop here');");
    const run = runHost({ app, args: ['--json'] });
    let lines = '';
    run.child.stdout?.on('data', (text: string) => (lines += text));
    await run.exited;
    const entries = lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { level: string; category: string; message: string });
    expect(entries).toContainEqual(
      expect.objectContaining({ level: 'information', category: 'Console', message: 'from the app' }),
    );
    expect(entries.at(-1)).toMatchObject({ level: 'critical', category: 'Host.Startup' });
  });
});
