// What a person reads when the host refuses to start, and that a refused start leaves nothing behind.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runHost, startHost, temporaryFolder } from './startHost.ts';

/** A minimal app whose entry point is `source`. */
function writeApp(source: string, files: Record<string, string> = {}): string {
  const folder = temporaryFolder();
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'small', type: 'module', main: 'index.mjs' }),
  );
  writeFileSync(join(folder, 'index.mjs'), source);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

describe('refuses', () => {
  it('a port in use', async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const { port } = blocker.address() as { port: number };
    const run = runHost({ port });
    const { code, output } = await run.exited;
    blocker.close();
    expect(code).toBe(2);
    expect(output).toContain(`port ${port} of 127.0.0.1 is in use`);
    expect(output).toContain('--port');
    expect(existsSync(join(run.dataDirectory, 'host.lock'))).toBe(false);
  });

  it('an inspector port in use', async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const { port } = blocker.address() as { port: number };
    const { code, output } = await runHost({ args: ['--inspect', String(port)] }).exited;
    blocker.close();
    expect(code).toBe(2);
    expect(output).toContain(`The inspector cannot listen on port ${port}`);
  });

  it('a second host on the same data directory, and names the first', async () => {
    const first = await startHost();
    const { code, output } = await runHost({ dataDirectory: first.dataDirectory }).exited;
    expect(code).toBe(2);
    expect(output).toContain(`in use by another local host (process ${first.local.pid})`);
    expect((await fetch(`${first.url}/api/ping`)).status).toBe(200);
    expect(await first.stop()).toBe(0);
  });

  it('a data directory that is a file', async () => {
    const file = join(temporaryFolder(), 'data');
    writeFileSync(file, '');
    const { code, output } = await runHost({ dataDirectory: file }).exited;
    expect(code).toBe(2);
    expect(output).toContain(`Cannot use the data directory ${file}: it is a file.`);
  });

  it('a data directory where none can be made', async () => {
    const { code, output } = await runHost({ dataDirectory: '/proc/local-host' }).exited;
    expect(code).toBe(2);
    expect(output).toContain('Cannot use the data directory /proc/local-host: ');
  });

  it.each(['host.lock', 'local.json', 'azurite.log', 'azurite/blob.json'])(
    'a folder in place of %s',
    async (name) => {
      const dataDirectory = temporaryFolder();
      mkdirSync(join(dataDirectory, name), { recursive: true });
      const { code, output } = await runHost({ dataDirectory }).exited;
      expect(code).toBe(2);
      expect(output).toContain(dataDirectory);
      expect(output).not.toContain('    at ');
    },
  );

  it.each([
    ['ports.json', '{"blob":"x"}', 'must hold three ports'],
    ['ports.json', 'not json', 'must hold three ports'],
    ['host.lock', 'not json', 'is not readable as one'],
  ])('a damaged %s (%s)', async (name, text, message) => {
    const dataDirectory = temporaryFolder();
    const file = join(dataDirectory, name);
    writeFileSync(file, text);
    const { code, output } = await runHost({ dataDirectory }).exited;
    expect(code).toBe(2);
    expect(output).toContain(file);
    expect(output).toContain(message);
  });

  it.each([
    [['--unknown'], 'unknown option'],
    [['--port', '70000'], 'A port is a number from 0 to 65535'],
    [['--cors', 'localhost:80'], '"localhost:80" in --cors is no origin'],
    [['--cors-credentials'], 'needs --cors'],
  ])('the arguments %j', async (args, message) => {
    const { code, output } = await runHost({ args }).exited;
    expect(code).toBe(2);
    expect(output).toContain(message);
  });

  it.each([
    ['no folder', () => join(temporaryFolder(), 'missing'), 2, 'There is no app folder'],
    ['no package.json', temporaryFolder, 1, 'needs a package.json'],
    [
      'no entry point',
      () => writeApp('', { 'package.json': '{"main":"dist/*.mjs"}' }),
      1,
      'no file matches it',
    ],
    [
      'a broken host.json',
      () => writeApp('', { 'host.json': '{"extensions":{"http":{"routePrefix":1}}}' }),
      2,
      'extensions.http.routePrefix',
    ],
    [
      'broken settings',
      () => writeApp('', { 'local.settings.json': '{"Values":{"A":{}}}' }),
      2,
      'The setting "A"',
    ],
  ])('an app with %s', async (_what, makeApp, exitCode, message) => {
    const { code, output } = await runHost({ app: makeApp() }).exited;
    expect(output).toContain(message);
    expect(code).toBe(exitCode);
  });

  it.each([
    ['that throws', "throw new Error('cannot be loaded');", 'cannot be loaded'],
    ['that registers nothing', 'export {};', 'registered no function'],
    ['that imports the core module as ESM', "import '@azure/functions-core';", "'@azure/functions-core'"],
  ])('an app %s, after its storage was stopped again', async (_what, source, message) => {
    const run = runHost({ app: writeApp(source) });
    const { code, output } = await run.exited;
    expect(code).toBe(1);
    expect(output).toContain(message);
    expect(existsSync(join(run.dataDirectory, 'host.lock'))).toBe(false);
    expect(existsSync(join(run.dataDirectory, 'local.json'))).toBe(false);
  });
});
