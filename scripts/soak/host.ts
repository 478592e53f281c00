// The soak of the local host: rounds of the kill sweep on one data directory, so that what earlier rounds left (receipts,
// queues, files) is there in later ones. Each round is checked at its end, and then removed through the purge API.
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Effects } from '../../test/conformance/effects.ts';
import {
  type HostProcess,
  killHost,
  spawnHost,
  stopHost,
  waitUntilReady,
} from '../../test/conformance/hostProcess.ts';
import { runKillSweep, type SweepResult } from '../../test/conformance/killSweep.ts';
import { randomSource } from '../../test/support/protectedVm.ts';

/** Until so many kills, or for so long. */
export type SoakLength = { kills: number } | { minutes: number };

const root = join(import.meta.dirname, '..', '..');
const killsOfRound = 5;
const startKillEvery = 3;

interface Totals {
  kills: number;
  rounds: number;
  instances: number;
  blobs: number;
  effects: number;
  repeatedEffects: number;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Runs it and prints how it goes. False when something was lost, stuck or wrong; the data is kept then. */
export async function soakHost(length: SoakLength, seed: number): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'soak-host-'));
  const dataDirectory = join(folder, 'data');
  const started = new Set<HostProcess>();
  const spawn = (): HostProcess => {
    const program = join(root, 'dist', 'local', 'main.mjs');
    const app = join(root, 'test', 'conformance', 'app');
    const host = spawnHost({ program, app, dataDirectory, args: ['--strict'] });
    started.add(host);
    void host.exited.then(() => {
      started.delete(host);
      appendFileSync(join(folder, 'host.log'), host.output());
    });
    return host;
  };
  const interrupt = (): void => {
    for (const { child } of started) child.kill('SIGKILL');
    print(`soak host: interrupted. Its data is in ${folder}.`);
    process.exit(130);
  };
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  print(`soak host: seed ${seed}, data in ${folder}`);
  try {
    const violations = await runRounds(length, seed, spawn);
    if (violations.length === 0) {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
      return true;
    }
    for (const violation of violations) print(`  ${violation}`);
    print(
      `soak host: FAILED, ${violations.length} violations. Its data is in ${folder}; --seed ${seed} repeats it.`,
    );
    return false;
  } finally {
    for (const host of started) await killHost(host);
  }
}

/** Rounds until the length is reached or one has violations, which are returned. */
async function runRounds(length: SoakLength, seed: number, spawn: () => HostProcess): Promise<string[]> {
  const startedAt = Date.now();
  const random = randomSource(seed);
  const totals: Totals = { kills: 0, rounds: 0, instances: 0, blobs: 0, effects: 0, repeatedEffects: 0 };
  const remainingKills = (): number => {
    if ('kills' in length) return length.kills - totals.kills;
    return Date.now() - startedAt < length.minutes * 60_000 ? killsOfRound : 0;
  };
  let host = spawn();
  while (remainingKills() > 0) {
    const kills = Math.min(killsOfRound, remainingKills());
    const runId = `r${totals.rounds}`;
    const result = await runKillSweep({
      spawn,
      host,
      runId,
      random,
      kills,
      startKillEvery,
      report: (line) => print(`  ${line}`),
    });
    host = result.host;
    if (result.violations.length > 0) return result.violations;
    addRound(totals, result, kills);
    print(`${summary(totals)}, ${Math.round((Date.now() - startedAt) / 1000)} s`);
    await removeRound(host, runId);
  }
  const exitCode = await stopHost(host);
  if (exitCode !== 0) return [`the last host ended with ${exitCode} instead of 0`];
  print(
    `soak host: passed, ${summary(totals)}, ${Math.round((Date.now() - startedAt) / 1000)} s, seed ${seed}`,
  );
  return [];
}

function addRound(totals: Totals, result: SweepResult, kills: number): void {
  totals.rounds++;
  totals.kills += kills;
  totals.instances += result.instances;
  totals.blobs += result.blobs;
  totals.effects += result.effects;
  totals.repeatedEffects += result.repeatedEffects;
}

function summary({ kills, rounds, instances, blobs, effects, repeatedEffects }: Totals): string {
  return (
    `${rounds} rounds, ${kills} kills, ${instances} instances and ${blobs} blobs complete, ` +
    `${effects} side effects (${repeatedEffects} repeated)`
  );
}

/** Purges the round's instances and drops its effects, as an app that runs for months would. */
async function removeRound(host: HostProcess, runId: string): Promise<void> {
  const { url, storageConnectionString } = await waitUntilReady(host);
  const filter = 'createdTimeFrom=2000-01-01T00:00:00Z&runtimeStatus=Completed';
  const response = await fetch(`${url}/runtime/webhooks/durabletask/instances?${filter}`, {
    method: 'DELETE',
  });
  if (!response.ok) throw new Error(`The purge failed: ${response.status} ${await response.text()}`);
  await new Effects(storageConnectionString, `Sweep${runId}`).delete();
}
