// Tells whether a process that once was recorded is still the same one: pids are reused, so on Linux the
// start time is part of the identity; elsewhere the pid alone has to do.
import { readFileSync } from 'node:fs';

export interface ProcessIdentity {
  pid: number;
  /** Clock ticks after boot at which the process started; absent where /proc is. */
  startTime?: string;
}

/** Identity of a running process; of this one by default. */
export function identityOf(pid: number = process.pid): ProcessIdentity {
  const startTime = readStat(pid)?.startTime;
  return startTime === undefined ? { pid } : { pid, startTime };
}

/** True while the recorded process runs. A zombie does not run: it only waits to be reaped. */
export function isRunning(identity: ProcessIdentity): boolean {
  try {
    process.kill(identity.pid, 0);
  } catch (error) {
    // EPERM: it runs, as another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const stat = readStat(identity.pid);
  if (stat === undefined) return true;
  return stat.state !== 'Z' && (identity.startTime === undefined || identity.startTime === stat.startTime);
}

function readStat(pid: number): { state: string; startTime: string } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The second field is the command in parentheses and may hold anything; state and start time are fields 3 and 22.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, startTime] = [fields[0], fields[19]];
  return state === undefined || startTime === undefined ? undefined : { state, startTime };
}
