// Whether a machine runs on this host, and switching it off. Nothing here ever starts a machine: that is the decision of
// people, because two of one machine do more harm than none.
import { setTimeout as sleep } from 'node:timers/promises';
import { LifeboatError } from '../../lib/errors.ts';

/** The power switch of one machine. */
export interface MachinePower {
  /** True when it runs, is paused or saved: whenever its disks may still change. Throws `SourceMachineRunning` or `SourceUnavailable` when that cannot be told. */
  isRunning(): Promise<boolean>;
  /** Asks the guest to shut down; does not wait for it. Absent where only an administrator can. May be called again. */
  shutDown?(): Promise<void>;
  /** Makes the program that ran the machine let go of its disks. Called only while the machine is off; may be called twice. */
  letGo?(): Promise<void>;
  /** How long a guest may take to shut down. */
  readonly timeoutSeconds: number;
}

export interface OffOptions {
  machine: string;
  signal: AbortSignal;
  report: (doing: string) => void;
  /** Between two looks. Default 1 s. */
  pollMs?: number;
}

/** The error of a machine that agent.yaml gives no power switch. `what` needs it: "A planned failover". */
export function requirePower(
  power: MachinePower | undefined,
  { machine, what }: { machine: string; what: string },
): MachinePower {
  if (power) return power;
  const message = `${what} needs machine ${machine} to be off, and agent.yaml has no "power" for it: the commands isRunning and shutdown.`;
  throw new LifeboatError('PowerNotConfigured', message, { target: machine });
}

/**
 * Returns when the machine is off; asks it to shut down if it runs. May be called again. Throws `SourceMachineRunning` when it
 * still runs after the time limit, or when nobody but an administrator can switch it off.
 */
export async function ensureOff(
  power: MachinePower,
  { machine, signal, report, pollMs = 1000 }: OffOptions,
): Promise<void> {
  if (!(await power.isRunning())) return;
  if (!power.shutDown) {
    const message = `Machine ${machine} runs, and agent.yaml has no "power.shutdown" for it: shut it down by hand.`;
    throw new LifeboatError('SourceMachineRunning', message, { target: machine });
  }
  report('shutting the machine down');
  await power.shutDown();
  const deadlineMs = Date.now() + power.timeoutSeconds * 1000;
  while (await power.isRunning()) {
    signal.throwIfAborted();
    if (Date.now() >= deadlineMs) {
      const message = `Machine ${machine} was asked to shut down and still runs after ${power.timeoutSeconds} s.`;
      throw new LifeboatError('SourceMachineRunning', message, { target: machine });
    }
    await sleep(pollMs, undefined, { signal });
  }
}

/** Throws `SourceMachineRunning` when the machine runs; nobody is asked to shut down. */
export async function requireOff(power: MachinePower, machine: string): Promise<void> {
  if (!(await power.isRunning())) return;
  const message = `Machine ${machine} runs on this host: its disks are not written. Shut it down; the machine that counts runs elsewhere.`;
  throw new LifeboatError('SourceMachineRunning', message, { target: machine });
}
