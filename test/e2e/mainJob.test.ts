// The product's job on the built app in the local host: a source host with none of our code protects a machine, and every
// recovery point equals the disks at that moment, also when the host is killed in the middle of a merge.
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseVhdFooter } from '../../lib/vhd/fixed.ts';
import { startHost, temporaryFolder } from '../host/startHost.ts';
import type { ReadyHost } from '../host/startHost.ts';
import type { PlainWrite } from '../support/independentHrl.ts';
import { eventually, randomSource } from '../support/protectedVm.ts';
import { SourceHost } from './client.ts';
import type { Service } from './client.ts';

const root = join(import.meta.dirname, '..', '..');
const mebibyte = 2 ** 20;

const start = async (
  dataDirectory = join(temporaryFolder(), 'data'),
): Promise<{ host: ReadyHost; source: SourceHost }> => {
  const host = await startHost({ app: root, dataDirectory, args: ['--strict'] });
  return { host, source: new SourceHost(host.local as unknown as Service) };
};

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Changes the disk at random places and returns the writes. */
function change(
  disk: Uint8Array,
  random: (below: number) => number,
  count: number,
  sectorsMax: number,
): PlainWrite[] {
  return Array.from({ length: count }, () => {
    const sectors = 1 + random(sectorsMax);
    const offset = random(disk.length / 512 - sectors) * 512;
    const data = random(3) === 0 ? Buffer.alloc(sectors * 512) : randomBytes(sectors * 512);
    disk.set(data, offset);
    return { offset, data };
  });
}

describe('the main job', () => {
  it('makes every cycle a recovery point that equals the disks', async () => {
    const { host, source } = await start();
    expect((await fetch(`${host.url}/health`)).status).toBe(200);
    expect((await fetch(`${host.url}/agent/v1/assignments`)).status).toBe(401);
    const random = randomSource(5);
    // The second disk is no multiple of 1 MiB: its replica is padded.
    const disks: Record<string, Uint8Array> = {
      os: randomBytes(6 * mebibyte),
      data: randomBytes(2 * mebibyte + 5 * 512),
    };
    const sizes = { os: disks['os']!.length, data: disks['data']!.length };
    const item = await source.protect('vm-1', sizes);
    // The first cycle's logs arrive while initial replication is going on.
    const history: Record<string, Buffer>[] = [];
    const cut = (cycle: number) =>
      Object.entries(disks).map(([disk, bytes]) => {
        const log = source.cutLog('vm-1', disk, change(bytes, random, 40, 64));
        history[cycle] = { ...history[cycle], [disk]: Buffer.from(bytes) };
        return { name: `vm-1/${String(cycle).padStart(12, '0')}/${disk}.hrl`, log };
      });
    const before = { os: Uint8Array.from(disks['os']!), data: Uint8Array.from(disks['data']!) };
    for (const { name, log } of cut(1)) await source.putLog(name, log);
    expect((await source.assignment('vm-1')).nextCycle).toBe(2);
    await source.replicate('vm-1', before);
    await source.awaitPoints(item, 1);
    // Cycle 3 before cycle 2, one log twice.
    const [second, third] = [cut(2), cut(3)];
    for (const { name, log } of third) await source.putLog(name, log);
    for (const { name, log } of [...second, ...second.slice(0, 1)]) await source.putLog(name, log);
    const points = await source.awaitPoints(item, 3);
    expect(points.map(({ properties }) => properties.providerSpecificDetails.cycle)).toEqual([1, 2, 3]);
    for (const point of points) {
      const expected = history[point.properties.providerSpecificDetails.cycle]!;
      for (const disk of ['os', 'data'] as const) {
        expect(sha256(await source.recover(point, disk, sizes[disk]))).toBe(sha256(expected[disk]!));
      }
    }
    const tail = await source.recover(points[2]!, 'data', 3 * mebibyte + 512);
    expect(parseVhdFooter(tail.subarray(3 * mebibyte)).sizeBytes).toBe(3 * mebibyte);
    await eventually('Protected', async () => {
      const { body } = await source.call('GET', item);
      return (
        (body as { properties: { protectionState: string } }).properties.protectionState === 'Protected' ||
        undefined
      );
    });
    const job = await source.call('GET', `${source.service.vaultPath}/replicationJobs`);
    const enable = (
      job.body as {
        value: { properties: { scenarioName: string; state: string; tasks: { state: string }[] } }[];
      }
    ).value.find(({ properties }) => properties.scenarioName === 'EnableDr');
    expect(enable?.properties).toMatchObject({ state: 'Succeeded' });
    expect(await host.stop()).toBe(0);
  });

  it('loses nothing when the host is killed in the middle of a merge', async () => {
    const dataDirectory = join(temporaryFolder(), 'data');
    const first = await start(dataDirectory);
    const random = randomSource(9);
    const disk = randomBytes(96 * mebibyte);
    const itemPath = await first.source.protect('vm-2', { os: disk.length });
    await first.source.replicate('vm-2', { os: disk });
    const baseline = Buffer.from(disk);
    const log = first.source.cutLog('vm-2', 'os', change(disk, random, 600, 512));
    const replica = first.source.storage.getContainerClient('replicas').getPageBlobClient('vm-2/os.vhd');
    const sequenceNumber = async () => (await replica.getProperties()).blobSequenceNumber ?? 0;
    const sealed = await sequenceNumber();
    await first.source.putLog('vm-2/000000000001/os.hrl', log);
    await eventually(
      'the merge begins',
      async () => ((await sequenceNumber()) > sealed ? true : undefined),
      30,
    );
    await first.host.kill();
    const { source, host } = await start(dataDirectory);
    const [point, ...more] = await source.awaitPoints(itemPath, 1);
    expect(more).toEqual([]);
    expect(sha256(disk)).not.toBe(sha256(baseline));
    expect(sha256(await source.recover(point!, 'os', disk.length))).toBe(sha256(disk));
    expect(await host.stop()).toBe(0);
  });
});
