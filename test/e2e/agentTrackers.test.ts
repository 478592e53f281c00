// Every way to know what changed, in the daemon on the built app in the local host: a program, a folder of logs, a running QEMU
// (the scan has agent.test.ts and agentFailover.test.ts). Initial replication, cycles, and recovery points that equal the disk.
import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { buildHrl, type HrlWrite } from '../../lib/hrl/writer.ts';
import { QmpClient } from '../../agent/qmp/client.ts';
import { temporaryFolder, type ReadyHost } from '../host/startHost.ts';
import { AgentProcess } from '../support/agentProcess.ts';
import { startAgentSite } from '../support/agentSite.ts';
import { lastSector, powerButtonSector } from '../support/guest/powerButton.ts';
import { Guest } from '../support/guest/qemuGuest.ts';
import { Item } from '../support/itemVerbs.ts';
import { findMissingTools, titleOf } from '../support/tools.ts';
import type { Point, SourceHost } from './client.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const mib = 1024 * 1024;
const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);
const missing = findMissingTools({ 'qemu-system-x86_64': 'qemu-system-x86' });
const diskBytes = 4 * mib;

// A busy machine takes its time.
vi.setConfig({ testTimeout: 300_000 });

let host: ReadyHost;
let source: SourceHost;
const agent = new AgentProcess(at('agent.yaml'));
const items = new Map<string, Item>();
const machines = ['prog', 'logs', ...(missing === undefined ? ['kvm'] : [])];
const image = Buffer.from(randomBytes(diskBytes));

const config = (): string => `service: { local: service }
site: site1
stateFolder: state
heartbeatSeconds: 2
pollSeconds: 0.2
machines:
  - id: prog
    intervalSeconds: 1
    tracker:
      kind: program
      command: [env, "LIFEBOAT_TEST_STATE=${at('states')}", "LIFEBOAT_TEST_TRUTH=${at('truth')}", "${process.execPath}", "${join(root, 'test', 'support', 'freezeProgram.mjs')}"]
    disks: [{ id: os, path: prog.raw }]
  - id: logs
    intervalSeconds: 1
    tracker: { kind: hrlFolder }
    disks: [{ id: os, path: logs.raw, logs: hrl }]
${
  missing === undefined
    ? `  - id: kvm
    intervalSeconds: 1
    tracker: { kind: qemu, qmpSocket: qmp }
    disks: [{ id: os, device: vd0, sizeBytes: 4MiB }]
`
    : ''
}`;

let guest: Guest | undefined;

beforeAll(async () => {
  await mkdir(at('hrl'));
  await writeFile(at('prog.raw'), randomBytes(diskBytes));
  await writeFile(at('logs.raw'), image);
  const bootable = Buffer.alloc(diskBytes);
  bootable.set(powerButtonSector());
  await writeFile(at('kvm.raw'), bootable);
  await writeFile(at('agent.yaml'), config());
  if (missing === undefined)
    guest = await Guest.start({ folder, disks: [{ path: at('kvm.raw'), format: 'raw' }] });
  ({ host, source } = await startAgentSite(at('service')));
  agent.start();
  const all = await Item.protect(source, machines);
  for (const [index, machine] of machines.entries()) items.set(machine, all[index]!);
}, 120_000);
afterAll(async () => {
  await agent.end('SIGTERM');
  await guest?.kill();
  await host.stop();
});

const cycleOf = (point: Point): number => point.properties.providerSpecificDetails.cycle;
const pointsOf = (machine: string) => source.points(items.get(machine)!.path);

const lastCycle = async (machine: string): Promise<number> =>
  Math.max(-1, ...(await pointsOf(machine)).map(cycleOf));

/** Waits for so many more points than there are now, or than there were up to the cycle; returns the new ones. */
async function morePoints(machine: string, count: number, after?: number): Promise<Point[]> {
  const before = after ?? (await lastCycle(machine));
  return agent.during(`${count} more points of ${machine}`, async () => {
    const found = (await pointsOf(machine)).filter((point) => cycleOf(point) > before);
    return found.length >= count ? found : undefined;
  });
}

describe('the daemon', () => {
  it('protects with a program that knows what changed', async () => {
    const first = await morePoints('prog', 1);
    for (;;) {
      if (
        await mkdir(at('states.lock')).then(
          () => true,
          () => false,
        )
      )
        break;
      await sleep(5);
    }
    const bytes = await readFile(at('prog.raw'));
    randomBytes(9000).copy(bytes, mib + 1000);
    await writeFile(at('prog.raw'), bytes);
    await rmdir(at('states.lock'));
    const points = [...first, ...(await morePoints('prog', 2))];
    for (const point of points) {
      const truth = await readFile(join(at('truth'), point.properties.recoveryPointTime, 'os'));
      expect((await source.recover(point, 'os', diskBytes)).equals(truth)).toBe(true);
    }
    expect((await source.recover(points.at(-1)!, 'os', diskBytes)).equals(bytes)).toBe(true);
  });

  it('ships the logs of a folder, and compares the image when one is lost', async () => {
    const cli = join(root, 'dist', 'cli', 'lifeboat.mjs');
    const upload = [
      'upload',
      'disk',
      at('logs.raw'),
      '--item',
      'logs',
      '--disk',
      'os',
      '--local',
      at('service'),
    ];
    await agent.during('the copy may begin', async () =>
      run(process.execPath, [cli, ...upload]).catch(() => undefined),
    );
    let previousUniqueId: string | undefined;
    /** The image changes; its log lies in the folder, unless it is lost. */
    const write = async (offset: number, isLost = false): Promise<void> => {
      const writes: HrlWrite[] = [{ diskOffset: offset, data: randomBytes(4096) }];
      for (const { diskOffset, data } of writes) image.set(data, diskOffset);
      await writeFile(at('logs.raw'), image);
      const uniqueId = randomUUID();
      const chain = previousUniqueId === undefined ? {} : { previousUniqueId };
      const log = buildHrl(writes, { uniqueId, createdAt: new Date(), ...chain });
      previousUniqueId = uniqueId;
      if (isLost) return;
      await writeFile(at('hrl.part'), log);
      await rename(at('hrl.part'), join(at('hrl'), `${uniqueId}.hrl`));
    };
    for (const offset of [8192, mib]) {
      const before = await lastCycle('logs');
      await write(offset);
      const next = await morePoints('logs', 1, before);
      expect((await source.recover(next.at(-1)!, 'os', diskBytes)).equals(image)).toBe(true);
    }
    await write(2 * mib, true);
    await write(16_384);
    await agent.saw('TrackingLost');
    const item = items.get('logs')!;
    await agent.during(
      'it can be resynchronized',
      async () => (await item.properties()).allowedOperations.includes('RepairReplication') || undefined,
    );
    const before = await lastCycle('logs');
    const repair = await source.call('POST', `${item.path}/repairReplication`);
    expect(repair.status).toBeLessThan(300);
    const compared = await morePoints('logs', 1, before);
    expect((await source.recover(compared.at(-1)!, 'os', diskBytes)).equals(image)).toBe(true);
    // The chain goes on with the next log of the folder.
    await write(3 * mib);
    const next = await morePoints('logs', 1, cycleOf(compared.at(-1)!));
    expect((await source.recover(next.at(-1)!, 'os', diskBytes)).equals(image)).toBe(true);
    await agent.saw('bytes differ');
    const differing = [...agent.output.matchAll(/logs\/os: (\d+) bytes differ/g)].map(([, bytes]) => bytes);
    expect(differing).toEqual(['8192']);
  });

  it.skipIf(missing !== undefined)(
    titleOf('protects a running QEMU, and shuts it down with its power button for a failover', missing),
    async () => {
      const item = items.get('kvm')!;
      const points = await morePoints('kvm', 2);
      const booted = await readFile(at('kvm.raw'));
      expect((await source.recover(points.at(-1)!, 'os', diskBytes)).equals(booted)).toBe(true);
      const job = await item.begin('plannedFailover', { failoverDirection: 'PrimaryToRecovery' });
      await agent.during('the failover succeeds', () => item.hasSucceeded(job), 90);
      const last = await readFile(at('kvm.raw'));
      const written = last.subarray(lastSector * 512, (lastSector + 1) * 512);
      expect(written.equals(powerButtonSector())).toBe(true);
      const recovered = source.storage.getContainerClient('recovered').getPageBlobClient(`kvm/${job}/os.vhd`);
      expect((await recovered.downloadToBuffer(0, diskBytes)).equals(last)).toBe(true);
      await agent.saw('failed over; the machine is off here');
      await agent.end('SIGTERM');
      await using qmp = await QmpClient.connect({ socketPath: at('qmp') });
      expect(await qmp.execute('query-status')).toMatchObject({ status: 'shutdown', running: false });
    },
  );
});
