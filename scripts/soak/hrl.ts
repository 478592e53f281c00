// The soak of the log format: a long campaign of mutated logs against the oracle of test/fuzz. It ends at the first
// finding, and keeps the log that caused it.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCampaign } from '../../test/fuzz/campaign.ts';
import { mutantOf } from '../../test/fuzz/mutant.ts';
import { Finding } from '../../test/fuzz/oracle.ts';

/** Until so many mutants, or for so long. */
export type FuzzLength = { count: number } | { minutes: number };

const batchSize = 10_000;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function keep(seed: number, index: number): string {
  const path = join(mkdtempSync(join(tmpdir(), 'soak-hrl-')), `seed-${seed}-mutant-${index}.hrl`);
  writeFileSync(path, mutantOf(seed, index).bytes);
  return path;
}

/** Runs it and prints how it goes. False when a mutant broke a promise. */
export async function soakHrl(length: FuzzLength, seed: number): Promise<boolean> {
  const startedAt = Date.now();
  const seconds = (): number => Math.round((Date.now() - startedAt) / 1000);
  const remaining = (done: number): number => {
    if ('count' in length) return Math.min(batchSize, length.count - done);
    return Date.now() - startedAt < length.minutes * 60_000 ? batchSize : 0;
  };
  print(`soak hrl: seed ${seed}`);
  const totals = new Map<string, number>();
  let done = 0;
  try {
    for (let count = remaining(done); count > 0; count = remaining(done)) {
      const outcomes = await runCampaign({ seed, first: done, count });
      for (const [outcome, times] of outcomes) totals.set(outcome, (totals.get(outcome) ?? 0) + times);
      done += count;
      if (done % (10 * batchSize) === 0) print(`  ${done} mutants, ${seconds()} s`);
    }
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
    print(`soak hrl: FAILED: ${error.message}`);
    if (error.index !== undefined) print(`  The log is ${keep(seed, error.index)}.`);
    return false;
  }
  for (const [outcome, times] of [...totals].sort()) print(`  ${outcome.padEnd(24)} ${times}`);
  print(`soak hrl: passed, ${done} mutants, ${seconds()} s, seed ${seed}`);
  return true;
}
