// The command line: which commands exist, their arguments and help. What a command does is loaded only when it runs,
// because the storage SDK alone takes longer to load than most commands take.
import { Command } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import { agentCommand } from './agent/command.ts';
import { costCommand } from './cost/command.ts';
import { hrlCommand } from './hrl/command.ts';
import { completionScript, type Shell } from './completion.ts';
import type { Io } from './io.ts';
import { operatorCommands } from './manage/command.ts';
import { uploadCommand } from './upload/command.ts';

const afterHelp = `
Exit codes: 0 done · 1 failed · 2 wrong usage · 3 the log is refused · 4 service not reachable, or key refused · 130 interrupted`;

/** The whole command tree, writing to `io`. With `isJson` complaints about usage are left to the caller to print. */
export function program(io: Io, isJson: boolean): Command {
  const root = new Command('lifeboat')
    .description(
      'Disaster recovery by Hyper-V Replica Logs: protect machines, run the agent of a source host, look at logs.',
    )
    .version(packageJson.version, '--version', 'print the version')
    .option('--json', 'print one JSON document on stdout, results and errors alike')
    .addHelpText('after', afterHelp);
  for (const command of operatorCommands(io, (shell) => completionScript(root, shell as Shell)))
    root.addCommand(command);
  root
    .addCommand(agentCommand(io))
    .addCommand(hrlCommand(io))
    .addCommand(uploadCommand(io))
    .addCommand(costCommand(io));
  configure(root, io, isJson);
  return root;
}

/** Streams and error handling of every command; commander inherits them only to commands made by `.command()`. */
function configure(command: Command, io: Io, isJson: boolean): void {
  command
    .exitOverride()
    .showHelpAfterError('(--help shows how)')
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => {
        if (!isJson) io.stderr.write(text);
      },
    });
  for (const child of command.commands) {
    // `lifeboat --json hrl …` and `lifeboat hrl … --json` are the same.
    if (isJson) child.setOptionValue('json', true);
    child.option('--json', 'print one JSON document on stdout');
    configure(child, io, isJson);
  }
}
