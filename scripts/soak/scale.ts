// The soak of scale: many machines through many cycles on storage in memory, with the code that runs in Azure. What one cycle
// asks of the storage must not grow with the number of cycles that an item has behind it, nor with the number of items.
import { ProtectedVm } from '../../test/support/protectedVm.ts';
import { drainItem } from '../../lib/replication/drain.ts';
import { memoryStorage } from '../../lib/storage/memory/index.ts';
import { type Counts, countedStorage, totalCalls } from './countedStorage.ts';

export interface ScaleOptions {
  items: number;
  cycles: number;
  seed: number;
}

/** What one round, a cycle of every item, asked for: per item. */
export interface Round {
  cycle: number;
  calls: number;
  listed: number;
  /** Processor time: what else the machine does counts little. */
  milliseconds: number;
}

export interface ScaleResult {
  rounds: Round[];
  /** Calls of one cycle by port and method, in the last round: per item. */
  callsByName: [string, number][];
  /** What was wrong; empty when all is well. */
  violations: string[];
}

/** What the last quarter of the rounds may cost more than the first one. */
const growthLimit = 1.05;
const diskBytes = 64 * 1024;
/** Items whose recovery points are compared byte by byte at the end. */
const verifiedItems = 50;

const average = (rounds: readonly Round[], field: keyof Round): number =>
  rounds.reduce((sum, round) => sum + round[field], 0) / rounds.length;

/** Average of the last quarter of the rounds by that of the first, without the very first, which has no predecessor. */
export function growthOf(rounds: readonly Round[], field: keyof Round): number {
  const settled = rounds.slice(1);
  const quarter = Math.max(1, Math.floor(settled.length / 4));
  return average(settled.slice(-quarter), field) / average(settled.slice(0, quarter), field);
}

async function runRound(machines: readonly ProtectedVm[], counts: Counts): Promise<Round> {
  const cycle = machines[0]?.history.length ?? 0;
  const logs = machines.map((machine) => machine.cutCycle(2));
  for (const [index, machine] of machines.entries()) await machine.upload(...(logs[index] ?? []));
  counts.calls.clear();
  counts.listed = 0;
  const before = process.cpuUsage();
  for (const { context, item } of machines) await drainItem(context, item);
  const { user, system } = process.cpuUsage(before);
  const milliseconds = (user + system) / 1000 / machines.length;
  const { length } = machines;
  return { cycle, calls: totalCalls(counts) / length, listed: counts.listed / length, milliseconds };
}

async function violationsOf(machines: readonly ProtectedVm[], rounds: readonly Round[]): Promise<string[]> {
  const violations: string[] = [];
  for (const field of ['calls', 'listed'] as const) {
    const growth = growthOf(rounds, field);
    if (growth > growthLimit) violations.push(`${field} per cycle grew to ${growth.toFixed(2)} times`);
  }
  for (const machine of machines) {
    const { appliedCycle } = await machine.record();
    if (appliedCycle !== rounds.length)
      violations.push(`${machine.item} is at cycle ${appliedCycle} instead of ${rounds.length}`);
  }
  for (const machine of machines.slice(0, verifiedItems)) {
    const newest = (await machine.points()).at(-1);
    if (newest?.cycle !== rounds.length)
      violations.push(`${machine.item} has no recovery point of the last cycle`);
    else violations.push(...(await machine.differences(newest)));
  }
  return violations;
}

/** Runs it; `report` is called after every round. */
export async function runScale(
  { items, cycles, seed }: ScaleOptions,
  report: (round: Round) => void = () => undefined,
): Promise<ScaleResult> {
  const { storage, counts } = countedStorage(memoryStorage());
  const machines: ProtectedVm[] = [];
  for (let index = 0; index < items; index++) {
    const item = `vm-${String(index).padStart(5, '0')}`;
    const options = { item, diskSizes: [diskBytes], longestWriteSectors: 4, seed: seed + index, storage };
    machines.push(await new ProtectedVm(options).protect());
  }
  const rounds: Round[] = [];
  for (let cycle = 1; cycle <= cycles; cycle++) {
    const round = await runRound(machines, counts);
    rounds.push(round);
    report(round);
    // Only the newest state of a disk is compared: the copies of earlier ones would fill the memory.
    for (const { history } of machines) if (cycle > 1) history[cycle - 1] = [];
  }
  const callsByName = [...counts.calls]
    .map(([name, count]): [string, number] => [name, count / items])
    .sort(([, a], [, b]) => b - a);
  return { rounds, callsByName, violations: await violationsOf(machines, rounds) };
}

/** Runs it and prints how it goes. False when the cost grew or a recovery point is wrong. */
export async function soakScale(options: ScaleOptions): Promise<boolean> {
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const { items, cycles, seed } = options;
  print(`soak scale: ${items} items, ${cycles} cycles, seed ${seed}`);
  const every = Math.max(1, Math.floor(cycles / 10));
  const { rounds, callsByName, violations } = await runScale(options, (round) => {
    if (round.cycle % every !== 0 && round.cycle !== 1) return;
    const { cycle, calls, listed, milliseconds } = round;
    print(
      `  cycle ${String(cycle).padStart(3)}: ${calls.toFixed(1)} calls, ${listed.toFixed(1)} rows listed, ${milliseconds.toFixed(2)} ms of processor an item`,
    );
  });
  for (const [name, count] of callsByName) print(`  ${name.padEnd(32)} ${count.toFixed(2)} a cycle`);
  const growth = (['calls', 'listed', 'milliseconds'] as const)
    .map((field) => `${field} ${growthOf(rounds, field).toFixed(3)}`)
    .join(', ');
  print(`  last quarter of the cycles by the first: ${growth}`);
  for (const violation of violations.slice(0, 20)) print(`  ${violation}`);
  const verdict = violations.length === 0 ? 'passed' : `FAILED, ${violations.length} violations`;
  print(`soak scale: ${verdict}, ${items * cycles} cycles, seed ${seed}`);
  return violations.length === 0;
}
