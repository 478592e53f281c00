// `lifeboat upload …`: the commands that send a disk or a log to the service. Declarations only.
import { Command, Option } from 'commander';
import { parseCycle, parseIdentifier, parseTime } from '../arguments.ts';
import type { Io } from '../io.ts';
import type { UploadDiskOptions } from './disk.ts';
import type { UploadLogOptions } from './log.ts';

/** Which service, item and disk: the same on every upload. */
function addTarget(command: Command): Command {
  return command
    .addOption(
      new Option('--item <id>', 'the protected item').argParser(parseIdentifier).makeOptionMandatory(),
    )
    .addOption(
      new Option('--disk <id>', 'the disk of the item').argParser(parseIdentifier).makeOptionMandatory(),
    )
    .option('--service <url>', 'address of the service (or LIFEBOAT_URL)')
    .option('--key <key>', 'key of the service (or LIFEBOAT_KEY, which other users cannot see)')
    .option('--local <dir>', 'use the service that runs with this data folder (default: ./.lifeboat)');
}

function diskCommand(io: Io): Command {
  return addTarget(new Command('disk'))
    .description('Initial replication: copy a raw image or fixed VHD into its replica.')
    .argument('<file>', 'the disk image')
    .option('--no-complete', 'leave the replica open: do not say that the disk is complete')
    .addOption(
      new Option('--point-in-time <time>', 'the file shows the disk at this moment (e.g. a snapshot)')
        .argParser(parseTime)
        .conflicts('consistentFrom'),
    )
    .addOption(
      new Option(
        '--consistent-from <cycle>',
        'the disk changed during the copy: consistent after this cycle',
      ).argParser(parseCycle),
    )
    .action(async (file: string, options: UploadDiskOptions) => {
      const { uploadDisk } = await import('./disk.ts');
      await uploadDisk(io, file, options);
    });
}

function logCommand(io: Io): Command {
  return addTarget(new Command('log'))
    .description('Verify a log and upload it as the next cycle of its disk.')
    .argument('<file>', 'the log')
    .addOption(
      new Option('--cycle <n>', 'refuse unless this is the cycle that the service waits for').argParser(
        parseCycle,
      ),
    )
    .addOption(
      new Option('--taken-at <time>', 'when the source was frozen for this log').argParser(parseTime),
    )
    .addOption(
      new Option('--consistency <kind>', 'what the frozen state is').choices(['crash', 'application']),
    )
    .action(async (file: string, options: UploadLogOptions) => {
      const { uploadLogFile } = await import('./log.ts');
      await uploadLogFile(io, file, options);
    });
}

export function uploadCommand(io: Io): Command {
  return new Command('upload')
    .description('Send disks and logs to the service')
    .addCommand(diskCommand(io))
    .addCommand(logCommand(io));
}
