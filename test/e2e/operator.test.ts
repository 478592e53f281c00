// The operator's commands, in the order of a first day, against the built app in the local host: no option but what is asked for.
import { randomBytes } from 'node:crypto';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cliFolder, type CliFolder } from '../cli/runCli.ts';
import { startHost, temporaryFolder, type ReadyHost } from '../host/startHost.ts';
import { eventually } from '../support/protectedVm.ts';
import { SourceHost, type Service } from './client.ts';

const root = join(import.meta.dirname, '..', '..');
const mib = 2 ** 20;
const disk = randomBytes(5 * mib);
disk.fill(0, mib, 3 * mib);
let host: ReadyHost;
let source: SourceHost;
let folder: CliFolder;

beforeAll(async () => {
  const dataDirectory = join(temporaryFolder(), '.lifeboat');
  host = await startHost({ app: root, dataDirectory, args: ['--strict'] });
  source = new SourceHost(host.local as unknown as Service);
  folder = await cliFolder();
});
afterAll(async () => {
  await host.stop();
  await folder.remove();
});

/** Runs a command and checks what holds for all: lines that fit, no control characters, one JSON document. */
async function lifeboat(...args: string[]): Promise<string> {
  const here = [...args, '--local', host.dataDirectory];
  const text = await folder.run(here);
  expect(text, args.join(' ')).toMatchObject({ exitCode: 0 });
  for (const line of text.stdout.split('\n')) {
    expect(line.length, line).toBeLessThanOrEqual(80);
    expect(line).not.toMatch(/\p{Cc}/u);
  }
  return text.stdout;
}
const json = async (...args: string[]) => {
  const { exitCode, json: document } = await folder.runJson([...args, '--local', host.dataDirectory]);
  expect(exitCode, args.join(' ')).toBe(0);
  return document;
};

describe('the operator', () => {
  it('sets up, protects, watches, takes back', async () => {
    expect(await lifeboat('item', 'list')).toContain('No machine is protected');
    await lifeboat('site', 'create', 'site1');
    expect((await json('site', 'key', 'site1'))['registrationKey']).toMatch(/^lbreg_/);
    const policy = ['policy', 'set', 'gold'];
    expect(await lifeboat(...policy, '--interval', '300', '--keep-hours', '4', '--daily-days', '7')).toMatch(
      /dailyDays\s+7/,
    );
    expect(await lifeboat(...policy, '--interval', '30')).toMatch(/replicationInterval\s+30/);
    expect(await lifeboat('policy', 'list')).toMatch(/gold\s+30 s\s+4 h/);
    await source.call('PUT', '/agent/v1/sites/site1/inventory', {
      host: { name: 'hv1' },
      machines: [
        {
          id: 'vm-1',
          name: 'The mail server of the whole of the company',
          disks: [{ id: 'os', sizeBytes: disk.length }],
        },
      ],
    });
    const enabled = await json('item', 'enable', 'vm-1', '--site', 'site1', '--policy', 'gold');
    const { jobId } = enabled as { jobId: string };
    expect(await lifeboat('job', 'list')).toContain(jobId);
    await eventually('the disk is open', async () => {
      const { phase } = await source.assignment('vm-1').catch(() => ({ phase: '' }));
      return phase === 'initialReplication' || undefined;
    });
    await source.replicate('vm-1', { os: disk });
    const log = source.cutLog('vm-1', 'os', [{ offset: 4096, data: randomBytes(512) }]);
    await source.putLog('vm-1/000000000001/os.hrl', log);
    const { exitCode } = await folder.run(['job', 'watch', jobId, '--local', host.dataDirectory]);
    expect(exitCode).toBe(0);
    expect(await lifeboat('job', 'show', jobId)).toMatch(/state\s+Completed/);
    await eventually(
      'a recovery point',
      async () => (await lifeboat('recovery-point', 'list', 'vm-1')).includes('CYCLE') || undefined,
    );
    expect(await lifeboat('item', 'list')).toMatch(/vm-1\s+Protected/);
    expect(await lifeboat('item', 'show', 'vm-1')).toMatch(/os\s+5\.0 MiB/);
    expect(await lifeboat('events')).toContain('TIME');
    await lifeboat('rpo', 'vm-1');
    await lifeboat('site', 'list');
  });

  it('brings a recovery point down, also after an interruption, and never what is damaged', async () => {
    const points = await source.points(await itemPath());
    const point = points.at(-1)!;
    const expected = await source.recover(point, 'os', disk.length);
    const file = folder.file('os.raw');
    const args = ['recovery-point', 'download', 'vm-1', file, '--format', 'raw'];
    const first = await json(...args);
    expect((await readFile(file)).equals(expected)).toBe(true);
    expect(first).toMatchObject({ sizeBytes: disk.length, resumedBytes: 0 });
    // What an interrupted download leaves: a part that is damaged in one place, and the journal of what was fetched.
    const part = Buffer.from(expected);
    part[4 * mib] = (part[4 * mib] ?? 0) ^ 1;
    await writeFile(`${file}.part`, part);
    const { createHash } = await import('node:crypto');
    const { disks } = point.properties.providerSpecificDetails;
    const head = JSON.stringify({
      blobName: disks[0]!.blobName,
      snapshotId: disks[0]!.snapshotId,
      kind: 'raw',
    });
    const md5 = (from: number, to: number) =>
      createHash('md5').update(expected.subarray(from, to)).digest('hex');
    await writeFile(`${file}.download`, `${head}\n0 ${md5(0, mib)}\n${3 * mib} ${md5(3 * mib, 5 * mib)}\n`);
    const again = await json(...args);
    expect((await readFile(file)).equals(expected)).toBe(true);
    expect(Number(again['fetchedBytes'])).toBeGreaterThan(0);
    const vhd = folder.file('os.vhd');
    await json('recovery-point', 'download', 'vm-1', vhd);
    const bytes = await readFile(vhd);
    expect(bytes.subarray(0, disk.length).equals(expected)).toBe(true);
    expect(bytes.subarray(-512).toString('latin1', 0, 8)).toBe('conectix');
    await truncate(vhd, 0);
  });

  it('pauses, resumes and disables', async () => {
    await lifeboat('item', 'pause', 'vm-1');
    expect(await lifeboat('item', 'show', 'vm-1')).toMatch(/state\s+Protected, paused/);
    await lifeboat('item', 'resume', 'vm-1');
    await json('item', 'disable', 'vm-1', '--wait');
    expect(await lifeboat('item', 'list')).toContain('No machine is protected');
  });

  it('says what is wrong', async () => {
    const unknown = await folder.runJson(['item', 'show', 'nobody', '--local', host.dataDirectory]);
    expect([unknown.exitCode, (unknown.json['error'] as { code: string }).code]).toEqual([1, 'NotAssigned']);
    const policy = await folder.runJson([
      'policy',
      'set',
      'gold',
      '--interval',
      'often',
      '--local',
      host.dataDirectory,
    ]);
    expect(policy.exitCode).toBe(2);
    const doctor = await folder.runJson(['doctor', '--local', host.dataDirectory]);
    expect(doctor.exitCode).toBe(0);
    const closed = await folder.runJson([
      'doctor',
      '--service',
      'http://127.0.0.1:9',
      '--vault',
      source.service.vaultPath,
      '--key',
      'x',
    ]);
    expect(closed.exitCode).toBe(1);
    const { findings } = closed.json as { findings: { check: string; result: string; action?: string }[] };
    expect(findings.find(({ check }) => check === 'service takes connections')).toMatchObject({
      result: 'bad',
    });
  });

  it('signs in and out, and is not remembered when the key is wrong', async () => {
    const env = { HOME: folder.path, XDG_CONFIG_HOME: folder.path };
    const { adminKey, vaultPath } = source.service;
    const login = ['login', '--service', host.url, '--vault', vaultPath, '--key-stdin'];
    expect((await folder.run(login, { env, stdin: 'wrong' })).exitCode).toBe(4);
    expect((await folder.run(['site', 'list'], { env })).exitCode).toBe(4);
    expect((await folder.run(login, { env, stdin: `${adminKey}\n` })).exitCode).toBe(0);
    expect((await folder.run(['site', 'list'], { env })).stdout).toContain('site1');
    expect((await folder.run(['logout'], { env })).exitCode).toBe(0);
    expect((await folder.run(['site', 'list'], { env })).exitCode).toBe(4);
  });
});

async function itemPath(): Promise<string> {
  const { body } = await source.call('GET', `${source.service.vaultPath}/replicationProtectedItems`);
  return (body as { value: { id: string }[] }).value[0]!.id;
}
