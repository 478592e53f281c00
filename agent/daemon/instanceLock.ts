// One agent a folder. The lock is a file that names the process; it is stale when that process is gone, or when its number
// belongs to another one by now.
import { readFile, writeFile } from 'node:fs/promises';
import { AgentError } from '../agentError.ts';
import { errnoOf, writeError } from '../fileErrors.ts';
import { removeFile } from './stateFiles.ts';

/** When the process began, in the system's own words; undefined where it does not tell. */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name of the program, in parentheses, may hold anything; the start is the 20th field after it.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}

/** The process that holds the lock, if it still runs. */
export async function findInstance(path: string): Promise<{ pid: number } | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const [pidText = '', start = ''] = text.trim().split(' ');
  const pid = Number(pidText);
  if (!Number.isSafeInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
  const now = await startOf(pid);
  return now !== undefined && start !== '' && now !== start ? undefined : { pid };
}

/** Held until it is released, or the process ends. May be released twice. */
export interface InstanceLock extends AsyncDisposable {
  release(): Promise<void>;
}

/** Takes the lock. Throws AgentError `AgentRunning` while another process holds it. */
export async function lockInstance(path: string): Promise<InstanceLock> {
  const text = `${process.pid} ${(await startOf(process.pid)) ?? ''}\n`;
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(path, text, { flag: 'wx' });
      const release = (): Promise<void> => removeFile(path);
      return { release, [Symbol.asyncDispose]: release };
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw writeError(error, path, 'The agent did not start.');
    }
    const other = await findInstance(path);
    if (other || attempt > 2) {
      const message = `Another agent uses this state folder (process ${other?.pid ?? 'unknown'}, ${path}).`;
      throw new AgentError('AgentRunning', message, 'Stop it first, or give this one a folder of its own.');
    }
    await removeFile(path);
  }
}
