// The built command as a process: what only the operating system can do to it. `npm test` builds it first.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const program = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'lifeboat.mjs');
const mib = 1024 * 1024;
let folder: string;

beforeEach(async () => {
  if (!existsSync(program))
    throw new Error(`${program} is missing: run "npm test", or "npm run build" before.`);
  folder = await mkdtemp(join(tmpdir(), 'lifeboat-process-'));
  await writeFile(join(folder, 'base.raw'), Buffer.alloc(4 * mib));
  await writeFile(join(folder, 'changed.raw'), Buffer.alloc(4 * mib, 1));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

function run(command: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: folder }, (error, stdout, stderr) => {
      resolve({
        exitCode: error === null ? 0 : typeof error.code === 'number' ? error.code : null,
        stdout,
        stderr,
      });
    });
  });
}

const lifeboat = (...args: string[]): Promise<Ended> => run(process.execPath, [program, ...args]);
/** With a limit on the size of files, in KiB: writing beyond it fails as on a full disk. */
const limited = (limitKib: number, ...args: string[]): Promise<Ended> =>
  run('bash', ['-c', `ulimit -f ${limitKib}; exec "$@"`, 'bash', process.execPath, program, ...args]);

const createArgs = ['hrl', 'create', '--base', 'base.raw', '--changed', 'changed.raw', '--out', 'delta.hrl'];

describe.skipIf(process.platform === 'win32')('the command as a process', () => {
  it('works from arguments to exit code', async () => {
    expect(await lifeboat(...createArgs)).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await lifeboat('hrl', 'apply', 'delta.hrl', 'base.raw')).toMatchObject({ exitCode: 0 });
    const [base, changed] = await Promise.all(
      ['base.raw', 'changed.raw'].map((name) => readFile(join(folder, name))),
    );
    expect(base!.equals(changed!)).toBe(true);
    expect(await lifeboat('hrl', 'verify', 'base.raw')).toMatchObject({ exitCode: 3, stdout: '' });
  });

  it('a full disk is named and leaves no half log', async () => {
    const { exitCode, stdout } = await limited(1024, ...createArgs, '--json');
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'OutputFull' } });
    expect((await readdir(folder)).sort()).toEqual(['base.raw', 'changed.raw']);
  });

  it('a full disk while applying says that the image is not consistent, and leaves no half image that is new', async () => {
    await lifeboat(...createArgs);
    await writeFile(join(folder, 'short.raw'), Buffer.alloc(mib));
    const apply = (image: string) => limited(1024, 'hrl', 'apply', 'delta.hrl', image, '--size', '4MiB');
    const inPlace = await apply('short.raw');
    expect(inPlace.exitCode).toBe(1);
    expect(inPlace.stderr).toContain('OutputFull');
    expect(inPlace.stderr).toContain('apply the log again');
    const fresh = await apply('new.raw');
    expect(fresh.exitCode).toBe(1);
    expect(fresh.stderr).toContain('Nothing was left behind');
    expect((await readdir(folder)).sort()).toEqual(['base.raw', 'changed.raw', 'delta.hrl', 'short.raw']);
  });

  /** Kills the command as soon as its unfinished output is there; again if it was done before that was seen. */
  async function killWhileWriting(args: readonly string[], stdin: string, out: string): Promise<void> {
    for (;;) {
      const child = spawn(process.execPath, [program, ...args], {
        cwd: folder,
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      const ended = once(child, 'exit');
      child.stdin.end(stdin);
      const isWriting = async (): Promise<boolean> =>
        (await readdir(folder)).some((name) => name.startsWith(`.${out}.`));
      while (child.exitCode === null && !(await isWriting()));
      child.kill('SIGKILL');
      const [exitCode, signal] = (await ended) as [number | null, string | null];
      if (signal === 'SIGKILL') return;
      expect(exitCode).toBe(0);
      await rm(join(folder, out));
    }
  }

  it('kill -9 leaves nothing under the name of the output, and is made good by running the command again', async () => {
    const sizeBytes = 1024 * mib;
    await truncate(join(folder, 'changed.raw'), sizeBytes);
    const extents = JSON.stringify([{ offset: 0, length: sizeBytes }]);
    await killWhileWriting(
      ['hrl', 'create', '--extents', '-', '--changed', 'changed.raw', '--out', 'delta.hrl'],
      extents,
      'delta.hrl',
    );
    const [part = '', ...others] = (await readdir(folder)).sort();
    expect([part.startsWith('.delta.hrl.'), others]).toEqual([true, ['base.raw', 'changed.raw']]);
    const { exitCode, stderr } = await lifeboat('hrl', 'verify', part);
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/LogNotClosed|LogNotHrl|LogTruncated/);

    await truncate(join(folder, 'changed.raw'), 4 * mib);
    expect(await lifeboat(...createArgs)).toMatchObject({ exitCode: 0 });
    const size = `${sizeBytes / mib}MiB`;
    await killWhileWriting(['hrl', 'apply', 'delta.hrl', 'new.raw', '--size', size], '', 'new.raw');
    expect(await readdir(folder)).not.toContain('new.raw');
    expect(await lifeboat('hrl', 'apply', 'delta.hrl', 'new.raw', '--size', '4MiB')).toMatchObject({
      exitCode: 0,
    });
    const [made, changed] = await Promise.all(
      ['new.raw', 'changed.raw'].map((name) => readFile(join(folder, name))),
    );
    expect(made!.equals(changed!)).toBe(true);
  });

  it.skipIf(!existsSync('/dev/full'))('output that cannot be written is a failure', async () => {
    await lifeboat(...createArgs);
    await using full = await open('/dev/full', 'w');
    const child = spawn(process.execPath, [program, 'hrl', 'inspect', 'delta.hrl'], {
      cwd: folder,
      stdio: ['ignore', full.fd, 'ignore'],
    });
    expect(await once(child, 'exit')).toEqual([1, null]);
  });

  it('a reader that stops reading is no failure', async () => {
    await lifeboat(...createArgs);
    const { exitCode, stdout, stderr } = await run('bash', [
      '-c',
      'set -o pipefail; "$0" "$1" hrl inspect delta.hrl --entries | true',
      ...[process.execPath, program],
    ]);
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  });

  it('a reader that stops reading does not make a failure a success', async () => {
    await lifeboat(...createArgs);
    const unread = (args: string) =>
      run('bash', ['-c', `set -o pipefail; "$0" "$1" ${args} | true`, process.execPath, program]);
    expect(await unread('hrl verify base.raw --json')).toMatchObject({ exitCode: 3 });
    expect(await unread('hrl diff base.raw delta.hrl --json')).toMatchObject({ exitCode: 3 });
    await lifeboat('hrl', 'create', '--base', 'base.raw', '--changed', 'base.raw', '--out', 'none.hrl');
    expect(await unread('hrl diff none.hrl delta.hrl --all')).toMatchObject({ exitCode: 1 });
    expect(await unread('hrl diff delta.hrl delta.hrl')).toMatchObject({ exitCode: 0 });
  });

  it('Ctrl-C while it waits exits with 130', async () => {
    const args = ['hrl', 'create', '--extents', '-', '--changed', 'changed.raw', '--out', 'delta.hrl'];
    const child = spawn(process.execPath, [program, ...args], {
      cwd: folder,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    // Reading stdin means that the command is at work and its signal handler is there.
    await new Promise((resolve) => child.stdin.write(`${' '.repeat(mib)}[`, resolve));
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([130, null]);
    expect(stderr).toContain('Interrupted');
    expect((await readdir(folder)).sort()).toEqual(['base.raw', 'changed.raw']);
  });
});
