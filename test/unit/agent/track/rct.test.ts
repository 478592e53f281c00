// The script for Hyper-V, run by PowerShell through the tracker, against a host in a folder that knows the documented cmdlets,
// classes and methods and nothing else (test/support/hyperv). What the tracker reports is held against what was written.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ProgramTracker } from '../../../../agent/track/program/tracker.ts';
import type { FrozenCycle } from '../../../../agent/track/tracker.ts';
import type { LifeboatError } from '../../../../lib/errors.ts';
import { findMissingTools, titleOf } from '../../../support/tools.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..', '..', '..');
const mib = 1024 * 1024;
const missing = findMissingTools({
  pwsh: 'PowerShell (dotnet tool install --global PowerShell --version 7.6.9)',
  'qemu-img': 'qemu-utils',
  'qemu-io': 'qemu-utils',
});
const controller = '4d9ec1f7-0f4b-4c5c-a4d1-6f9c1d9f0a11';

interface FakeHost {
  vm: { id: string; name: string };
  drives: { path: string; place: string; size: number }[];
  checkpoints: { id: string }[];
  points: { id: string; disks: { rct: string }[] }[];
  writes: { place: string; offset: number; length: number }[];
  jobs: unknown[];
  hasAnswered: boolean;
  fault: string;
}

let folder: string;
let images: { disk: string; path: string; place: string; bytes: Buffer }[];
const statePath = (): string => join(folder, 'state.json');
const readHost = async (): Promise<FakeHost> => JSON.parse(await readFile(statePath(), 'utf8')) as FakeHost;
const writeHost = (host: FakeHost): Promise<void> => writeFile(statePath(), JSON.stringify(host));

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rct-'));
  images = [
    ['os', 17 * mib],
    ['däta', 8 * mib],
  ].map(([disk, size], index) => ({
    disk: `d${index}`,
    path: join(folder, `${String(disk)}.vhdx`),
    place: `${controller}\\0\\${index}`,
    bytes: Buffer.alloc(Number(size)),
  }));
});
afterEach(() => rm(folder, { recursive: true }));

async function makeHost(): Promise<void> {
  for (const { path, bytes } of images)
    await run('qemu-img', ['create', '-q', '-f', 'vhdx', path, String(bytes.length)]);
  await writeHost({
    vm: { id: '8f6f0a3c-1f55-4c6e-9f43-1a50d7d0c001', name: 'web01' },
    drives: images.map(({ path, place, bytes }) => ({ path, place, size: bytes.length })),
    ...{ checkpoints: [], points: [], writes: [], jobs: [], hasAnswered: false, fault: '' },
  });
}

/** The machine writes where it writes now, and Hyper-V keeps track. */
async function write(index: number, offset: number, length: number, pattern: number): Promise<void> {
  const host = await readHost();
  const { place, bytes } = images[index]!;
  const { path } = host.drives.find((drive) => drive.place === place)!;
  await run('qemu-io', ['-f', 'vhdx', '-c', `write -P ${pattern} ${offset} ${length}`, path]);
  bytes.fill(pattern, offset, offset + length);
  host.writes.push({ place, offset, length });
  await writeHost(host);
}

/** What goes wrong from now on. */
const setFault = async (fault: string): Promise<void> => writeHost({ ...(await readHost()), fault });

/** As a new process of the agent has it. */
function openTracker(): ProgramTracker {
  const variables = [
    `PSModulePath=${join(root, 'test', 'support', 'hyperv')}`,
    `LIFEBOAT_FAKE_HYPERV=${folder}`,
    'POWERSHELL_TELEMETRY_OPTOUT=1',
    // Each process lives for a second: measuring itself for later does not pay.
    'DOTNET_TieredPGO=0',
  ];
  const script = [
    join(root, 'agent', 'hyperv', 'rct.ps1'),
    '-VM',
    'web01',
    '-StateFolder',
    join(folder, 'rct'),
  ];
  return new ProgramTracker({
    machine: 'web01',
    disks: images.map(({ disk, path }) => ({ disk, location: path, format: undefined })),
    command: ['env', ...variables, 'pwsh', '-NoProfile', '-NonInteractive', '-File', ...script],
  });
}

const extentsOf = (cycle: FrozenCycle) =>
  cycle.disks.map(({ extents }) => extents.map(({ offsetBytes, lengthBytes }) => [offsetBytes, lengthBytes]));
const contentOf = (cycle: FrozenCycle): Promise<Uint8Array[]> =>
  Promise.all(cycle.disks.map(({ reader }) => reader.read(0, reader.sizeBytes)));

async function expectContent(cycle: FrozenCycle, expected: readonly Buffer[]): Promise<void> {
  const found = await contentOf(cycle);
  expect(expected.map((bytes, index) => bytes.equals(found[index]!))).toEqual([true, true]);
}

// One life of a machine: every start of PowerShell costs a second.
// PowerShell starts some twenty times, a second or two each.
vi.setConfig({ testTimeout: 180_000 });

describe.skipIf(missing !== undefined)(titleOf('the script for Hyper-V', missing), () => {
  it('tells what was written, whatever dies, and never guesses', async () => {
    await makeHost();
    await write(0, 3 * mib, 8192, 1);
    let hyperv = openTracker();
    const first = await hyperv.freeze({});
    expect(first).toMatchObject({ kind: 'full', consistency: 'crash' });
    // What is written now belongs to the next cycle.
    const frozen = images.map(({ bytes }) => Buffer.from(bytes));
    await write(0, 5 * mib - 512, 1024, 2);
    await write(1, 7 * mib, 4096, 3);
    await expectContent(first, frozen);
    await first.confirm();
    const [before] = (await readHost()).points;
    const since = first.reference;

    let cycle = await hyperv.freeze({ since });
    expect(cycle.kind).toBe('changes');
    // The first disk is asked for in pieces of 5 MiB: one write lies across two of them.
    expect(extentsOf(cycle)).toEqual([[[5 * mib - 512, 1024]], [[7 * mib, 4096]]]);
    await expectContent(
      cycle,
      images.map(({ bytes }) => bytes),
    );
    // Given up: the reference stays, and so do the changes.
    await cycle.abort();
    await write(1, 0, 512, 4);
    expect(await readHost()).toMatchObject({ checkpoints: [], points: [{ id: before!.id }] });

    // Dies with a checkpoint that it has not remembered. A new process finds and removes it.
    await setFault('dieAfterCreate');
    await expect(hyperv.freeze({ since })).rejects.toMatchObject({ code: 'SnapshotFailed' });
    const orphan = (await readHost()).checkpoints[0]!;
    await setFault('');
    hyperv = openTracker();
    cycle = await hyperv.freeze({ since });
    expect(extentsOf(cycle)).toEqual([
      [[5 * mib - 512, 1024]],
      [
        [0, 512],
        [7 * mib, 4096],
      ],
    ]);
    const { checkpoints } = await readHost();
    expect(checkpoints).toHaveLength(1);
    expect(checkpoints[0]!.id).not.toBe(orphan.id);

    // Dies during the conversion. A new process finds the reference point that it made, and the one before goes.
    await setFault('dieAfterConvert');
    await expect(cycle.confirm()).rejects.toMatchObject({ code: 'SnapshotFailed' });
    await setFault('');
    await write(1, 512, 512, 8);
    hyperv = openTracker();
    const next = await hyperv.freeze({ since: cycle.reference });
    expect(extentsOf(next)).toEqual([[], [[512, 512]]]);
    await next.abort();
    const host = await readHost();
    expect(host).toMatchObject({ checkpoints: [], drives: images.map(({ path }) => ({ path })) });
    expect(host.points).toHaveLength(1);
    expect(host.points[0]!.id).not.toBe(before!.id);

    const failure = (): Promise<string> =>
      hyperv.freeze({ since: cycle.reference }).then(
        () => 'no failure',
        (error: unknown) => `${(error as LifeboatError).code}: ${(error as Error).message}`,
      );
    await setFault('unknownId');
    expect(await failure()).toMatch(/TrackingLost.*are not known to Hyper-V \(code 32773\)/);
    await setFault('stuck');
    expect(await failure()).toMatch(/SnapshotFailed.*it looked at 0\./);
    await writeHost({ ...host, fault: '', points: [] });
    expect(await failure()).toMatch(/TrackingLost.*has no reference point/);
    await rm(join(folder, 'rct'), { recursive: true });
    expect(await failure()).toMatch(/TrackingLost.*knows of the reference ""/);
    // Nothing is left behind by any of them.
    expect(await readHost()).toMatchObject({ checkpoints: [], points: [] });
  }, 300_000);
});
