// The program: `npm run soak -- NAME` runs one long test by name. It prints progress, ends with one line that says how it
// went, and exits with 0 (passed), 1 (found something, or could not run) or 130 (interrupted).
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { soakHost } from './host.ts';
import { soakHrl } from './hrl.ts';
import { soakScale } from './scale.ts';

interface CommandLine {
  kills?: number;
  count?: number;
  items?: number;
  cycles?: number;
  minutes?: number;
  seed: number;
}

type Soak = (options: CommandLine) => Promise<boolean>;

const defaultKills = 30;
const defaultMutants = 1_000_000;
const defaultItems = 2000;
const defaultCycles = 50;

const soaks: Record<string, { run: Soak; what: string }> = {
  host: {
    run: ({ kills = defaultKills, minutes, seed }) =>
      soakHost(minutes === undefined ? { kills } : { minutes }, seed),
    what: 'kill -9 of the local host under a mixed workload, again and again',
  },
  hrl: {
    run: ({ count = defaultMutants, minutes, seed }) =>
      soakHrl(minutes === undefined ? { count } : { minutes }, seed),
    what: 'mutated delta logs against a plain second reader',
  },
  scale: {
    run: ({ items = defaultItems, cycles = defaultCycles, seed }) => soakScale({ items, cycles, seed }),
    what: 'many machines through many cycles on storage in memory: a cycle costs the same at the end',
  },
};

function parsePositive(text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  throw new InvalidArgumentError('It must be a number above 0.');
}

function parseWhole(text: string): number {
  const number = parsePositive(text);
  if (Number.isSafeInteger(number)) return number;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}

function listOfSoaks(): string {
  return Object.entries(soaks)
    .map(([name, { what }]) => `  ${name.padEnd(8)} ${what}`)
    .join('\n');
}

function findSoak(name: string): Soak {
  const soak = Object.hasOwn(soaks, name) ? soaks[name] : undefined;
  if (soak !== undefined) return soak.run;
  throw new CommanderError(1, 'soak.unknown', `There is no soak "${name}". There are:\n${listOfSoaks()}`);
}

async function main(): Promise<number> {
  let exitCode = 1;
  const command = new Command('soak')
    .description('Long tests that do not fit into npm test.')
    .argument('<name>', 'which one')
    .addOption(
      new Option('--kills <count>', `host: how often to kill (default ${defaultKills})`).argParser(
        parseWhole,
      ),
    )
    .addOption(
      new Option('--count <mutants>', `hrl: how many mutants (default ${defaultMutants})`).argParser(
        parseWhole,
      ),
    )
    .addOption(
      new Option('--items <count>', `scale: machines (default ${defaultItems})`).argParser(parseWhole),
    )
    .addOption(
      new Option('--cycles <count>', `scale: cycles of each (default ${defaultCycles})`).argParser(
        parseWhole,
      ),
    )
    .addOption(
      new Option('--minutes <number>', 'how long, instead of a count')
        .argParser(parsePositive)
        .conflicts(['kills', 'count', 'items', 'cycles']),
    )
    .option('--seed <number>', 'repeats the choices of an earlier run', parseWhole, Date.now() % 2 ** 31)
    .addHelpText('after', `\nSoaks:\n${listOfSoaks()}`)
    .allowExcessArguments(false)
    .showHelpAfterError(true)
    .exitOverride()
    .action(async (name: string, options: CommandLine) => {
      exitCode = (await findSoak(name)(options)) ? 0 : 1;
    });
  await command.parseAsync();
  return exitCode;
}

try {
  process.exit(await main());
} catch (error) {
  // Commander has printed its own messages; ours it has not.
  if (!(error instanceof CommanderError))
    process.stderr.write(`${(error as Error).stack ?? String(error)}\n`);
  else if (error.code === 'soak.unknown') process.stderr.write(`${error.message}\n`);
  process.exit(error instanceof CommanderError && error.exitCode === 0 ? 0 : 1);
}
