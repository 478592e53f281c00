// `lifeboat cost`: declaration only.
import { Command, InvalidArgumentError, Option } from 'commander';
import { defaultPrices } from '../../lib/cost/prices.ts';
import type { PriceName, Prices } from '../../lib/cost/prices.ts';
import { parseSizeBytes } from '../arguments.ts';
import type { Io } from '../io.ts';

const gibibyte = 2 ** 30;

interface Options {
  machines: number;
  disks: number[];
  used: number;
  churn: number;
  interval: number;
  retention: number;
  writeSize: number;
  memory: number;
  softDelete: number;
  hosts?: number;
  poll: number;
  private: boolean;
  price: Partial<Prices>;
  json?: boolean;
}

function parseNumber(text: string): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(number) || number < 0)
    throw new InvalidArgumentError('Give a number that is not negative.');
  return number;
}

function parseDisks(text: string): number[] {
  return text.split(',').map((size) => parseSizeBytes(size.trim()) / gibibyte);
}

function parsePrice(text: string, before: Partial<Prices> = {}): Partial<Prices> {
  const [name = '', value = ''] = text.split('=', 2);
  if (!Object.hasOwn(defaultPrices, name))
    throw new InvalidArgumentError(
      `There is no price "${name}". There are: ${Object.keys(defaultPrices).join(', ')}.`,
    );
  return { ...before, [name as PriceName]: parseNumber(value) };
}

const option = <T>(
  flags: string,
  description: string,
  parse: (text: string, before?: T) => T,
  value: T,
): Option => new Option(flags, description).argParser<T>(parse).default(value);

function priceList(): string {
  const rows = Object.entries(defaultPrices).map(
    ([name, { value, unit }]) => `  ${name.padEnd(26)} ${String(value).padEnd(9)} ${unit}`,
  );
  return `\nPrices:\n${rows.join('\n')}`;
}

export function costCommand(io: Io): Command {
  return new Command('cost')
    .description('Estimate a month of protection in money, and compare it with Site Recovery.')
    .addOption(option('--machines <n>', 'machines, all alike', parseNumber, 1))
    .addOption(
      new Option('--disks <sizes>', 'sizes of the disks of one machine, commas between them')
        .argParser(parseDisks)
        .default([127], '127GiB'),
    )
    .addOption(
      new Option('--churn <size>', 'data of one machine that changes in a day')
        .argParser((text: string) => parseSizeBytes(text) / gibibyte)
        .default(5, '5GiB'),
    )
    .addOption(option('--used <percent>', 'part of the disks that was ever written', parseNumber, 60))
    .addOption(option('--interval <seconds>', 'time between two cycles', parseNumber, 300))
    .addOption(option('--retention <hours>', 'how long recovery points are kept', parseNumber, 24))
    .addOption(
      new Option('--write-size <size>', 'data of one write request on average')
        .argParser((text: string) => parseSizeBytes(text) / 1024)
        .default(256, '256KiB'),
    )
    .addOption(option('--memory <MiB>', 'memory of an instance', parseNumber, 2048))
    .addOption(option('--soft-delete <days>', 'how long deleted blobs are kept', parseNumber, 7))
    .addOption(
      new Option('--hosts <n>', 'source hosts (default: one for 20 machines)').argParser<number>((text) =>
        parseNumber(text),
      ),
    )
    .addOption(option('--poll <seconds>', 'time between two looks of a host', parseNumber, 15))
    .option('--private', 'with a virtual network and private endpoints', false)
    .addOption(
      new Option('--price <name=value>', 'another unit price; may be repeated')
        .argParser(parsePrice)
        .default({}, 'none'),
    )
    .addHelpText('after', priceList())
    .action(async (options: Options) => {
      const { cost } = await import('./cost.ts');
      await cost(io, {
        input: {
          ...{ machines: options.machines, diskGiB: options.disks, usedShare: options.used / 100 },
          ...{
            churnGiBPerDay: options.churn,
            intervalSeconds: options.interval,
            retentionHours: options.retention,
          },
          ...{
            writeKiB: options.writeSize,
            memoryGiB: options.memory / 1024,
            softDeleteDays: options.softDelete,
          },
          ...{ hosts: options.hosts ?? Math.ceil(options.machines / 20), pollSeconds: options.poll },
          isPrivate: options.private,
        },
        overrides: options.price,
        ...(options.json === undefined ? {} : { json: options.json }),
      });
    });
}
