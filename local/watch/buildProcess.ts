// The command that keeps the app built while it is watched. It ends with the watcher: its standard input closes
// even when the watcher is killed, and on POSIX its whole process group gets SIGTERM in an orderly end.
import { type ChildProcess, spawn } from 'node:child_process';
import type { HostLog } from '../worker/types.ts';

const hasProcessGroups = process.platform !== 'win32';

/** Starts the command through the shell, in the app's folder. Its end is logged, and nothing else. */
export function startBuild(command: string, appDirectory: string, log: HostLog): { stop(): void } {
  const child = spawn(command, {
    cwd: appDirectory,
    shell: true,
    detached: hasProcessGroups,
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  let isStopped = false;
  child.on('error', (error) => log('error', 'Host.Watch', `Cannot run "${command}": ${error.message}`));
  child.on('exit', (code, signal) => {
    if (isStopped) return;
    const ending = signal ?? `exit code ${String(code)}`;
    log('warning', 'Host.Watch', `"${command}" ended (${ending}); the app is not built again by itself.`);
  });
  return {
    stop: () => {
      isStopped = true;
      endTree(child);
    },
  };
}

function endTree(child: ChildProcess): void {
  child.stdin?.destroy();
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    if (hasProcessGroups) process.kill(-child.pid, 'SIGTERM');
    else child.kill();
  } catch {
    // It has ended in this moment.
  }
}
