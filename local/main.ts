// The program: parses the command line, then is the host, or with --watch the process that watches the app for one.
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { parseCommandLine } from './commandLine.ts';
import { runHost } from './hostProgram.ts';
import { LogWriter } from './logWriter.ts';
import { StartError, exitCodes } from './process/startError.ts';
import { watchApp } from './watch/watchApp.ts';

async function run(argv: readonly string[]): Promise<number> {
  const commandLine = parseCommandLine(argv);
  const writer = new LogWriter({
    isJson: commandLine.isJson,
    write: (line) => process.stdout.write(`${line}\n`),
  });
  if (commandLine.watch === undefined) return runHost(commandLine, writer);
  const program = fileURLToPath(import.meta.url);
  return watchApp({ commandLine, program, args: argv.slice(2), log: writer.log });
}

// Whoever reads the log may go away (`npm start | head`); the host goes on.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);
try {
  process.exit(await run(process.argv));
} catch (error) {
  if (error instanceof StartError) {
    process.stderr.write(`${error.message}\n`);
    process.exit(error.exitCode);
  }
  if (!(error instanceof CommanderError)) throw error;
  // Commander has printed its message; --help ends with 0.
  process.exit(error.exitCode === 0 ? 0 : exitCodes.cannotStart);
}
