// One invocation of the command: arguments in, exit code out. Never throws and never exits the process.
import { CommanderError } from 'commander';
import { exitCodes, type ExitCode } from './exitCodes.ts';
import type { Io } from './io.ts';
import { program } from './program.ts';
import { describeFailure, NegativeResult, printFailure } from './failure.ts';

/** Runs `lifeboat` with these arguments (without node and script). */
export async function run(argv: readonly string[], io: Io): Promise<ExitCode> {
  const isJson = argv.includes('--json');
  try {
    await program(io, isJson).parseAsync([...argv], { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    // commander has printed help, the version or its complaint.
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
    if (error instanceof NegativeResult) return exitCodes.failed;
    const failure = describeFailure(error, io.signal);
    const isPrinted = error instanceof CommanderError && !isJson;
    if (!isPrinted) printFailure(failure, io, isJson);
    return failure.exitCode;
  }
}
