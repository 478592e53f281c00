// Processor time and memory of processes, as Linux counts them; on other systems there is nothing to read, and the
// measurements that need it are left out.
import { readFileSync, readdirSync } from 'node:fs';

/** Linux shows times to programs in units of 1/100 s, whatever its own clock does. */
const ticksPerSecond = 100;

interface Stat {
  parentPid: number;
  cpuSeconds: number;
}

function findStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name is in parentheses and may contain anything; the fields after it are numbers.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [parentPid, userTicks, systemTicks] = [fields[1], fields[11], fields[12]].map(Number);
    return {
      parentPid: parentPid ?? 0,
      cpuSeconds: ((userTicks ?? 0) + (systemTicks ?? 0)) / ticksPerSecond,
    };
  } catch {
    return undefined;
  }
}

/** Processor seconds that a process has used so far; undefined when it cannot be read. */
export function findCpuSeconds(pid: number): number | undefined {
  return findStat(pid)?.cpuSeconds;
}

/** The children of a process; none when they cannot be read. */
export function listChildren(pid: number): number[] {
  try {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.map(Number).filter((each) => findStat(each)?.parentPid === pid);
  } catch {
    return [];
  }
}

/** The most memory a process has held, in MiB; undefined when it cannot be read. */
export function findPeakMemoryMiB(pid: number): number | undefined {
  try {
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kibibytes === undefined ? undefined : Number(kibibytes) / 1024;
  } catch {
    return undefined;
  }
}
