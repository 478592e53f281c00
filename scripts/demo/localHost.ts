// The service of the demo: the local host as a child process with a data folder of its own. Whatever the environment
// or local.settings.json say, it uses its own storage emulator, so that a demo never touches a real account.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readLocalService, type LocalService } from '../../agent/localService.ts';
import { AgentError } from '../../agent/agentError.ts';

const startTimeoutMs = 60_000;
const stopTimeoutMs = 20_000;
const shownLogLines = 25;

export interface DemoHost {
  service: LocalService;
  /** Last lines of the host's log, for a failure. */
  readLogTail(): Promise<string>;
  /** Ends the host and its storage. May be called twice. */
  stop(): Promise<void>;
}

function demoEnvironment(machinesFolder: string | undefined): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(LIFEBOAT_|AzureWebJobs)/i.test(name));
  return {
    ...Object.fromEntries(inherited),
    AzureWebJobsStorage: 'UseDevelopmentStorage=true',
    LIFEBOAT_STORAGE: 'UseDevelopmentStorage=true',
    // Logs of the demo come while it watches: the reconciliation timer need not be busy.
    LIFEBOAT_RECONCILE_SCHEDULE: '*/10 * * * * *',
    ...(machinesFolder !== undefined && {
      ...{ LIFEBOAT_COMPUTE: 'qemu', LIFEBOAT_QEMU_FOLDER: machinesFolder, LIFEBOAT_QEMU_MEMORY_MB: '64' },
    }),
  };
}

async function readTail(logFile: string): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-shownLogLines).join('\n');
}

/**
 * Starts the host and waits until it is ready. With `machinesFolder`, its failovers boot machines in QEMU there. Throws an
 * Error with the end of its log when it does not get ready.
 */
export async function startDemoHost(
  root: string,
  { dataDirectory, machinesFolder }: { dataDirectory: string; machinesFolder: string | undefined },
  signal: AbortSignal,
): Promise<DemoHost> {
  const logFile = `${dataDirectory}.log`;
  await using log = await open(logFile, 'w');
  const program = join(root, 'dist', 'local', 'main.mjs');
  const args = [program, '--app', root, '--port', '0', '--data-dir', dataDirectory];
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: demoEnvironment(machinesFolder),
    stdio: ['ignore', log.fd, log.fd],
  });
  const exited = once(child, 'exit');
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  const stop = async (): Promise<void> => {
    if (!isRunning()) return;
    child.kill('SIGTERM');
    const timer = sleep(stopTimeoutMs, 'late' as const, { ref: false });
    if ((await Promise.race([exited, timer])) === 'late') child.kill('SIGKILL');
    await exited;
  };
  try {
    const deadlineMs = Date.now() + startTimeoutMs;
    for (;;) {
      signal.throwIfAborted();
      if (!isRunning()) throw new Error(`The local host did not start.\n${await readTail(logFile)}`);
      const service = await findService(dataDirectory);
      if (service) return { service, readLogTail: () => readTail(logFile), stop };
      if (Date.now() > deadlineMs)
        throw new Error(`The local host is not ready.\n${await readTail(logFile)}`);
      await sleep(100);
    }
  } catch (error) {
    await stop();
    throw error;
  }
}

async function findService(dataDirectory: string): Promise<LocalService | undefined> {
  try {
    return await readLocalService(dataDirectory);
  } catch (error) {
    if (error instanceof AgentError && error.code === 'LocalServiceNotRunning') return undefined;
    throw error;
  }
}
