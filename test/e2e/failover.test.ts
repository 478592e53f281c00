// Failover on the built app in the local host, by a source host with none of our code: a drill that boots the machine in QEMU and
// finds the marker written before the last cycle, and the full circle to a recovered machine and home again.
import { BlobClient } from '@azure/storage-blob';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startHost, temporaryFolder, type ReadyHost } from '../host/startHost.ts';
import { bootableDisk, hasQemu, markerSector, sectorBytes } from '../support/bootSector.ts';
import { eventually } from '../support/protectedVm.ts';
import { SourceHost, type Service } from './client.ts';

const root = join(import.meta.dirname, '..', '..');
const mebibyte = 2 ** 20;
const item = 'vm-1';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const start = async (env: Record<string, string>): Promise<{ host: ReadyHost; source: SourceHost }> => {
  const dataDirectory = join(temporaryFolder(), 'data');
  const host = await startHost({ app: root, dataDirectory, args: ['--strict'], env });
  return { host, source: new SourceHost(host.local as unknown as Service) };
};

/** Sends a verb of the item and waits until its job is over. Returns the job's id. */
async function act(source: SourceHost, itemPath: string, verb: string, properties?: object): Promise<string> {
  const id = await begin(source, itemPath, verb, properties);
  await jobOver(source, id);
  return id;
}

async function begin(
  source: SourceHost,
  itemPath: string,
  verb: string,
  properties?: object,
): Promise<string> {
  const answer = await source.call('POST', `${itemPath}/${verb}`, properties && { properties });
  expect(answer.status, `${verb}: ${JSON.stringify(answer.body)}`).toBe(202);
  return /operationresults\/([^?]+)/.exec(answer.headers.get('location') ?? '')?.[1] ?? '';
}

const jobOver = (source: SourceHost, id: string) =>
  eventually(
    `job ${id} succeeds`,
    async () => {
      const { body } = await source.call('GET', `${source.service.vaultPath}/replicationJobs/${id}`);
      const { state, errors } = (body as { properties: { state: string; errors: unknown } }).properties;
      if (state === 'Failed' || state === 'Cancelled') throw new Error(`${state}: ${JSON.stringify(errors)}`);
      return state === 'Succeeded' ? true : undefined;
    },
    150,
  );

const propertiesOf = async (source: SourceHost, itemPath: string): Promise<Record<string, unknown>> =>
  ((await source.call('GET', itemPath)).body as { properties: Record<string, unknown> }).properties;

const blobsIn = async (source: SourceHost, container: string): Promise<string[]> => {
  const names: string[] = [];
  for await (const { name } of source.storage.getContainerClient(container).listBlobsFlat()) names.push(name);
  return names;
};

const awaitState = (source: SourceHost, itemPath: string, state: string) =>
  eventually(`state ${state}`, async () =>
    (await propertiesOf(source, itemPath))['protectionState'] === state ? true : undefined,
  );

describe('failover', () => {
  it.skipIf(!hasQemu())(
    'a test failover boots the replica: the marker of the last cycle, and of an older one',
    async () => {
      const { host, source } = await start({
        ...{ LIFEBOAT_COMPUTE: 'qemu', LIFEBOAT_QEMU_MEMORY_MB: '64' },
        LIFEBOAT_QEMU_FOLDER: join(temporaryFolder(), 'machines'),
      });
      const marker = (cycle: number): string => `written before cycle ${cycle}; login:`;
      const disk = bootableDisk(2 * mebibyte, marker(0));
      const itemPath = await source.protect(item, { os: disk.length });
      await source.call('PUT', '/agent/v1/sites/site1/inventory', {
        host: { name: 'hv1' },
        machines: [
          { id: item, name: 'web01', generation: '1', disks: [{ id: 'os', sizeBytes: disk.length }] },
        ],
      });
      await source.replicate(item, { os: disk });
      for (const cycle of [1, 2]) {
        const log = source.cutLog(item, 'os', [
          { offset: sectorBytes, data: Buffer.from(markerSector(marker(cycle))) },
        ]);
        await source.putLog(`${item}/${String(cycle).padStart(12, '0')}/os.hrl`, log);
      }
      const points = await source.awaitPoints(itemPath, 2);
      await awaitState(source, itemPath, 'Protected');
      for (const [cycle, recoveryPointId] of [
        [2, null],
        [1, points[0]!.name],
      ] as const) {
        const providerSpecificDetails = { instanceType: 'HyperVReplicaAzure', recoveryPointId };
        const job = await act(source, itemPath, 'testFailover', { providerSpecificDetails });
        const { body: report } = await source.call('GET', `/lifeboat/v1/items/${item}/reports/${job}/json`);
        expect(report).toMatchObject({
          ...{ verdict: 'passed', provider: 'qemu', recoveryPoint: { cycle } },
          boot: { verdict: 'booted', evidenceLine: marker(cycle) },
        });
        expect(await propertiesOf(source, itemPath)).toMatchObject({
          ...{ protectionState: 'Protected', testFailoverState: 'TestFailoverCompleted' },
        });
        await act(source, itemPath, 'testFailoverCleanup', { comments: 'seen' });
        expect(await blobsIn(source, 'recovered')).toEqual([]);
      }
      expect(await host.stop()).toBe(0);
    },
  );

  it('goes the full circle: planned failover, changes, failback, and deltas without a second copy', async () => {
    const { host, source } = await start({ LIFEBOAT_COMPUTE: 'vhd' });
    const disk = randomBytes(3 * mebibyte);
    const itemPath = await source.protect(item, { os: disk.length });
    await source.replicate(item, { os: disk });
    const cycle = async (number: number): Promise<void> => {
      const data = randomBytes(4096);
      data.copy(disk, number * 65536);
      await source.putLog(
        `${item}/${String(number).padStart(12, '0')}/os.hrl`,
        source.cutLog(item, 'os', [{ offset: number * 65536, data }]),
      );
    };
    await cycle(1);
    await source.awaitPoints(itemPath, 1);
    await awaitState(source, itemPath, 'Protected');
    const planned = await begin(source, itemPath, 'plannedFailover', {
      failoverDirection: 'PrimaryToRecovery',
    });
    await eventually('the source is asked to shut down', async () =>
      (await source.assignment(item)).phase === 'shuttingDown' ? true : undefined,
    );
    await cycle(2);
    const stopped = await source.call('POST', `/agent/v1/items/${item}/failover/stopped`, { finalCycle: 2 });
    expect(stopped.status).toBe(200);
    await jobOver(source, planned);
    const recovered = source.storage
      .getContainerClient('recovered')
      .getPageBlobClient(`${item}/${planned}/os.vhd`);
    expect(sha256(await recovered.downloadToBuffer(0, disk.length))).toBe(sha256(disk));
    expect(await blobsIn(source, 'recovered')).toContain(`${item}/${planned}/machine.bicep`);
    expect(await propertiesOf(source, itemPath)).toMatchObject({
      ...{
        activeLocation: 'Recovery',
        allowedOperations: ['DisableProtection', 'Commit', 'ChangePit', 'CancelFailover'],
      },
    });
    await act(source, itemPath, 'failoverCommit');
    // The machine runs elsewhere, and writes.
    const written = randomBytes(8192);
    await recovered.uploadPages(written, mebibyte, written.length);
    await recovered.clearPages(0, 4096);
    const expected = await recovered.downloadToBuffer(0, disk.length);
    const back = await begin(source, itemPath, 'plannedFailover', {
      failoverDirection: 'RecoveryToPrimary',
      providerSpecificDetails: {
        ...{ instanceType: 'HyperVReplicaAzureFailback', dataSyncOption: 'ForDownTime' },
        recoveryVmCreationOption: 'NoAction',
      },
    });
    const work = await eventually('the source has something to write', async () => {
      const { failback } = (await source.assignment(item)) as unknown as {
        failback: { cycle: number; disks: { disk: string; sizeBytes: number; readUrl: string }[] } | null;
      };
      return failback ?? undefined;
    });
    const home = await new BlobClient(work.disks[0]!.readUrl).downloadToBuffer(0, work.disks[0]!.sizeBytes);
    expect(sha256(home)).toBe(sha256(expected));
    home.copy(disk);
    await source.call('POST', `/agent/v1/items/${item}/disks/os/failback/applied`, { cycle: work.cycle });
    await jobOver(source, back);
    await act(source, itemPath, 'reProtect', {});
    expect(await blobsIn(source, 'recovered')).toEqual([]);
    const next = (await source.assignment(item)) as unknown as {
      nextCycle: number;
      disks: { delta: { previousUniqueId: string } }[];
    };
    expect(next.nextCycle).toBe(work.cycle + 1);
    source.continueFrom(item, 'os', next.disks[0]!.delta.previousUniqueId);
    await cycle(next.nextCycle);
    const replica = source.storage.getContainerClient('replicas').getPageBlobClient(`${item}/os.vhd`);
    await eventually('the cycle is applied', async () =>
      (await source.points(itemPath)).some(
        ({ properties }) => properties.providerSpecificDetails.cycle === next.nextCycle,
      )
        ? true
        : undefined,
    );
    expect(sha256(await replica.downloadToBuffer(0, disk.length))).toBe(sha256(disk));
    expect(await propertiesOf(source, itemPath)).toMatchObject({
      protectionState: 'Protected',
      activeLocation: 'Primary',
    });
    expect(await host.stop()).toBe(0);
  });
});
