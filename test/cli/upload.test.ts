// `lifeboat upload` against the real API and Azurite, through really signed URLs; what counts is what lies in storage.
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { drainItem } from '../../lib/replication/drain.ts';
import { formatDeltaName, replicaName } from '../../lib/replication/names.ts';
import { azureStorage } from '../../lib/storage/azure/index.ts';
import { formatFixedVhdFooter } from '../../lib/vhd/fixed.ts';
import { startAzurite, type RunningAzurite } from '../support/azurite.ts';
import { ProtectedVm } from '../support/protectedVm.ts';
import { cliFolder, type CliFolder, type CliResult } from './runCli.ts';
import { serviceKey, startService, type ServiceFixture } from './serviceFixture.ts';

const mib = 1024 * 1024;
let azurite: RunningAzurite;
let storage: ReturnType<typeof azureStorage>;
let folder: CliFolder;
let vm: ProtectedVm;
let service: ServiceFixture;
let vmCount = 0;

beforeAll(async () => {
  azurite = await startAzurite();
  storage = azureStorage({ connectionString: azurite.connectionString });
  await storage.ensureContainers();
});
afterAll(() => azurite.stop());

beforeEach(async () => {
  folder = await cliFolder();
  vm = new ProtectedVm({ item: `vm-${++vmCount}`, diskSizes: [9 * mib + 4096, mib], storage });
  // Data on both sides of a write boundary, and a hole that is longer than the shortest that is skipped.
  vm.disks[0]!.set(randomBytes(3 * mib), 3 * mib);
  vm.disks[0]!.fill(0, 7 * mib, 8 * mib);
  await vm.startInitialReplication();
  service = await startService(vm.context, storage.signer);
  for (const [index, bytes] of vm.disks.entries()) await writeFile(folder.file(`disk${index}.raw`), bytes);
});
afterEach(async () => {
  await service.stop();
  await folder.remove();
});

const target = (disk: string): string[] => ['--item', vm.item, '--disk', disk, '--service', service.url];
const env = { LIFEBOAT_KEY: serviceKey };
const upload = (...args: string[]) => folder.runJson(['upload', ...args], { env });
const readReplica = (disk: number): Promise<Uint8Array> =>
  storage.replicas.read(replicaName(vm.item, `disk${disk}`), {
    offsetBytes: 0,
    lengthBytes: vm.disks[disk]!.length,
  });

function expectError(
  result: CliResult & { json: Record<string, unknown> },
  exitCode: number,
  code: string,
): void {
  expect([result.exitCode, (result.json['error'] as { code: string }).code]).toEqual([exitCode, code]);
  expect(result.stdout + result.stderr).not.toContain('sig=');
}

async function uploadBothDisks(): Promise<void> {
  for (const disk of [0, 1])
    expect(await upload('disk', `disk${disk}.raw`, ...target(`disk${disk}`))).toMatchObject({ exitCode: 0 });
}

/** Cuts a cycle of the model and writes its logs to files. */
async function cutFiles(): Promise<void> {
  const cycle = vm.history.length === 0 ? (vm.history.push([]), 1) : vm.history.length;
  for (const [index, { bytes }] of vm.cutCycle().entries())
    await writeFile(folder.file(`${cycle}-${index}.hrl`), bytes);
}

describe('upload disk', () => {
  it('makes the replica equal to the file and completes it', async () => {
    const first = await upload('disk', 'disk0.raw', ...target('disk0'));
    expect(first.json).toMatchObject({
      diskBytes: 9 * mib + 4096,
      completed: true,
      remainingDisks: ['disk1'],
    });
    expect(Buffer.from(await readReplica(0)).equals(vm.disks[0]!)).toBe(true);
    expect((await vm.record()).disks[0]?.arrivedAt).not.toBeNull();
    expectError(await upload('disk', 'disk0.raw', ...target('disk0')), 1, 'NotAssigned');
  });

  it('removes what an earlier, different upload left, and takes a fixed VHD', async () => {
    const old = randomBytes(9 * mib + 4096);
    await writeFile(folder.file('old.raw'), old);
    const kept = await upload('disk', 'old.raw', ...target('disk0'), '--no-complete');
    expect(kept.json).toMatchObject({ completed: false, remainingDisks: null, writtenBytes: old.length });
    expect((await vm.record()).disks[0]?.arrivedAt).toBeNull();
    await upload('disk', 'disk0.raw', ...target('disk0'));
    expect(Buffer.from(await readReplica(0)).equals(vm.disks[0]!)).toBe(true);

    const uniqueId = '11111111-2222-3333-4444-555555555555';
    const footer = formatFixedVhdFooter({ sizeBytes: mib, uniqueId, createdAt: new Date() });
    await writeFile(folder.file('disk1.vhd'), Buffer.concat([vm.disks[1]!, footer]));
    expect(await upload('disk', 'disk1.vhd', ...target('disk1'))).toMatchObject({ exitCode: 0 });
    expect(Buffer.from(await readReplica(1)).equals(vm.disks[1]!)).toBe(true);
  });

  it('does not send zeros', async () => {
    const sparse = Buffer.alloc(9 * mib + 4096);
    sparse.fill(5, 5 * mib, 6 * mib);
    await writeFile(folder.file('sparse.raw'), sparse);
    const { json } = await upload('disk', 'sparse.raw', ...target('disk0'));
    expect(json).toMatchObject({ writtenBytes: mib, writeRequests: 1 });
    expect(Buffer.from(await readReplica(0)).equals(sparse)).toBe(true);
  });

  it('passes on what the source vouches for', async () => {
    const moment = '2026-03-04T05:06:07.000Z';
    for (const disk of [0, 1])
      await upload('disk', `disk${disk}.raw`, ...target(`disk${disk}`), '--point-in-time', moment);
    vm.history.push(vm.disks.map((bytes) => bytes.slice()));
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([0]);
    expect((await vm.points())[0]?.takenAt).toBe(moment);
  });

  it('names what does not fit', async () => {
    expectError(await upload('disk', 'disk1.raw', ...target('disk0')), 1, 'DiskSizeMismatch');
    expectError(await upload('disk', 'disk0.raw', ...target('disk7')), 1, 'NotAssigned');
    const other = ['--item', 'nobody', '--disk', 'disk0', '--service', service.url];
    expectError(await upload('disk', 'disk0.raw', ...other), 1, 'NotAssigned');
  });
});

describe('upload log', () => {
  it('delivers cycles whose recovery points equal the source', async () => {
    await uploadBothDisks();
    for (const cycle of [1, 2]) {
      await cutFiles();
      for (const disk of [0, 1]) {
        const options = ['--cycle', String(cycle), '--taken-at', `2026-01-01T0${cycle}:00:00Z`];
        const kind = ['--consistency', 'application'];
        const sent = await upload(
          'log',
          `${cycle}-${disk}.hrl`,
          ...target(`disk${disk}`),
          ...options,
          ...kind,
        );
        expect(sent.json).toMatchObject({ cycle, entryCount: 12 });
      }
      await drainItem(vm.context, vm.item);
    }
    expect(await vm.verifiedCycles()).toEqual([1, 2]);
    expect((await vm.points())[1]).toMatchObject({
      takenAt: '2026-01-01T02:00:00.000Z',
      takenAtFrom: 'source',
      consistency: 'application',
    });
  });

  it('sends nothing that the service would refuse', async () => {
    await uploadBothDisks();
    await cutFiles();
    await cutFiles();
    await upload('log', '1-0.hrl', ...target('disk0'));
    await upload('log', '1-1.hrl', ...target('disk1'));
    await drainItem(vm.context, vm.item);
    expectError(await upload('log', '1-0.hrl', ...target('disk0')), 3, 'LogChainBroken');
    expectError(await upload('log', '2-0.hrl', ...target('disk0'), '--cycle', '1'), 1, 'LogExists');
    expectError(await upload('log', '2-0.hrl', ...target('disk0'), '--cycle', '4'), 1, 'NotAssigned');
    await writeFile(folder.file('cut.hrl'), Buffer.alloc(100));
    expectError(await upload('log', 'cut.hrl', ...target('disk0')), 3, 'LogNotHrl');
    expectError(await upload('log', '2-0.hrl', ...target('disk1')), 3, 'LogChainBroken');
    expect(await vm.pendingNames()).toEqual([]);
    expect(await upload('log', '2-0.hrl', ...target('disk0'))).toMatchObject({ exitCode: 0 });
    expectError(await upload('log', '2-0.hrl', ...target('disk0')), 1, 'LogExists');
    expect(await vm.pendingNames()).toEqual([formatDeltaName({ item: vm.item, cycle: 2, disk: 'disk0' })]);
  });
});

describe('finding the service', () => {
  const about = () => ['upload', 'log', 'any.hrl', '--item', vm.item, '--disk', 'disk0'];
  beforeEach(() => writeFile(folder.file('any.hrl'), 'x'));

  it('says that no local service runs', async () => {
    expectError(await folder.runJson(about()), 4, 'LocalServiceNotRunning');
    expectError(await folder.runJson([...about(), '--local', 'elsewhere']), 4, 'LocalServiceNotRunning');
  });

  it('reads local.json', async () => {
    await mkdir(folder.file('data'));
    const local = {
      url: service.url,
      adminKey: serviceKey,
      vaultPath: '/v',
      storageConnectionString: 'none',
    };
    await writeFile(folder.file('data/local.json'), JSON.stringify(local));
    // The service was reached when it says that the file is no log.
    expectError(await folder.runJson([...about(), '--local', 'data']), 3, 'LogNotHrl');
    await writeFile(folder.file('data/local.json'), '{ half');
    expectError(await folder.runJson([...about(), '--local', 'data']), 4, 'LocalServiceNotRunning');
  });

  it('refuses to guess a key, and reports a refused one', async () => {
    expect(await folder.run([...about(), '--service', service.url])).toMatchObject({ exitCode: 2 });
    const wrong = await folder.runJson([...about(), '--service', service.url, '--key', 'wrong']);
    expectError(wrong, 4, 'Unauthorized');
    expect(wrong.stdout).not.toContain(serviceKey);
    const environment = { LIFEBOAT_URL: service.url, LIFEBOAT_KEY: serviceKey };
    expectError(await folder.runJson(about(), { env: environment }), 3, 'LogNotHrl');
  });

  it('says that nobody answers', async () => {
    const { url } = service;
    await service.stop();
    const result = await folder.runJson([...about(), '--service', url, '--key', 'k']);
    expectError(result, 4, 'ServiceUnreachable');
    expect(result.stdout).toContain('ECONNREFUSED');
    service = await startService(vm.context, storage.signer);
  });
});
