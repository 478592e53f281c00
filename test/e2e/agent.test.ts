// The agent, as an administrator runs it, against the built app in the local host: enrolled with a key of its own, it protects a
// dynamic VHDX and a raw disk that a writer changes, through kills, a cut network, a restarted service and a lost tracker. Every
// recovery point equals the frozen view that it claims to be, and the source is what it was.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { openDisk } from '../../agent/disk/openDisk.ts';
import { startHost, temporaryFolder } from '../host/startHost.ts';
import { AgentProcess } from '../support/agentProcess.ts';
import { eventually } from '../support/protectedVm.ts';
import { findMissingTools, titleOf } from '../support/tools.ts';
import { SourceHost, type Point, type Service } from './client.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const cli = join(root, 'dist', 'cli', 'lifeboat.mjs');
const mib = 1024 * 1024;
const missing = findMissingTools({ 'qemu-img': 'qemu-utils', 'qemu-io': 'qemu-utils' });

/** A wire between agent and service that can be cut. */
class Wire {
  port = 0;
  #target = 0;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  async open(url: string): Promise<void> {
    this.lead(url);
    this.#server = createServer((incoming) => {
      if (this.#isCut) return void incoming.destroy();
      const outgoing = connect(this.#target, '127.0.0.1');
      for (const [one, other] of [
        [incoming, outgoing],
        [outgoing, incoming],
      ] as const) {
        this.#sockets.add(one);
        one.on('error', () => other.destroy()).on('close', () => this.#sockets.delete(one));
        one.pipe(other);
      }
    });
    await new Promise<void>((resolve) => this.#server?.listen(0, '127.0.0.1', resolve));
    this.port = (this.#server.address() as AddressInfo).port;
  }

  lead(url: string): void {
    this.#target = Number(new URL(url).port);
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  close(): void {
    this.cut();
    this.#server?.close();
  }
}

/** The machine: two images, written between the copies of the freeze program. */
class SourceMachine {
  readonly folder: string;
  readonly os: string;
  readonly data: string;
  #isWriting = false;
  #writer: Promise<void> = Promise.resolve();

  constructor(folder: string) {
    this.folder = folder;
    this.os = join(folder, 'os.vhdx');
    this.data = join(folder, 'data.raw');
  }

  async create(): Promise<void> {
    const bytes = randomBytes(40 * mib);
    bytes.fill(0, 8 * mib, 24 * mib);
    await writeFile(join(this.folder, 'os.img'), bytes);
    await run('qemu-img', [
      'convert',
      '-f',
      'raw',
      '-O',
      'vhdx',
      '-o',
      'subformat=dynamic',
      join(this.folder, 'os.img'),
      this.os,
    ]);
    const data = randomBytes(24 * mib + 512 * 3);
    data.fill(0, 4 * mib, 6 * mib);
    await writeFile(this.data, data);
  }

  async write(): Promise<void> {
    const lock = join(this.folder, 'states.lock');
    for (;;) {
      try {
        await mkdir(lock);
        break;
      } catch {
        await sleep(5);
      }
    }
    try {
      const at = (blocks: number): number => (randomBytes(2).readUInt16LE() % blocks) * 4096;
      const pattern = 1 + ((randomBytes(1)[0] ?? 0) % 255);
      await run('qemu-io', [
        '-f',
        'vhdx',
        '-c',
        `write -P ${pattern} ${at(9000)} 12288`,
        '-c',
        `write -z ${at(9000)} 4096`,
        this.os,
      ]);
      await using handle = await open(this.data, 'r+');
      await handle.write(randomBytes(8192), 0, 8192, at(6000));
    } finally {
      await rmdir(lock);
    }
  }

  startWriting(): void {
    this.#isWriting = true;
    this.#writer = (async () => {
      while (this.#isWriting) {
        await this.write();
        await sleep(150);
      }
    })();
  }

  async stopWriting(): Promise<void> {
    this.#isWriting = false;
    await this.#writer;
  }

  async hash(): Promise<string[]> {
    const files = await Promise.all([this.os, this.data].map((path) => readFile(path)));
    return files.map((bytes) => createHash('sha256').update(bytes).digest('hex'));
  }
}

const closers: (() => void)[] = [];
afterAll(() => {
  for (const close of closers) close();
});

/** Every cycle is a trace of its own, which the agent began and its recovery point names. */
function expectTraces(points: readonly Point[]): void {
  const traces = points.map(({ properties }) => properties.providerSpecificDetails.traceId);
  for (const trace of traces) expect(trace).toMatch(/^[0-9a-f]{32}$/);
  expect(new Set(traces).size).toBe(points.length);
}

/** Chunks that the cursors of the copy say have arrived. */
async function arrivedChunks(stateFolder: string): Promise<number> {
  const folder = join(stateFolder, 'items', 'vm-1');
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.copy'));
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  const chunksOf = (text: string): number =>
    new Set([...text.matchAll(/\[(\d+),"/g)].map((match) => match[1])).size;
  return texts.reduce((sum, text) => sum + chunksOf(text), 0);
}

describe(titleOf('the agent', missing), () => {
  it.skipIf(missing !== undefined)(
    'protects a machine through everything that happens to it',
    async () => {
      const folder = temporaryFolder();
      const stateFolder = join(folder, 'state');
      const dataDirectory = join(folder, 'service');
      const machine = new SourceMachine(folder);
      await machine.create();
      let host = await startHost({
        app: root,
        dataDirectory,
        args: ['--strict'],
        env: { LIFEBOAT_RECONCILE_SCHEDULE: '*/2 * * * * *' },
      });
      let source = new SourceHost(host.local as unknown as Service);
      const wire = new Wire();
      await wire.open(host.url);
      closers.push(() => wire.close());

      // Enrol with a registration key of the site.
      const { vaultPath } = source.service;
      await source.call('PUT', `${vaultPath}/replicationFabrics/site1`, {});
      const { body: key } = await source.call('POST', '/lifeboat/v1/sites/site1/registrationKeys', {});
      const config = join(folder, 'agent.yaml');
      const program = join(root, 'test', 'support', 'freezeProgram.mjs');
      await writeFile(
        config,
        `service: { url: "http://127.0.0.1:${wire.port}" }
site: site1
host: hv1
stateFolder: state
heartbeatSeconds: 2
pollSeconds: 0.3
bandwidth: { limit: 24MiB }
machines:
  - id: vm-1
    intervalSeconds: 1
    tracker:
      kind: scan
      workers: 1
      view:
        command: [env, "LIFEBOAT_TEST_STATE=${join(folder, 'states')}", "LIFEBOAT_TEST_TRUTH=${join(folder, 'truth')}", "${process.execPath}", "${program}"]
    disks:
      - { id: os, path: os.vhdx }
      - { id: data, path: data.raw }
`,
      );
      const agent = new AgentProcess(config);
      const lifeboat = (...args: string[]) =>
        run(process.execPath, [cli, 'agent', ...args, '--config', config, '--json']);
      const registered = await lifeboat(
        'register',
        '--key',
        (key as { registrationKey: string }).registrationKey,
      );
      expect(JSON.parse(registered.stdout)).toMatchObject({ hostName: 'hv1', site: 'site1' });
      const checked = await lifeboat('check');
      expect((JSON.parse(checked.stdout) as { machines: unknown }).machines).toEqual([
        { machine: 'vm-1', problem: null, diskBytes: 64 * mib + 512 * 3 },
      ]);
      agent.start();

      // Protect what it reports; the copy is killed twice and goes on.
      const machines = () =>
        source.call('GET', `${vaultPath}/replicationFabrics/site1/replicationProtectionContainers`);
      const container = ((await machines()).body as { value: { id: string }[] }).value[0]!.id;
      await eventually('the machine is reported', async () => {
        const { status } = await source.call('GET', `${container}/replicationProtectableItems/vm-1`);
        return status === 200 || undefined;
      });
      const policyId = `${vaultPath}/replicationPolicies/gold`;
      await source.call('PUT', policyId, {});
      await source.call('PUT', `${container}/replicationProtectionContainerMappings/map`, {
        properties: { policyId },
      });
      const itemPath = `${container}/replicationProtectedItems/vm-1`;
      const protectableItemId = `${container}/replicationProtectableItems/vm-1`;
      const put = await source.call('PUT', itemPath, {
        properties: { policyId, protectableItemId, providerSpecificDetails: {} },
      });
      expect(put.status).toBe(202);
      let arrived = 0;
      for (const least of [2, 5]) {
        await eventually(
          `${least} chunks have arrived`,
          async () => (await arrivedChunks(stateFolder)) >= least || undefined,
        );
        await agent.end('SIGKILL');
        arrived = await arrivedChunks(stateFolder);
        agent.start();
      }
      await agent.saw('copied, as of');
      const resumed = [...agent.output.matchAll(/(\d+) bytes of the disk were there/g)].map((match) =>
        Number(match[1]),
      );
      expect(resumed.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThanOrEqual((arrived - 1) * 4 * mib);

      // Cycles while the disks change.
      machine.startWriting();
      const pointsNow = () => source.points(itemPath);
      const morePoints = async (count: number): Promise<Point[]> =>
        source.awaitPoints(itemPath, (await pointsNow()).length + count, 60);
      await morePoints(3);
      // The network is cut for a while, and restored.
      wire.cut();
      await agent.saw('does not answer');
      await sleep(500);
      wire.mend();
      await morePoints(1);
      // The service is restarted.
      await host.stop();
      host = await startHost({
        app: root,
        dataDirectory,
        port: Number(new URL(host.url).port),
        args: ['--strict'],
        env: { LIFEBOAT_RECONCILE_SCHEDULE: '*/2 * * * * *' },
      });
      source = new SourceHost(host.local as unknown as Service);
      wire.lead(host.url);
      await morePoints(1);
      await machine.stopWriting();
      const before = await machine.hash();
      await morePoints(1);
      expect(await machine.hash()).toEqual(before);

      // The spool has no room: logs are made while they are sent.
      await agent.end('SIGKILL');
      const text = await readFile(config, 'utf8');
      await writeFile(config, text.replace('heartbeatSeconds', 'spool: { quota: 512KiB }\nheartbeatSeconds'));
      agent.start();
      await agent.saw('only the changed blocks are kept');
      await machine.write();
      await morePoints(1);

      // What changed is lost: the agent says so, and the disks are compared.
      await agent.end('SIGKILL');
      await machine.write();
      await rm(join(stateFolder, 'machines', 'vm-1', 'scan'), { recursive: true });
      await rm(join(stateFolder, 'spool'), { recursive: true, force: true });
      agent.start();
      await agent.saw('TrackingLost');
      const unhealthy = await eventually('the service knows', async () => {
        const { body } = await source.call('GET', itemPath);
        const { allowedOperations } = (body as { properties: { allowedOperations: string[] } }).properties;
        return allowedOperations.includes('RepairReplication') || undefined;
      });
      expect(unhealthy).toBe(true);
      const lastCycle = (await pointsNow()).at(-1)!.properties.providerSpecificDetails.cycle;
      const repair = await source.call('POST', `${itemPath}/repairReplication`);
      expect(repair.status).toBeLessThan(300);
      await agent.saw('bytes differ');
      await morePoints(1);
      const compared = [...agent.output.matchAll(/vm-1\/(os|data): (\d+) bytes differ/g)];
      expect(compared.map(([, disk]) => disk).sort()).toEqual(['data', 'os']);
      for (const [, , bytes] of compared) expect(Number(bytes)).toBeLessThan(mib);

      // Every recovery point is the view that it says it is.
      expect(await agent.end('SIGTERM')).toBe(0);
      const points = await pointsNow();
      expectTraces(points);
      expect(points.length).toBeGreaterThanOrEqual(8);
      expect(points.some((point) => point.properties.providerSpecificDetails.cycle > lastCycle)).toBe(true);
      for (const point of points) {
        const truth = join(folder, 'truth', point.properties.recoveryPointTime);
        for (const [disk, path] of [
          ['os', join(truth, 'os.vhdx')],
          ['data', join(truth, 'data')],
        ] as const) {
          await using reader = await openDisk(path);
          const frozen = Buffer.from(await reader.read(0, reader.sizeBytes));
          const recovered = await source.recover(point, disk, reader.sizeBytes);
          expect(recovered.equals(frozen), `${disk} at ${point.properties.recoveryPointTime}`).toBe(true);
        }
      }
      await host.stop();
    },
    480_000,
  );
});
