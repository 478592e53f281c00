// `lifeboat hrl …`: the commands that look at, compare, make, merge and apply log files. Declarations only.
import { Command, Option } from 'commander';
import {
  parseDiskSizeBytes,
  parseGuidArgument,
  parseSha256,
  parseSizeBytes,
  parseTime,
} from '../arguments.ts';
import type { Io } from '../io.ts';
import type { ApplyOptions } from './apply.ts';
import type { CreateOptions } from './create.ts';
import type { DiffOptions } from './diff.ts';
import type { InspectOptions } from './inspect.ts';
import type { MergeOptions } from './merge.ts';
import type { VerifyOptions } from './verify.ts';

const sha256Option = () =>
  new Option('--sha256 <hex>', 'refuse a file with another SHA-256').argParser(parseSha256);
const metadataSizeOption = () =>
  new Option('--metadata-size <bytes>', 'size of a metadata block').argParser(parseSizeBytes).default(4096);
const previousOption = (what: string) => new Option('--previous <guid>', what).argParser(parseGuidArgument);

function inspectCommand(io: Io): Command {
  return new Command('inspect')
    .description('Show header, blocks and writes of a log. Reads its metadata only; see verify.')
    .argument('<file>', 'the log')
    .option('--blocks', 'list every metadata block')
    .option('--entries', 'list every write')
    .addOption(
      new Option('--disk-size <bytes>', 'draw the heat map of a disk of this size').argParser(
        parseDiskSizeBytes,
      ),
    )
    .action(async (file: string, options: InspectOptions) => {
      const { inspectLog } = await import('./inspect.ts');
      await inspectLog(io, file, options);
    });
}

function verifyCommand(io: Io): Command {
  return new Command('verify')
    .description('Check a whole log: structure, checksums, and whatever the options say.')
    .argument('<file>', 'the log')
    .addOption(
      new Option('--disk-size <bytes>', 'refuse writes past a disk of this size').argParser(
        parseDiskSizeBytes,
      ),
    )
    .addOption(sha256Option())
    .addOption(previousOption('refuse a log that does not follow the log with this id'))
    .action(async (file: string, options: VerifyOptions) => {
      const { verifyLog } = await import('./verify.ts');
      await verifyLog(io, file, options);
    });
}

function createCommand(io: Io): Command {
  return new Command('create')
    .description('Make the log that turns a disk into its changed state.')
    .requiredOption('--changed <file>', 'the changed disk: raw image or fixed VHD; must not change meanwhile')
    .requiredOption('--out <log>', 'the log to write')
    .option('--base <file>', 'the disk before: what differs in 4 KiB blocks is logged')
    .option('--extents <json>', 'instead of --base: [{"offset":0,"length":4096},…] in bytes; "-" reads stdin')
    .addOption(previousOption('id of the log before this one (default: none, this log starts a chain)'))
    .addOption(new Option('--id <guid>', 'id of this log (default: a new one)').argParser(parseGuidArgument))
    .addOption(new Option('--created-at <time>', 'time in the header (default: now)').argParser(parseTime))
    .addOption(
      new Option('--data-write-guid <guid>', 'Data Write GUID of the VHDX, if the source is one').argParser(
        parseGuidArgument,
      ),
    )
    .addOption(metadataSizeOption())
    .option('--data-checksums', 'give every write a checksum of its data')
    .option('--force', 'replace an existing log')
    .action(async (options: CreateOptions) => {
      const { createLog } = await import('./create.ts');
      await createLog(io, options);
    });
}

function applyCommand(io: Io): Command {
  return new Command('apply')
    .description('Write a log into a raw image or fixed VHD. The log is verified first; twice equals once.')
    .argument('<log>', 'the log')
    .argument('<raw>', 'the disk image, changed in place')
    .addOption(
      new Option('--size <bytes>', 'make or extend the raw image to this size first').argParser(
        parseDiskSizeBytes,
      ),
    )
    .addOption(sha256Option())
    .addOption(previousOption('refuse a log that does not follow the log with this id'))
    .action(async (log: string, raw: string, options: ApplyOptions) => {
      const { applyLog } = await import('./apply.ts');
      await applyLog(io, { log, raw }, options);
    });
}

function mergeCommand(io: Io): Command {
  return new Command('merge')
    .description('Make one log of consecutive logs of a disk. Same effect, each place written once.')
    .argument('<out>', 'the log to write')
    .argument('<log...>', 'the logs, oldest first; each follows the one before it or starts a chain')
    .addOption(previousOption('refuse a first log that does not follow the log with this id'))
    .addOption(
      new Option('--disk-size <bytes>', 'refuse writes past a disk of this size').argParser(
        parseDiskSizeBytes,
      ),
    )
    .addOption(metadataSizeOption())
    .option('--data-checksums', 'give every write a checksum of its data')
    .option('--force', 'replace an existing log')
    .action(async (out: string, logs: string[], options: MergeOptions) => {
      const { mergeLogs } = await import('./merge.ts');
      await mergeLogs(io, { out, logs }, options);
    });
}

function diffCommand(io: Io): Command {
  return new Command('diff')
    .description('Compare what two logs do to a disk. Exit code 0: the same; 1: not the same, or failed.')
    .argument('<first>', 'a log')
    .argument('<second>', 'another log')
    .option('--all', 'list every range that differs, not the first 20')
    .action(async (first: string, second: string, options: DiffOptions) => {
      const { diffTwoLogs } = await import('./diff.ts');
      await diffTwoLogs(io, { first, second }, options);
    });
}

export function hrlCommand(io: Io): Command {
  return new Command('hrl')
    .description(
      'Look at, check, compare, make, merge and apply Hyper-V Replica Logs (files, no service needed)',
    )
    .addCommand(inspectCommand(io))
    .addCommand(verifyCommand(io))
    .addCommand(createCommand(io))
    .addCommand(applyCommand(io))
    .addCommand(mergeCommand(io))
    .addCommand(diffCommand(io));
}
