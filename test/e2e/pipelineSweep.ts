// Kills the host again and again while a source host uploads cycles, and then compares every recovery point with the disks.
// The uploads, too, are cut: the client repeats what got no answer, as a real one would.
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startHost } from '../host/startHost.ts';
import type { PlainWrite } from '../support/independentHrl.ts';
import { eventually, randomSource } from '../support/protectedVm.ts';
import { SourceHost } from './client.ts';
import type { Service } from './client.ts';

const root = join(import.meta.dirname, '..', '..');
const item = 'vm-sweep';

export interface SweepOptions {
  dataDirectory: string;
  kills: number;
  cyclesPerKill: number;
  seed: number;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function change(disk: Uint8Array, random: (below: number) => number): PlainWrite[] {
  return Array.from({ length: 1 + random(60) }, () => {
    const sectors = 1 + random(600);
    const offset = random(disk.length / 512 - sectors) * 512;
    const data = random(4) === 0 ? Buffer.alloc(sectors * 512) : randomBytes(sectors * 512);
    disk.set(data, offset);
    return { offset, data };
  });
}

/** Repeats until it works: the service may be away. */
async function persistently<T>(work: () => Promise<T>): Promise<T> {
  return eventually('the service answers', () => work().catch(() => undefined), 60);
}

/** Returns what is wrong in the end; empty when every cycle became a recovery point with the right bytes. */
export async function sweepPipeline({
  dataDirectory,
  kills,
  cyclesPerKill,
  seed,
}: SweepOptions): Promise<string[]> {
  const random = randomSource(seed);
  const start = () => startHost({ app: root, dataDirectory, args: ['--strict'] });
  let host = await start();
  let source = new SourceHost(host.local as unknown as Service);
  const disks: Record<string, Buffer> = {
    os: randomBytes(24 * 2 ** 20),
    data: randomBytes(5 * 2 ** 20 + 1536),
  };
  const sizes = { os: disks['os']!.length, data: disks['data']!.length };
  const itemPath = await source.protect(item, sizes);
  await source.replicate(item, disks);
  const expected: Record<string, string>[] = [];
  const logs: { name: string; log: Buffer }[] = [];
  for (let kill = 0; kill < kills; kill++) {
    for (let count = 0; count < cyclesPerKill; count++) {
      const cycle = expected.length + 1;
      for (const [disk, bytes] of Object.entries(disks)) {
        const log = source.cutLog(item, disk, change(bytes, random));
        logs.push({ name: `${item}/${String(cycle).padStart(12, '0')}/${disk}.hrl`, log });
      }
      expected.push({ os: sha256(disks['os']!), data: sha256(disks['data']!) });
    }
    const fresh = logs.slice(-2 * cyclesPerKill).sort(() => random(3) - 1);
    const uploading = Promise.all(
      fresh.map(({ name, log }) => persistently(() => source.putLog(name, log).then(() => true))),
    );
    await pause(random(1500));
    await host.kill();
    host = await start();
    // Storage has the same address again; the keys are the same too.
    const again = new SourceHost(host.local as unknown as Service);
    again.takeOver(source);
    source = again;
    await uploading;
    // What was acknowledged just before the kill is repeated as well: duplicates change nothing.
    for (const { name, log } of fresh) await persistently(() => source.putLog(name, log).then(() => true));
  }
  const points = await source.awaitPoints(itemPath, expected.length, 120);
  const wrong: string[] =
    points.length === expected.length ? [] : [`${points.length} points for ${expected.length} cycles`];
  for (const point of points) {
    const { cycle } = point.properties.providerSpecificDetails;
    for (const disk of ['os', 'data'] as const) {
      if (sha256(await source.recover(point, disk, sizes[disk])) !== expected[cycle - 1]?.[disk])
        wrong.push(`cycle ${cycle} ${disk}`);
    }
  }
  await host.stop();
  return wrong;
}
