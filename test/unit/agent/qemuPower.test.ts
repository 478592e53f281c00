// "Nobody listens" says that a machine has ended and its disks are at rest; a socket that cannot be asked must not say so.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { qemuPower } from '../../../agent/power/qemuPower.ts';
import { isListening } from '../../../agent/qmp/listening.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lb-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const power = (qmpSocketPath: string) => qemuPower({ qmpSocketPath, timeoutSeconds: 1 });

async function listen(path: string): Promise<net.Server> {
  const server = net.createServer((socket) => socket.on('error', () => undefined));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

describe.skipIf(process.platform === 'win32')('whether anybody listens at a socket', () => {
  it('is seen by connecting: somebody, nobody any more, nobody ever', async () => {
    const path = join(folder, 'qmp');
    expect(await isListening(path)).toBe(false);
    const server = await listen(path);
    expect(await isListening(path)).toBe(true);
    await new Promise((resolve) => server.close(resolve));
    expect(await isListening(path)).toBe(false);
    await writeFile(path, 'left behind');
    expect(await isListening(path)).toBe(false);
    expect(await power(path).isRunning()).toBe(false);
    await power(path).letGo!();
  });

  const unclear: [string, () => Promise<string>][] = [
    [
      'a loop of links',
      async () => {
        await symlink('loop', join(folder, 'loop'));
        return join(folder, 'loop');
      },
    ],
    [
      'a path through a file',
      async () => {
        await writeFile(join(folder, 'file'), '');
        return join(folder, 'file', 'qmp');
      },
    ],
    [
      'a path that the system would cut, to one that nobody listens at',
      async () => {
        const long = join(folder, 'x'.repeat(90));
        await mkdir(long);
        return join(long, 'qmp');
      },
    ],
  ];
  it.each(unclear)('is not known of %s: the machine does not count as ended', async (_what, prepare) => {
    const path = await prepare();
    const refusal = {
      code: 'SourceUnavailable',
      target: path,
      message: expect.stringContaining(path) as string,
    };
    await expect(isListening(path)).rejects.toMatchObject(refusal);
    await expect(power(path).isRunning()).rejects.toMatchObject(refusal);
    await expect(power(path).letGo!()).rejects.toMatchObject(refusal);
  });
});
