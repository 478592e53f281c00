// `--watch`: the host starts again when its app changes, on the same port, whatever state the app is in meanwhile.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isRunning } from '../../local/process/processIdentity.ts';
import { type ReadyHost, runHost, startHost, temporaryAppFolder, untilSaid, waitFor } from './startHost.ts';

function sourceOf(version: string): string {
  return `import { app } from '@azure/functions'; app.http('version', { handler: () => ({ body: '${version}' }) });`;
}

function writeApp(version?: string): string {
  const folder = temporaryAppFolder();
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'watched', type: 'module', main: 'index.mjs' }),
  );
  if (version !== undefined) writeFileSync(join(folder, 'index.mjs'), sourceOf(version));
  return folder;
}

function pidIn(file: string): number {
  return Number(readFileSync(file, 'utf8'));
}

async function waitForVersion(host: ReadyHost, version: string): Promise<void> {
  await waitFor(async () => {
    const text = await fetch(`${host.url}/api/version`)
      .then((response) => response.text())
      .catch(() => '');
    return text === version;
  });
}

describe('--watch', () => {
  it('runs the new app on the same port, and waits while the app is broken', async () => {
    const app = writeApp('one');
    const host = await startHost({ app, args: ['--watch'] });
    await waitForVersion(host, 'one');
    writeFileSync(join(app, 'index.mjs'), sourceOf('two'));
    await waitForVersion(host, 'two');
    writeFileSync(join(app, 'index.mjs'), "throw new Error('half written');");
    await untilSaid(host, 'waiting for a change of the app');
    writeFileSync(join(app, 'index.mjs'), sourceOf('three'));
    await waitForVersion(host, 'three');
    expect(await host.stop()).toBe(0);
    expect(existsSync(join(host.dataDirectory, 'host.lock'))).toBe(false);
  });

  it('ends when the first host cannot start', async () => {
    const app = writeApp('one');
    writeFileSync(join(app, 'host.json'), 'not json');
    const { code, output } = await runHost({ app, args: ['--watch'] }).exited;
    expect(code).toBe(2);
    expect(output).toContain('host.json');
  });

  it.runIf(process.platform !== 'win32')(
    'runs the build command beside the host, and leaves nothing behind, even when it is killed',
    async () => {
      const app = writeApp();
      writeFileSync(
        join(app, 'build.mjs'),
        `import { writeFileSync } from 'node:fs';
         writeFileSync('build.pid', String(process.pid));
         writeFileSync('index.mjs', ${JSON.stringify(sourceOf('built'))});
         process.stdin.resume().on('end', () => process.exit());`,
      );
      const args = ['--watch', 'node build.mjs'];
      const first = await startHost({ app, args });
      await waitForVersion(first, 'built');
      const firstBuild = pidIn(join(app, 'build.pid'));
      expect(isRunning({ pid: firstBuild })).toBe(true);
      expect(await first.stop()).toBe(0);
      await waitFor(() => !isRunning({ pid: firstBuild }));

      const second = await startHost({ app, args, dataDirectory: first.dataDirectory });
      await waitForVersion(second, 'built');
      const hostPid = second.local.pid;
      // What the first build made is there before the second one is at work.
      const secondBuild = await waitFor(() => {
        const pid = pidIn(join(app, 'build.pid'));
        return pid !== 0 && pid !== firstBuild && pid;
      });
      second.child.kill('SIGKILL');
      await waitFor(() => !isRunning({ pid: hostPid }) && !isRunning({ pid: secondBuild }));
      expect(existsSync(join(second.dataDirectory, 'host.lock'))).toBe(false);
    },
  );

  it('starts the host again when its storage dies, but not twice within a minute', async () => {
    const host = await startHost({ app: writeApp('one'), args: ['--watch'] });
    const lockFile = join(host.dataDirectory, 'host.lock');
    const azuritePid = (): number =>
      (JSON.parse(readFileSync(lockFile, 'utf8')) as { azurite: { pid: number } }).azurite.pid;
    process.kill(azuritePid(), 'SIGKILL');
    await untilSaid(host, 'what storage acknowledged last may be lost');
    await waitForVersion(host, 'one');
    process.kill(azuritePid(), 'SIGKILL');
    expect((await host.exited).code).toBe(1);
  });
});
