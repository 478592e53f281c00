// One sweep: clients keep a host busy with mixed work while it is killed again and again and started on the same data.
// At the end every piece of work has ended with the right output, every side effect has happened, and every uploaded blob
// has reached its functions. What was not so is returned as text; an empty list is a pass.
import { setTimeout as sleep } from 'node:timers/promises';
import { Effects } from './effects.ts';
import { type HostProcess, killHost, waitUntilReady } from './hostProcess.ts';
import { PatientClient } from './patientClient.ts';
import { type Random, type WorkItem, workItem } from './workload.ts';

export interface SweepOptions {
  /** Starts the app of ./app on the same data directory, every time. */
  spawn(): HostProcess | Promise<HostProcess>;
  /** A host that runs already; without it one is started. */
  host?: HostProcess;
  /** Names what this sweep leaves in storage: lower-case letters and digits. */
  runId: string;
  random: Random;
  kills: number;
  /** Of the kills, one in so many hits a host that is still starting. */
  startKillEvery: number;
  report: (line: string) => void;
}

export interface SweepResult {
  /** The host that runs at the end; the caller stops it. */
  host: HostProcess;
  violations: string[];
  instances: number;
  blobs: number;
  effects: number;
  /** Effects beyond what was needed: activities that a kill made run again. */
  repeatedEffects: number;
}

const workers = 8;
/** However slow the machine is, so much is done. */
const leastItems = 24;
const leastBlobs = 8;
const patienceMs = 90_000;
const uploadPauseMs = 150;
/** A kill that waits for an acknowledgement waits no longer than this. */
const longestAimMs = 2000;
const container = 'conformance';

export async function runKillSweep(options: SweepOptions): Promise<SweepResult> {
  const { runId, random } = options;
  const table = `Sweep${runId}`;
  const first = options.host ?? (await options.spawn());
  const client = new PatientClient(await waitUntilReady(first), patienceMs);
  let areKillsOver = false;
  const killing = killAgainAndAgain(options, first, client).finally(() => (areKillsOver = true));

  const items: WorkItem[] = [];
  const blobNames: string[] = [];
  const violations: string[] = [];
  const work = async (): Promise<void> => {
    while (!areKillsOver || items.length < leastItems) {
      const item = workItem(runId, items.length, table, random);
      items.push(item);
      const problem = await client.complete(item);
      if (problem !== undefined) violations.push(problem);
    }
  };
  const upload = async (): Promise<void> => {
    while (!areKillsOver || blobNames.length < leastBlobs) {
      const name = `blob${blobNames.length}`;
      await client.upload(container, `${table}/${name}`, name);
      blobNames.push(name);
      await sleep(uploadPauseMs);
    }
  };
  const working = Promise.all([...Array.from({ length: workers }, work), upload()]);
  const [host] = await Promise.all([killing, working]);
  const effects = new Effects(client.address.storageConnectionString, table);
  const needed = neededEffects(items, blobNames);
  const { missing, total, repeated } = await awaitEffects(effects, needed);
  return {
    ...{ host, violations: [...violations, ...missing] },
    ...{ instances: items.length, blobs: blobNames.length, effects: total, repeatedEffects: repeated },
  };
}

/** Kills and starts; returns the last host, ready. */
async function killAgainAndAgain(
  options: SweepOptions,
  first: HostProcess,
  client: PatientClient,
): Promise<HostProcess> {
  const { random, kills, startKillEvery, report } = options;
  let host = first;
  for (let kill = 1; kill <= kills; kill++) {
    const afterMs = 300 + random(2000);
    await sleep(afterMs);
    const isTargeted = random(2) === 0;
    if (isTargeted) await Promise.race([client.nextAcknowledgement(), sleep(longestAimMs)]);
    await killHost(host);
    const aim = isTargeted ? ', right after an acknowledgement' : '';
    report(`kill ${kill} of ${kills}, ${afterMs} ms after the host was ready${aim}`);
    if (kill < kills && kill % startKillEvery === 0) {
      kill++;
      const startKillMs = random(1200);
      host = await options.spawn();
      await sleep(startKillMs);
      await killHost(host);
      report(`kill ${kill} of ${kills}, ${startKillMs} ms after the process was started`);
    }
    host = await options.spawn();
    client.address = await waitUntilReady(host);
  }
  return host;
}

function neededEffects(items: readonly WorkItem[], blobNames: readonly string[]): Map<string, number> {
  const needed = new Map<string, number>();
  for (const item of items) for (const [key, count] of item.effects) needed.set(key, count);
  for (const name of blobNames) {
    needed.set(`bytes-${name}`, 1);
    needed.set(`client-${name}`, 1);
  }
  return needed;
}

/** Waits for the effects that come by themselves (blobs), then tells what is missing, and what has happened too often. */
async function awaitEffects(
  effects: Effects,
  needed: ReadonlyMap<string, number>,
): Promise<{ missing: string[]; total: number; repeated: number }> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const counts = new Map<string, number>();
    for (const { key } of await effects.all()) counts.set(key, (counts.get(key) ?? 0) + 1);
    const missing = [...needed].filter(([key, count]) => (counts.get(key) ?? 0) < count);
    const unknown = [...counts.keys()].filter((key) => !needed.has(key));
    if (missing.length === 0 || Date.now() > deadline) {
      const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
      const repeated = [...counts].reduce(
        (sum, [key, count]) => sum + Math.max(0, count - (needed.get(key) ?? 0)),
        0,
      );
      const problems = missing.map(
        ([key, count]) => `${key}: ${counts.get(key) ?? 0} effects instead of ${count}`,
      );
      return {
        missing: [...problems, ...unknown.map((key) => `${key}: nobody asked for it`)],
        total,
        repeated,
      };
    }
    await sleep(250);
  }
}
