// The agent's part of failover and failback, on the built app in the local host: the machine is shut down, its last bytes are
// in the recovered disks, what they became elsewhere comes home to the disks of the source through a kill -9, and deltas go on
// without a second copy. Until a failback nothing writes the source.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openDisk } from '../../agent/disk/openDisk.ts';
import { formatFixedVhdFooter } from '../../lib/vhd/fixed.ts';
import { temporaryFolder, type ReadyHost } from '../host/startHost.ts';
import { AgentProcess } from '../support/agentProcess.ts';
import { startAgentSite } from '../support/agentSite.ts';
import { buildVhdx, vhdxLayout } from '../support/images/vhdxWriter.ts';
import { Item } from '../support/itemVerbs.ts';
import type { SourceHost } from './client.ts';

const mib = 1024 * 1024;
const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);
const readDisk = async (name: string): Promise<Buffer> => {
  await using disk = await openDisk(at(name));
  return Buffer.from(await disk.read(0, disk.sizeBytes));
};
const sha256 = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

const vhdxBlocksAt = vhdxLayout.tableAt + mib;
const osBytes = 24 * mib;
const dataBytes = 48 * mib + 3 * 512;
const otherBytes = 6 * mib;
const failbackInput = {
  failoverDirection: 'RecoveryToPrimary',
  providerSpecificDetails: {
    ...{ instanceType: 'HyperVReplicaAzureFailback', dataSyncOption: 'ForDownTime' },
    recoveryVmCreationOption: 'NoAction',
  },
};

/** What a guest writes in the moment in which it goes down, and the hypervisor's answer afterwards. */
const guest = `import { openSync, writeSync, writeFileSync } from 'node:fs';
const [, , disk, state] = process.argv;
// The first block of the VHDX is the first behind its structures.
const origin = disk.endsWith('.vhdx') ? ${vhdxBlocksAt} : 0;
writeSync(openSync(disk, 'r+'), 'the last words of ' + process.env.LIFEBOAT_MACHINE, origin + 12288 + 77);
writeFileSync(state, 'shut off\\n');
`;

const configOf = (intervalSeconds: number, more = ''): string => {
  const power = (machine: string, disk: string): string =>
    `power: { isRunning: [cat, "${at(`${machine}.power`)}"], shutdown: ["${process.execPath}", "${at('guest.mjs')}", "${at(disk)}", "${at(`${machine}.power`)}"] }`;
  return `service: { local: service }
site: site1
stateFolder: state
heartbeatSeconds: 2
pollSeconds: 0.2
machines:
  - id: vm-1
    intervalSeconds: ${intervalSeconds}
    ${power('vm-1', 'data.vhdx')}
    tracker: { kind: scan, workers: 1 }
    disks: [{ id: os, path: os.vhd }, { id: data, path: data.vhdx }]
  - id: vm-2
    intervalSeconds: ${intervalSeconds}
    ${power('vm-2', 'other.raw')}
    failback: newDisk
    tracker: { kind: scan, workers: 1 }
    disks: [{ id: os, path: other.raw }${more}]
`;
};

// A busy machine takes its time.
vi.setConfig({ testTimeout: 300_000 });

let host: ReadyHost;
let source: SourceHost;
let first: Item;
let second: Item;
const agent = new AgentProcess(at('agent.yaml'));

beforeAll(async () => {
  const os = randomBytes(osBytes);
  os.fill(0, 4 * mib, 12 * mib);
  const footer = formatFixedVhdFooter({
    ...{ sizeBytes: osBytes, uniqueId: '3f2504e0-4f89-41d3-9a0c-0305e82c3301' },
    createdAt: new Date('2026-01-01T00:00:00Z'),
  });
  const data = randomBytes(dataBytes);
  data.fill(0, 8 * mib, 20 * mib);
  await writeFile(at('os.vhd'), Buffer.concat([os, footer]));
  // Blocks without data are not there.
  const writes = Array.from({ length: Math.ceil(dataBytes / (2 * mib)) }, (_, block) => block * 2 * mib)
    .filter((offset) => offset < 8 * mib || offset >= 20 * mib)
    .map((offset) => ({ offset, data: data.subarray(offset, offset + 2 * mib) }));
  const dataWriteGuid = '11111111-0000-4000-8000-000000000000';
  await writeFile(at('data.vhdx'), buildVhdx({ sizeBytes: dataBytes, dataWriteGuid, writes }));
  await writeFile(at('other.raw'), randomBytes(otherBytes));
  await writeFile(at('guest.mjs'), guest);
  for (const machine of ['vm-1', 'vm-2']) await writeFile(at(`${machine}.power`), 'running\n');
  await writeFile(at('agent.yaml'), configOf(3600));
  ({ host, source } = await startAgentSite(at('service')));
  agent.start();
  [first, second] = (await Item.protect(source, ['vm-1', 'vm-2'])) as [Item, Item];
  for (const item of [first, second]) await agent.during('it is protected', () => item.isIn('Protected'), 90);
}, 120_000);
afterAll(async () => {
  await agent.end('SIGKILL');
  await host.stop();
});

const recoveredDisk = (item: string, job: string, disk: string) =>
  source.storage.getContainerClient('recovered').getPageBlobClient(`${item}/${job}/${disk}.vhd`);

const over = (item: Item, job: string) => agent.during('the job succeeds', () => item.hasSucceeded(job), 90);

/** Waits for a recovery point of a state that was frozen from now on. */
async function nextPoint(item: Item) {
  const since = Date.now();
  return agent.during('a later state is a recovery point', async () => {
    const point = (await source.points(item.path)).at(-1)!;
    return Date.parse(point.properties.recoveryPointTime) >= since ? point : undefined;
  });
}

describe('the agent in a failover', () => {
  it('shuts down through a kill -9, loses nothing, and leaves the source alone when it is cancelled', async () => {
    const job = await second.begin('plannedFailover', { failoverDirection: 'PrimaryToRecovery' });
    await agent.saw('machine vm-2 is off');
    await agent.end('SIGKILL');
    const hash = await sha256(at('other.raw'));
    agent.start();
    await over(second, job);
    await agent.saw('the machine is off here and must stay so');
    const bytes = await recoveredDisk('vm-2', job, 'os').downloadToBuffer(0, otherBytes);
    expect(bytes.equals(await readFile(at('other.raw')))).toBe(true);
    expect(bytes.includes('the last words of vm-2')).toBe(true);
    await second.act('failoverCancel');
    await agent.during('it is protected again', () => second.isIn('Protected'));
    expect(await sha256(at('other.raw'))).toBe(hash);
  });

  it('goes the full circle: what the machine became elsewhere is on its disks again, and deltas go on', async () => {
    const failover = await first.begin('plannedFailover', { failoverDirection: 'PrimaryToRecovery' });
    await over(first, failover);
    const files = { os: 'os.vhd', data: 'data.vhdx' } as const;
    const sizes = { os: osBytes, data: dataBytes };
    for (const disk of ['os', 'data'] as const) {
      const recovered = await recoveredDisk('vm-1', failover, disk).downloadToBuffer(0, sizes[disk]);
      const onSource = await readDisk(files[disk]);
      expect(recovered.equals(onSource), disk).toBe(true);
    }
    expect((await readDisk('data.vhdx')).includes('the last words of vm-1')).toBe(true);
    const before = await Promise.all([sha256(at('os.vhd')), sha256(at('data.vhdx'))]);
    await first.act('failoverCommit');

    // The machine runs elsewhere: it writes, and clears.
    for (const disk of ['os', 'data'] as const) {
      const blob = recoveredDisk('vm-1', failover, disk);
      for (const offset of [0, 5 * mib, 21 * mib])
        await blob.uploadPages(randomBytes(64 * 1024), offset, 64 * 1024);
      await blob.uploadPages(randomBytes(4 * mib), 13 * mib, 4 * mib);
      await blob.clearPages(2 * mib, mib);
    }
    const expected = {
      os: await recoveredDisk('vm-1', failover, 'os').downloadToBuffer(0, osBytes),
      data: await recoveredDisk('vm-1', failover, 'data').downloadToBuffer(0, dataBytes),
    };
    const footer = (await readFile(at('os.vhd'))).subarray(osBytes);
    expect(await Promise.all([sha256(at('os.vhd')), sha256(at('data.vhdx'))])).toEqual(before);

    // Home again; the agent dies while it writes.
    const back = await first.begin('plannedFailover', failbackInput);
    const cursor = at('state/items/vm-1/data.failback');
    await agent.during('it writes the second disk', async () => {
      const lines = await readFile(cursor, 'utf8').catch(() => '');
      return lines.split('\n').length > 4 || undefined;
    });
    await agent.end('SIGKILL');
    agent.start();
    await over(first, back);
    await agent.saw('failed back; start the machine here');
    const resumed = [
      ...agent.output.matchAll(
        /vm-1\/data: (\d+) bytes written of (\d+) compared, (\d+) fetched, (\d+) bytes were done/g,
      ),
    ];
    expect(Number(resumed.at(-1)?.[4])).toBeGreaterThan(0);
    // Only what differs travels.
    for (const [, written, , fetched] of resumed)
      expect(Number(fetched)).toBeLessThanOrEqual(Number(written) + mib);
    const home = await readFile(at('os.vhd'));
    expect(home.subarray(0, osBytes).equals(expected.os)).toBe(true);
    expect(home.subarray(osBytes).equals(footer)).toBe(true);
    expect((await readDisk('data.vhdx')).equals(expected.data)).toBe(true);

    // The machine runs here again; its next cycle is a delta.
    await first.act('reProtect');
    await agent.end('SIGTERM');
    await using disk = await open(at('data.vhdx'), 'r+');
    await disk.write(randomBytes(8192), 0, 8192, vhdxBlocksAt + mib + 100);
    await writeFile(at('agent.yaml'), configOf(1));
    const said = agent.output.length;
    agent.start();
    const point = await nextPoint(first);
    expect((await source.recover(point, 'data', dataBytes)).equals(await readDisk('data.vhdx'))).toBe(true);
    expect((await source.recover(point, 'os', osBytes)).equals(expected.os)).toBe(true);
    expect(agent.output.slice(said)).not.toMatch(/copied, as of/);
    expect(await first.isIn('Protected')).toBe(true);
  });

  it('can bring a machine home to new disks, which take the place of the old ones at the end', async () => {
    await writeFile(at('vm-2.power'), 'running\n');
    const failover = await second.begin('plannedFailover', { failoverDirection: 'PrimaryToRecovery' });
    await over(second, failover);
    await second.act('failoverCommit');
    const blob = recoveredDisk('vm-2', failover, 'os');
    await blob.uploadPages(randomBytes(mib), mib, mib);
    const expected = await blob.downloadToBuffer(0, otherBytes);
    const old = await sha256(at('other.raw'));
    await over(second, await second.begin('plannedFailover', failbackInput));
    expect((await readFile(at('other.raw'))).equals(expected)).toBe(true);
    expect(await sha256(at('other.raw.before-failback'))).toBe(old);
    expect(existsSync(at('other.raw.failback'))).toBe(false);
    await second.act('reProtect');
    await agent.end('SIGTERM');
    await using disk = await open(at('other.raw'), 'r+');
    await disk.write(randomBytes(4096), 0, 4096, 8192);
    agent.start();
    const point = await nextPoint(second);
    expect((await source.recover(point, 'os', otherBytes)).equals(await readFile(at('other.raw')))).toBe(
      true,
    );
    expect(existsSync(at('other.raw.before-failback'))).toBe(false);
  });

  it('takes up a disk that was added and one that grew, and sends nothing else again', async () => {
    await agent.end('SIGTERM');
    const extra = randomBytes(5 * mib);
    extra.fill(0, mib, 3 * mib);
    await writeFile(at('extra.raw'), extra);
    const grown = Buffer.concat([await readFile(at('other.raw')), Buffer.alloc(5 * mib)]);
    randomBytes(70_000).copy(grown, otherBytes + 3 * mib + 512);
    await writeFile(at('other.raw'), grown);
    await writeFile(at('agent.yaml'), configOf(1, ', { id: extra, path: extra.raw }'));
    const said = agent.output.length;
    agent.start();
    // While the service does not know it, the part that it knows is replicated.
    const early = await nextPoint(second);
    expect((await source.recover(early, 'os', otherBytes)).equals(grown.subarray(0, otherBytes))).toBe(true);
    const disks = '/lifeboat/v1/items/vm-2/disks';
    const accepted = (method: string, path: string, body?: object) =>
      agent.during(`${method} ${path} is accepted`, async () => {
        const { status } = await source.call(method, path, body);
        return status === 202 || status === 200 || undefined;
      });
    await accepted('PUT', `${disks}/extra`, {});
    await accepted('PATCH', `${disks}/os`, { sizeBytes: grown.length });
    const point = await agent.during('a recovery point has both', async () => {
      const found = (await source.points(second.path)).at(-1)!;
      const { disks: held, cycle } = found.properties.providerSpecificDetails;
      const bytes =
        held.length === 2 && (await source.recover(found, 'os', grown.length).catch(() => undefined));
      return bytes && bytes.equals(grown) ? { found, cycle } : undefined;
    });
    expect((await source.recover(point.found, 'extra', extra.length)).equals(extra)).toBe(true);
    // And what is written then comes with deltas, of both.
    await agent.end('SIGTERM');
    for (const [name, bytes] of [
      ['other.raw', grown],
      ['extra.raw', extra],
    ] as const) {
      randomBytes(4096).copy(bytes, bytes.length - 8192);
      await writeFile(at(name), bytes);
    }
    agent.start();
    const last = await nextPoint(second);
    expect((await source.recover(last, 'os', grown.length)).equals(grown)).toBe(true);
    expect((await source.recover(last, 'extra', extra.length)).equals(extra)).toBe(true);
    const news = agent.output.slice(said);
    expect([...news.matchAll(/(\S+): (\d+) bytes sent/g)].map(([, disk]) => disk)).toEqual(['vm-2/extra']);
    expect(agent.output).not.toMatch(/TrackingLost|bytes differ/);
  });
});
