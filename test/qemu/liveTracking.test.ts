// A guest that never stops writing, and cycles taken meanwhile: each frozen view stands still, and equals the replica that
// was fed with nothing but the changed extents.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { QmpClient } from '../../agent/qmp/client.ts';
import { QemuTracker } from '../../agent/track/qemu/tracker.ts';
import type { FrozenCycle } from '../../agent/track/tracker.ts';
import { writeBootableDisk } from '../support/guest/bootSector.ts';
import { Guest } from '../support/guest/qemuGuest.ts';
import { findMissingTools, titleOf } from '../support/tools.ts';
import { applyCycle, readView, writeCounter } from './replicaModel.ts';

const mib = 1024 * 1024;
const size = 24 * mib;
const missing = findMissingTools({ 'qemu-system-x86_64': 'qemu-system-x86', 'qemu-img': 'qemu-utils' });

let folder = '';
let guest: Guest | undefined;
const at = (name: string): string => join(folder, name);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lb-'));
  await mkdir(at('scratch'));
});
afterEach(async () => {
  await guest?.kill();
  guest = undefined;
  await rm(folder, { recursive: true, force: true });
});

const writer = { firstSector: 2048, sectorCount: size / 512 - 2048 - 8, seed: 4711 };
const os = { disk: 'os', device: 'vd0' };
const data = { disk: 'data', device: 'vd1' };
const trackerOf = (options: Partial<ConstructorParameters<typeof QemuTracker>[0]> = {}): QemuTracker =>
  new QemuTracker({ qmpSocketPath: at('qmp'), disks: [os], scratchFolder: at('scratch'), ...options });

async function startWriter(disks: { path: string; format: 'raw' | 'qcow2' }[] = []): Promise<Guest> {
  await writeBootableDisk(at('disk.raw'), { sizeBytes: size, marker: 'writer', writer });
  guest = await Guest.start({ folder, disks: [{ path: at('disk.raw'), format: 'raw' }, ...disks] });
  await guest.waitForSerial(/OK writer\r\nw/);
  return guest;
}

/** Lets the guest write at least so many times sixteen sectors. */
async function letWrite(running: Guest, times = 2): Promise<void> {
  const until = (await running.readSerial()).length + times;
  while ((await running.readSerial()).length < until) {
    if (running.hasEnded) throw new Error('the guest ended');
    await sleep(20);
  }
}

async function queryStatus(): Promise<unknown> {
  await using qmp = await QmpClient.connect({ socketPath: at('qmp') });
  return await qmp.execute('query-status');
}

/** A monitor that can be cut off, as if the agent had died: nothing is said any more, and nothing is cleaned up. */
async function startMonitorProxy(): Promise<{
  path: string;
  cut: () => Promise<void>;
  say: (command: string) => void;
}> {
  const sockets = new Set<net.Socket>();
  const monitors: net.Socket[] = [];
  const server = net.createServer((client) => {
    const monitor = net.connect({ path: at('qmp') });
    monitors.push(monitor);
    for (const socket of [client, monitor]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => (client.destroy(), monitor.destroy()));
    }
    client.pipe(monitor).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(at('proxy'), resolve));
  return {
    path: at('proxy'),
    /** As somebody else would. */
    say: (command) => void monitors.at(-1)?.write(`${JSON.stringify({ execute: command })}\n`),
    cut: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      await sleep(50);
    },
  };
}

async function leftNames(): Promise<string[]> {
  await using qmp = await QmpClient.connect({ socketPath: at('qmp') });
  const nodes = (await qmp.execute('query-named-block-nodes', { flat: true })) as { 'node-name': string }[];
  const exports = (await qmp.execute('query-block-exports')) as { id: string }[];
  return [...nodes.map((node) => node['node-name']), ...exports.map(({ id }) => id)].filter((name) =>
    name.startsWith('lifeboat'),
  );
}

describe.skipIf(missing)(titleOf('live tracking', missing), () => {
  it('of a guest that is held for a moment: the view is the disk as it was then, unless somebody let it run', async () => {
    const running = await startWriter();
    const proxy = await startMonitorProxy();
    await using tracker = trackerOf({ qmpSocketPath: proxy.path });
    let whenHeld: Buffer = Buffer.alloc(0);
    const held = await tracker.freeze({
      whileHeld: async () => {
        whenHeld = await readFile(at('disk.raw'));
        await sleep(200);
        expect((await readFile(at('disk.raw'))).equals(whenHeld)).toBe(true);
        return true;
      },
    });
    expect(held.holdProblem).toBeNull();
    expect((await readView(held.disks[0]!)).equals(whenHeld)).toBe(true);
    await letWrite(running);
    await held.confirm();
    const since = held.reference;
    const whileResumed = async (): Promise<boolean> => {
      proxy.say('cont');
      proxy.say('stop');
      await sleep(100);
      return true;
    };
    const resumed = await tracker.freeze({ since, whileHeld: whileResumed });
    expect(resumed.holdProblem).toMatch(/let the machine run/);
    await resumed.abort();
    await letWrite(running);
    const unheld = await tracker.freeze({ since, whileHeld: () => Promise.resolve(false) });
    expect(unheld.holdProblem).toMatch(/let go/);
    await unheld.abort();
    const failed = tracker.freeze({ since, whileHeld: () => Promise.reject(new Error('the agent ends')) });
    await expect(failed).rejects.toThrow('the agent ends');
    await letWrite(running);
  });

  it('five cycles of a writing guest, one aborted, one cut off: every view equals the replica', async () => {
    const running = await startWriter();
    const proxy = await startMonitorProxy();
    let tracker = trackerOf({ qmpSocketPath: proxy.path });
    let replica: Buffer = Buffer.alloc(0);
    let since: string | undefined;
    const counters: number[] = [];
    const ship = async (cycle: FrozenCycle): Promise<Buffer> => {
      const [disk] = cycle.disks;
      expect(cycle).toMatchObject({ kind: since === undefined ? 'full' : 'changes', consistency: 'crash' });
      const next = await applyCycle(replica, disk!, cycle.kind);
      const view = await readView(disk!);
      expect(next.equals(view)).toBe(true);
      // The guest goes on; what is frozen does not.
      await letWrite(running);
      expect((await readView(disk!)).equals(view)).toBe(true);
      return next;
    };
    for (let number = 0; number < 7; number++) {
      const cycle = await tracker.freeze({ since });
      const next = await ship(cycle);
      if (number === 2) {
        await cycle.abort();
        await cycle.abort();
        await expect(cycle.confirm()).rejects.toThrow('aborted');
      } else if (number === 4) {
        await proxy.cut();
        tracker = trackerOf();
      } else {
        counters.push(writeCounter(next));
        replica = next;
        since = cycle.reference;
        await cycle.confirm();
        await cycle.confirm();
        await cycle.abort();
        await expect(cycle.disks[0]!.reader.read(0, 512)).rejects.toMatchObject({
          code: 'SourceUnavailable',
        });
      }
      await letWrite(running);
    }
    expect(counters).toHaveLength(5);
    expect(counters).toEqual([...new Set(counters)].sort((a, b) => a - b));
    await tracker.close();
    expect(await leftNames()).toEqual([]);
    expect(await readdir(at('scratch'))).toEqual([]);

    // At the very end the guest stands still: the replica then is the disk, byte for byte.
    const qmp = await QmpClient.connect({ socketPath: at('qmp') });
    await qmp.execute('stop');
    await qmp.close();
    const last = await tracker.freeze({ since });
    const final = await applyCycle(replica, last.disks[0]!, 'changes');
    // Without one of its extents the replica is wrong: the comparison can fail.
    const [, ...others] = last.disks[0]!.extents;
    const partial = await applyCycle(replica, { ...last.disks[0]!, extents: others }, 'changes');
    await last.confirm();
    await tracker.close();
    await running.kill();
    const disk = await readFile(at('disk.raw'));
    expect(final.equals(disk)).toBe(true);
    expect(partial.equals(disk)).toBe(false);
  });

  it('two disks, one of them QCOW2, show one instant', async () => {
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', at('data.qcow2'), '8M']);
    const running = await startWriter([{ path: at('data.qcow2'), format: 'qcow2' }]);
    await using tracker = trackerOf({ disks: [os, data] });
    let replicas: Buffer[] = [Buffer.alloc(0), Buffer.alloc(0)];
    let since: string | undefined;
    for (let number = 0; number < 5; number++) {
      const cycle = await tracker.freeze({ since });
      expect(cycle.disks.map(({ disk }) => disk)).toEqual(['os', 'data']);
      replicas = await Promise.all(
        cycle.disks.map((disk, index) => applyCycle(replicas[index]!, disk, cycle.kind)),
      );
      for (const [index, disk] of cycle.disks.entries())
        expect(replicas[index]!.equals(await readView(disk))).toBe(true);
      const [first, second] = replicas.map(writeCounter);
      expect(first).toBeGreaterThan(0);
      expect([0, 1]).toContain(first! - second!);
      since = cycle.reference;
      await cycle.confirm();
      await letWrite(running, 1);
    }
  });

  it('a reference that QEMU does not know is lost; the one cycle at a time is not', async () => {
    const running = await startWriter();
    const tracker = trackerOf();
    const first = await tracker.freeze();
    await expect(tracker.freeze()).rejects.toMatchObject({ code: 'TrackerBusy' });
    await first.confirm();
    await expect(tracker.freeze({ since: 'another' })).rejects.toMatchObject({ code: 'TrackingLost' });
    await (await tracker.freeze({ since: first.reference })).abort();

    await running.kill();
    await expect(tracker.freeze({ since: first.reference })).rejects.toMatchObject({
      code: 'SourceUnavailable',
    });
    await rm(at('qmp'), { force: true });
    await startWriter();
    await expect(tracker.freeze({ since: first.reference })).rejects.toMatchObject({
      code: 'TrackingLost',
      target: 'os',
    });
    expect(await readView((await tracker.freeze()).disks[0]!)).toHaveLength(size);
    await tracker.close();
  });

  it('an agent that died after it stored the new reference goes on from there', async () => {
    const running = await startWriter();
    const proxy = await startMonitorProxy();
    const dying = trackerOf({ qmpSocketPath: proxy.path });
    const first = await dying.freeze();
    const replica = await applyCycle(Buffer.alloc(0), first.disks[0]!, 'full');
    await first.confirm();
    const second = await dying.freeze({ since: first.reference });
    const stored = await applyCycle(replica, second.disks[0]!, 'changes');
    await letWrite(running);
    await proxy.cut();
    await using tracker = trackerOf();
    const third = await tracker.freeze({ since: second.reference });
    expect(
      (await applyCycle(stored, third.disks[0]!, 'changes')).equals(await readView(third.disks[0]!)),
    ).toBe(true);
    await third.confirm();
    await expect(tracker.freeze({ since: second.reference })).rejects.toMatchObject({ code: 'TrackingLost' });
  });

  it('devices and monitors that are not what they should be', async () => {
    await startWriter();
    await using wrongDevice = trackerOf({ disks: [{ disk: 'os', device: 'vd7' }] });
    await expect(wrongDevice.freeze()).rejects.toMatchObject({ code: 'SourceAnswerInvalid' });
    await wrongDevice.close();
    await using noMonitor = trackerOf({ qmpSocketPath: at('none') });
    await expect(noMonitor.freeze()).rejects.toMatchObject({ code: 'SourceUnavailable' });
    const tooLong = at('a'.repeat(100));
    await using longPath = trackerOf({ scratchFolder: tooLong });
    await expect(longPath.freeze()).rejects.toMatchObject({ code: 'InvalidRequest' });
    expect(await queryStatus()).toMatchObject({ status: 'running' });
  });

  const cannotMount = process.getuid?.() !== 0 || spawnSync('sh', ['-c', 'command -v mount']).status !== 0;
  it.skipIf(cannotMount)(
    'a full scratch file breaks the view, never the guest (needs root)',
    async ({ skip }) => {
      const scratch = at('small');
      await mkdir(scratch);
      const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'none', scratch]);
      if (mounted.status !== 0) skip('no file system can be mounted here');
      try {
        const running = await startWriter();
        const roomy = trackerOf();
        const first = await roomy.freeze();
        const replica = await applyCycle(Buffer.alloc(0), first.disks[0]!, 'full');
        await first.confirm();
        await roomy.close();
        const tracker = trackerOf({ scratchFolder: scratch });
        const lost = await tracker.freeze({ since: first.reference });
        await letWrite(running, 6);
        await expect(readView(lost.disks[0]!)).rejects.toMatchObject({ code: 'SourceReadFailed' });
        // The guest goes on writing, and what it wrote is in the next cycle.
        await letWrite(running);
        await lost.abort();
        await tracker.close();
        expect(await queryStatus()).toMatchObject({ status: 'running' });
        const next = await roomy.freeze({ since: first.reference });
        const [disk] = next.disks;
        expect((await applyCycle(replica, disk!, 'changes')).equals(await readView(disk!))).toBe(true);
        await roomy.close();
      } finally {
        await guest?.kill();
        execFileSync('umount', [scratch]);
      }
    },
  );
});
