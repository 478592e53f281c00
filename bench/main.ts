// The program: `npm run bench [-- GROUP…] [--json]` measures and prints one table. It asserts nothing: exit code 0 means
// that everything was measured, 1 that something could not be.
import { availableParallelism, loadavg } from 'node:os';
import { Command, CommanderError, Option } from 'commander';
import { agentBench } from './agent/group.ts';
import { apiBench } from './api/group.ts';
import { hostBench } from './host/group.ts';
import { hrlBench } from './hrl/group.ts';
import { largeLogBench } from './hrl/tenMillion.ts';
import { type BenchGroup, formatTable, type Measurement } from './measurements.ts';
import { mergeBench } from './merge/group.ts';
import { protectionBench } from './protection/group.ts';
import { recoveryBench } from './recovery/group.ts';
import { replicationBench } from './replication/group.ts';
import { resyncBench } from './resync/group.ts';

const groups: Record<string, BenchGroup> = {
  host: hostBench,
  api: apiBench,
  replication: replicationBench,
  recovery: recoveryBench,
  merge: mergeBench,
  hrl: hrlBench,
  'hrl-large': largeLogBench,
  resync: resyncBench,
  protection: protectionBench,
  agent: agentBench,
};

function listOfGroups(): string {
  return Object.entries(groups)
    .map(([name, { what }]) => `  ${name.padEnd(12)} ${what}`)
    .join('\n');
}

async function main(): Promise<void> {
  const command = new Command('bench')
    .description('Measures; prints a table, or JSON.')
    .argument('[groups...]', 'which ones; without, all that need no request')
    .addOption(new Option('--json', 'print JSON instead of a table'))
    .addHelpText('after', `\nGroups:\n${listOfGroups()}`)
    .exitOverride()
    .parse();
  const all = Object.keys(groups).filter((name) => groups[name]?.isOnRequest !== true);
  const names = command.args.length > 0 ? command.args : all;
  const unknown = names.find((name) => !Object.hasOwn(groups, name));
  if (unknown !== undefined) throw new Error(`There is no group "${unknown}". There are:\n${listOfGroups()}`);
  const results: (Measurement & { group: string })[] = [];
  for (const name of names) {
    const progress = (line: string): void => void process.stderr.write(`${name}: ${line}\n`);
    // Who reads the numbers must know whether the machine was busy with something else.
    progress(`load ${loadavg()[0]?.toFixed(1) ?? '?'} on ${availableParallelism()} cores`);
    for (const measurement of (await groups[name]?.run(progress)) ?? [])
      results.push({ group: name, ...measurement });
  }
  const { json } = command.opts<{ json?: true }>();
  process.stdout.write(`${json === true ? JSON.stringify(results, undefined, 2) : formatTable(results)}\n`);
}

try {
  await main();
} catch (error) {
  // Commander has printed its own messages.
  if (!(error instanceof CommanderError)) process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = error instanceof CommanderError && error.exitCode === 0 ? 0 : 1;
}
