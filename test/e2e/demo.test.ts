// `npm run demo` as people run it: what it prints, its exit code, and that nothing is left behind.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hasQemu } from '../support/bootSector.ts';
import { eventually } from '../support/protectedVm.ts';

const program = join(import.meta.dirname, '..', '..', 'dist', 'demo', 'main.mjs');
let folder: string;

beforeEach(async () => {
  if (!existsSync(program))
    throw new Error(`${program} is missing: run "npm test", or "npm run build" before.`);
  folder = await mkdtemp(join(tmpdir(), 'lifeboat-demo-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function startDemo(...args: string[]) {
  const env = { ...process.env, TMPDIR: folder };
  const child = spawn(process.execPath, [program, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  // `close`, not `exit`: all that it printed has then been read.
  const exited = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  return { child, exited, output: () => output };
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe.skipIf(process.platform === 'win32')('the demo', () => {
  it(
    'proves five recovery points of two disks, boots two of a third, and cleans up',
    { timeout: 180_000 },
    async () => {
      const demo = startDemo();
      const [exitCode] = await demo.exited;
      expect([exitCode, exitCode === 0 ? '' : demo.output()]).toEqual([0, '']);
      const rows = demo
        .output()
        .split('\n')
        .filter((line) => /^[0-9a-f]{8} /.test(line))
        .map((line) => line.split(/\s+/));
      expect(rows.map(([, cycle, , disk, , equal, vhd]) => [cycle, disk, equal, vhd])).toEqual(
        ['1', '2', '3', '4', '5'].flatMap((cycle) => [
          [cycle, 'system', 'yes', 'ok'],
          [cycle, 'data', 'yes', 'ok'],
        ]),
      );
      expect(demo.output()).toContain('Cycle 3 waits for');
      const shown = [...demo.output().matchAll(/serial console says: "(.*)"/g)].map(([, line]) => line);
      expect(shown).toEqual(
        hasQemu() ? ['written before cycle 2; login:', 'written before cycle 1; login:'] : [],
      );
      expect(demo.output()).toContain(hasQemu() ? 'Boot drill passed' : 'Boot drill skipped: qemu');
      expect(demo.output()).not.toContain('sig=');
      for (const line of demo.output().split('\n')) expect(line.length).toBeLessThanOrEqual(80);
      expect(await readdir(folder)).toEqual([]);
    },
  );

  it('an interrupt stops the service and removes everything', { timeout: 120_000 }, async () => {
    const demo = startDemo('--plain');
    const hostPid = await eventually('the service is ready', async () => {
      const [name] = await readdir(folder);
      const text = await readFile(join(folder, name ?? '', 'lifeboat', 'local.json'), 'utf8').catch(
        () => undefined,
      );
      return text === undefined ? undefined : (JSON.parse(text) as { pid: number }).pid;
    });
    expect(isAlive(hostPid)).toBe(true);
    demo.child.kill('SIGINT');
    expect([await demo.exited, demo.output()]).toEqual([[130, null], expect.stringContaining('Interrupted')]);
    expect(isAlive(hostPid)).toBe(false);
    expect(await readdir(folder)).toEqual([]);
  });
});
