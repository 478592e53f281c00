// The command as one file: copied alone into an empty folder it does what it does in the project, its threads included.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isBuiltin } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { restingDisks } from '../../agent/track/restingDisks.ts';
import { ScanTracker } from '../../agent/track/scan/tracker.ts';

const root = join(import.meta.dirname, '..', '..');
const built = join(root, 'dist', 'cli', 'lifeboat.mjs');
const mib = 1024 * 1024;
let folder: string;
let program: string;
const at = (...names: string[]): string => join(folder, ...names);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-alone-'));
  // A folder of its own, below nothing that has packages.
  mkdirSync(at('bin'));
  program = at('bin', 'lifeboat.mjs');
  copyFileSync(built, program);
  const base = randomBytes(9 * mib + 512);
  base.fill(0, 2 * mib, 5 * mib);
  writeFileSync(at('base.raw'), base);
  base.write('changed', 70_000);
  writeFileSync(at('changed.raw'), base);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function lifeboat(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const options = { cwd: folder, env: {} };
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [program, ...args], options)) };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

it('tells its version, and stays alone', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  expect(await lifeboat('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  expect(readdirSync(at('bin'))).toEqual(['lifeboat.mjs']);
});

it('is the same bytes when it is built again, and imports nothing but Node', async () => {
  const { buildCommand } = (await import(join(root, 'scripts', 'commandBundle.mjs'))) as {
    buildCommand: (folder: string) => Promise<void>;
  };
  await buildCommand(at('again'));
  const text = readFileSync(program, 'utf8');
  expect(readFileSync(at('again', 'lifeboat.mjs'), 'utf8') === text).toBe(true);
  expect(text).not.toContain(root);
  const names = [...text.matchAll(/\b(?:import\b[^;"()]*?\bfrom|require\()\s*["']([^"']+)["']/g)].map(
    ([, name]) => name!,
  );
  expect(names).toEqual(expect.arrayContaining(['node:vm', 'node:worker_threads']));
  // What is compiled as a function cannot import.
  expect(text).not.toMatch(/\bimport\(/);
  // The package debug asks for it and does without.
  expect(new Set(names.filter((name) => !isBuiltin(name)))).toEqual(new Set(['supports-color']));
  expect(readFileSync(at('again', 'THIRD-PARTY-LICENSES.txt'), 'utf8')).toContain('commander');
});

it('makes and shows logs', async () => {
  const made = await lifeboat(
    'hrl',
    'create',
    '--base',
    'base.raw',
    '--changed',
    'changed.raw',
    '--out',
    'd.hrl',
  );
  expect(made).toMatchObject({ code: 0, stderr: '' });
  const shown = await lifeboat('hrl', 'inspect', 'd.hrl', '--json');
  expect(JSON.parse(shown.stdout)).toMatchObject({ entryCount: 1 });
  copyFileSync(at('base.raw'), at('target.raw'));
  expect(await lifeboat('hrl', 'apply', 'd.hrl', 'target.raw')).toMatchObject({ code: 0 });
  expect(readFileSync(at('target.raw')).equals(readFileSync(at('changed.raw')))).toBe(true);
});

/** A service that has one machine to be copied. `onFrozen` runs while the agent holds the frozen state. */
async function startService(sizeBytes: number, onFrozen: () => void) {
  let url = '';
  const soon = new Date(Date.now() + 3_600_000).toISOString();
  const uploadUrl = (): string => `${url}/replicas/vm-1/os.vhd?sig=x`;
  const assignments = () => ({
    value: [
      {
        ...{
          item: 'vm-1',
          site: 'berlin',
          machine: 'vm-1',
          machineName: 'vm-1',
          phase: 'initialReplication',
        },
        ...{ replicationHealth: 'Normal', appliedCycle: 0, nextCycle: 1, snapshot: 'requested' },
        disks: [
          {
            ...{ disk: 'os', name: 'os', sizeBytes },
            initialReplication: {
              ...{ state: 'pending', blobName: 'vm-1/os.vhd', blobSizeBytes: sizeBytes },
              ...{ uploadUrl: uploadUrl(), expiresAt: soon },
            },
            delta: {
              ...{ blobName: 'vm-1/000000000001/os.hrl', isUploaded: false, previousUniqueId: null },
              ...{ uploadUrl: uploadUrl(), expiresAt: soon },
            },
          },
        ],
      },
    ],
  });
  const answer = ({ method, url: path = '' }: IncomingMessage, response: ServerResponse): void => {
    response.setHeader('content-type', 'application/json');
    if (path.startsWith('/agent/v1/assignments')) return void response.end(JSON.stringify(assignments()));
    if (method === 'POST' && path.endsWith('/snapshot')) onFrozen();
    if (path.startsWith('/replicas')) response.statusCode = 403;
    response.end('{}');
  };
  const server = createServer(
    (request, response) => void request.resume().on('end', () => answer(request, response)),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    stop(): void {
      server.closeAllConnections();
      server.close();
    },
  };
}

it('scans a disk in two threads, as an agent does', async () => {
  let reference: string | undefined;
  const service = await startService(9 * mib + 512, () => {
    if (reference !== undefined) return;
    const scan = at('state', 'machines', 'vm-1', 'scan');
    [reference = ''] = readdirSync(scan);
    cpSync(scan, at('scan'), { recursive: true });
  });
  writeFileSync(at('key'), 'k');
  writeFileSync(
    at('agent.yaml'),
    `service: { url: "${service.url}", keyFile: key }
site: berlin
stateFolder: state
pollSeconds: 1
machines:
  - id: vm-1
    tracker: { kind: scan, workers: 2 }
    disks: [{ id: os, path: base.raw }]
`,
  );
  try {
    expect(await lifeboat('agent', 'status')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('No agent has run') as string,
    });
    expect(await lifeboat('agent', 'check')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('good') as string,
    });
    const agent = spawn(process.execPath, [program, 'agent', 'run'], { cwd: folder, env: {}, stdio: 'pipe' });
    let said = '';
    agent.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      // Once: a second one would mean "now".
      if (reference !== undefined && !agent.killed) agent.kill('SIGTERM');
    });
    const [code] = (await once(agent, 'close')) as [number | null];
    expect({ code, said }).toMatchObject({
      code: 0,
      said: expect.stringContaining('tracked by scan') as string,
    });
    // What it remembers of the disk is right: without threads the same disk has no changes since, and another one its own.
    for (const [location, extents] of [
      ['base.raw', []],
      ['changed.raw', [{ offsetBytes: 69_632, lengthBytes: 4096 }]],
    ] as const) {
      const views = restingDisks([{ disk: 'os', location: at(location), format: 'raw' }]);
      await using tracker = new ScanTracker({ folder: at('scan'), views, workers: 0 });
      const cycle = await tracker.freeze({ since: reference });
      expect(cycle.disks[0]?.extents).toEqual(extents);
      await cycle.abort();
    }
    const status = await lifeboat('agent', 'status', '--json');
    expect(JSON.parse(status.stdout)).toMatchObject({ isRunning: false, status: { items: [] } });
  } finally {
    service.stop();
  }
});
