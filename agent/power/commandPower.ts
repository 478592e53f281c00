// The power switch of a machine as two commands of its hypervisor: `virsh domstate`, `(Get-VM …).State`, `qm status`.
import { LifeboatError } from '../../lib/errors.ts';
import { runProgram } from '../track/program/runProgram.ts';
import type { MachinePower } from './machinePower.ts';

export interface PowerCommands {
  machine: string;
  /** Prints the state of the machine and ends with 0. */
  isRunning: readonly string[];
  shutdown?: readonly string[] | undefined;
  timeoutSeconds: number;
}

/** A command answers at once, whatever the guest does. */
const commandTimeoutSeconds = 60;
/** What hypervisors call a machine that is off. Every other word counts as running: saved and paused machines go on later. */
const offWords = /^(?:(?:status|state):\s*)?(?:off|shut ?off|stopped|powered ?off)$/i;

/** Runs no command yet. */
export function commandPower({ machine, isRunning, shutdown, timeoutSeconds }: PowerCommands): MachinePower {
  const run = async (command: readonly string[]): Promise<string> => {
    const name = command.join(' ');
    const failed = (why: string, cause?: unknown): LifeboatError =>
      new LifeboatError('SourceMachineRunning', `Machine ${machine}: ${why}`, { target: machine, cause });
    const program = { command, timeoutSeconds: commandTimeoutSeconds };
    const { exitCode, stdout, stderr } = await runProgram(program, '', { LIFEBOAT_MACHINE: machine }).catch(
      (error: unknown) => {
        throw failed(error instanceof Error ? error.message : String(error), error);
      },
    );
    if (exitCode !== 0)
      throw failed(`"${name}" ended with ${exitCode}${stderr === '' ? '' : `: ${stderr}`}.`);
    return stdout;
  };
  return {
    timeoutSeconds,
    async isRunning() {
      const lines = (await run(isRunning)).split('\n').map((line) => line.trim());
      const [word] = lines.filter((line) => line !== '');
      if (word !== undefined) return !offWords.test(word);
      const message = `Machine ${machine}: "${isRunning.join(' ')}" printed nothing; it must print the state, "off" or another.`;
      throw new LifeboatError('SourceMachineRunning', message, { target: machine });
    },
    ...(shutdown && {
      async shutDown() {
        await run(shutdown);
      },
    }),
  };
}
