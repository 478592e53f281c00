// `npm run demo`: shows the product at work, on this machine alone, and proves the result. Exits with 0 only when every
// recovery point equals its source; always stops what it started and removes what it made.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BlobServiceClient } from '@azure/storage-blob';
import { Command } from 'commander';
import { serviceClient } from '../../agent/serviceClient.ts';
import { VaultClient } from '../../agent/vaultClient.ts';
import { hasQemu, showBootDrill } from './bootDrill.ts';
import { dataDiskBytes, makeDataDisk } from './dataDisk.ts';
import type { Demo } from './demo.ts';
import { findGuest, systemDiskMiB } from './guest.ts';
import { startDemoHost, type DemoHost } from './localHost.ts';
import { Narrator } from './narrator.ts';
import { showNight } from './night.ts';
import { protectMachine } from './protect.ts';
import { tell } from './story.ts';
import { TrackedDisk } from './trackedDisk.ts';

/** dist/demo/main.mjs → the project. */
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

interface DemoOptions {
  keep?: true;
  plain?: true;
}

/** What every part of the demo has from the beginning. */
interface Stage {
  narrator: Narrator;
  folder: string;
  signal: AbortSignal;
  options: DemoOptions;
}

/** The demo's source machine: two disks that nobody but the demo writes. */
async function makeMachine({ narrator, folder, options }: Stage) {
  const guest = await findGuest(join(folder, 'guest'), options.plain === true);
  const disks: TrackedDisk[] = [];
  await narrator.step('Make a machine with two disks', async () => {
    for (const name of ['live', 'frozen', 'logs']) await mkdir(join(folder, name));
    const system = join(folder, 'live', 'system.raw');
    const data = join(folder, 'live', 'data.raw');
    await guest.makeImage(system);
    await makeDataDisk(data);
    disks.push(await TrackedDisk.open('system', system), await TrackedDisk.open('data', data));
    narrator.note(`system: ${systemDiskMiB} MiB, ${guest.description}`);
    narrator.note(`data: ${dataDiskBytes} bytes, not a whole MiB: its replica is padded`);
  });
  return { guest, disks };
}

/** Returns true when every recovery point is proven. */
async function perform(stage: Stage, { service }: DemoHost): Promise<boolean> {
  const { narrator, folder, signal } = stage;
  const { guest, disks } = await makeMachine(stage);
  try {
    const client = serviceClient({ url: service.url, key: service.adminKey, signal });
    const vault = new VaultClient(client.connection, service.vaultPath, signal);
    const itemSegments = await narrator.step('Create site and policy, report the machine, protect it', () =>
      protectMachine(client, vault, disks),
    );
    const blobs = BlobServiceClient.fromConnectionString(service.storageConnectionString);
    const dataDirectory = join(folder, 'lifeboat');
    const connections = { client, vault, blobs, itemSegments, dataDirectory };
    const demo: Demo = { narrator, signal, root, folder, guest, disks, ...connections };
    return (await tell(demo)) && (await showNight(narrator)) && (await showBootDrill(demo));
  } finally {
    for (const disk of disks) await disk.close();
  }
}

async function main(options: DemoOptions, signal: AbortSignal): Promise<number> {
  const narrator = new Narrator();
  const folder = await mkdtemp(join(tmpdir(), 'lifeboat-demo-'));
  let host: DemoHost | undefined;
  try {
    const machinesFolder = (await hasQemu()) ? join(folder, 'machines') : undefined;
    const where = { dataDirectory: join(folder, 'lifeboat'), machinesFolder };
    const started = await narrator.step('Start the service on this machine', () =>
      startDemoHost(root, where, signal),
    );
    host = started;
    narrator.note(started.service.url);
    const isProven = await perform({ narrator, folder, signal, options }, started);
    const verdict = isProven ? 'All recovery points equal their source.' : 'Recovery points DIFFER.';
    narrator.say(`${verdict} ${narrator.elapsedSeconds.toFixed(0)} s.`);
    return isProven ? 0 : 1;
  } catch (error) {
    if (signal.aborted) {
      process.stderr.write('Interrupted.\n');
      return 130;
    }
    process.stderr.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
    if (host) process.stderr.write(`\nEnd of the service's log:\n${await host.readLogTail()}\n`);
    return 1;
  } finally {
    await host?.stop();
    if (options.keep === true) narrator.say(`Kept: ${folder}`);
    else await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

const options = new Command('demo')
  .description('Protects a machine with two disks on this computer and proves every recovery point.')
  .option('--keep', 'keep disks, logs and the data of the service')
  .option('--plain', 'a system disk of plain records, also where the ext4 tools are installed')
  .parse()
  .opts<DemoOptions>();
const interrupt = new AbortController();
// Whoever reads the output may stop (`| head`): the demo then ends as if interrupted, and cleans up.
process.stdout.on('error', () => interrupt.abort());
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interrupt.abort());
process.exitCode = await main(options, interrupt.signal);
