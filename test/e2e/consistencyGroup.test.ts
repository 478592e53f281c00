// A consistency group in the agent, against the built app in the local host: two machines, and a writer that counts on one and
// then on the other. In a point of the group the second machine is never ahead of the first.
import { mkdirSync, openSync, rmdirSync, writeFileSync, writeSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startHost, temporaryFolder, type ReadyHost } from '../host/startHost.ts';
import { AgentProcess } from '../support/agentProcess.ts';
import { Item } from '../support/itemVerbs.ts';
import { SourceHost, type Point, type Service } from './client.ts';

const root = join(import.meta.dirname, '..', '..');
const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);
const program = (name: string): string => join(root, 'test', 'support', name);
const diskBytes = 64 * 1024;
const machines = ['first', 'second'] as const;
const agent = new AgentProcess(at('agent.yaml'));
let host: ReadyHost;

const machineOf = (id: string): string => `  - id: ${id}
    intervalSeconds: 4
    tracker:
      kind: program
      command: [env, "LIFEBOAT_TEST_STATE=${at(`${id}-states`)}", "${process.execPath}", "${program('freezeProgram.mjs')}"]
    hold: { command: [env, "LIFEBOAT_TEST_HOLD=${at(`${id}-hold`)}", "${process.execPath}", "${program('holdProgram.mjs')}"] }
    disks: [{ id: os, path: ${id}.raw }]
`;

/** Owns the folder while it works, as the programs that freeze and hold do. */
async function locked(path: string, work: () => void | Promise<void>): Promise<void> {
  for (;;) {
    try {
      mkdirSync(path);
      break;
    } catch {
      await sleep(1);
    }
  }
  try {
    await work();
  } finally {
    rmdirSync(path);
  }
}

/** An application on both machines: what it writes on the second follows from what it wrote on the first. */
class Writer {
  count = 0;
  #isOver = false;
  readonly #ended: Promise<void>;

  constructor() {
    this.#ended = this.#run();
  }

  async #write(machine: string): Promise<void> {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(this.count);
    await locked(at(`${machine}-hold`), () =>
      locked(at(`${machine}-states.lock`), () => {
        const file = openSync(at(`${machine}.raw`), 'r+');
        writeSync(file, bytes, 0, bytes.length, 512);
        closeSync(file);
      }),
    );
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      this.count++;
      for (const machine of machines) await this.#write(machine);
      await sleep(1);
    }
  }

  end(): Promise<void> {
    this.#isOver = true;
    return this.#ended;
  }
}

beforeAll(async () => {
  for (const machine of machines) writeFileSync(at(`${machine}.raw`), Buffer.alloc(diskBytes));
  writeFileSync(
    at('agent.yaml'),
    `service: { local: service }
site: site1
stateFolder: state
heartbeatSeconds: 2
pollSeconds: 0.2
machines:
${machines.map(machineOf).join('')}`,
  );
  host = await startHost({ app: root, dataDirectory: at('service'), args: ['--strict'] });
}, 60_000);
afterAll(async () => {
  await agent.end('SIGTERM');
  await host.stop();
});

const momentOf = (point: Point): string | null => point.properties.providerSpecificDetails.multiVmMoment;

it('has points of one moment of two machines, in which no write is there without the one that it follows from', async () => {
  const source = new SourceHost(host.local as unknown as Service);
  await source.call('PUT', `${source.service.vaultPath}/replicationFabrics/site1`, {});
  agent.start();
  const items = await Item.protect(source, machines);
  const patched = await source.call('PATCH', '/lifeboat/v1/policies/gold', { consistencyGroup: true });
  expect(patched.status).toBe(200);
  const writer = new Writer();
  const common = await agent.during(
    'two points of the group',
    async () => {
      const [first = [], second = []] = await Promise.all(items.map(({ path }) => source.points(path)));
      const pairs = first.flatMap((one) => {
        const other = second.find((each) => momentOf(one) !== null && momentOf(each) === momentOf(one));
        return other ? [[one, other] as const] : [];
      });
      return pairs.length >= 2 ? pairs : undefined;
    },
    150,
  );
  await writer.end();
  const counts = await Promise.all(
    common.map(async (pair) => {
      const disks = await Promise.all(pair.map((point) => source.recover(point, 'os', diskBytes)));
      return disks.map((bytes) => bytes.readUInt32LE(512));
    }),
  );
  for (const [first = 0, second = 0] of counts) {
    expect(first).toBeGreaterThan(0);
    expect(second === first || second === first - 1, `first ${first}, second ${second}`).toBe(true);
  }
  // The writer was at work all the time: the points are of different counts, and it went on behind them.
  const seen = counts.map(([first = 0]) => first);
  expect(new Set(seen).size).toBe(seen.length);
  expect(writer.count).toBeGreaterThan(Math.max(...seen));
}, 180_000);
