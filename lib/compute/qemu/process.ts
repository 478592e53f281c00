// The QEMU process of one job: started apart from this process, so that it outlives a restart of the app; found again by
// its monitor's socket and its process id, and ended only when it is surely the one of the job.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LifeboatError } from '../../errors.ts';
import type { MachineOrder } from '../port.ts';
import { pidFileName, processName } from './arguments.ts';
import { monitorCommand } from './monitor.ts';

/** Socket paths are limited to about a hundred bytes, so it does not lie in the job's folder. */
export const qmpPathOf = (folder: string): string =>
  join(tmpdir(), `lifeboat-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}.sock`);

const startMs = 20_000;
const endMs = 10_000;
const pollMs = 100;

/** Starts QEMU and returns when its monitor answers. Throws `ComputeFailed` with QEMU's own words when it does not start. */
export async function startQemu(
  program: string,
  folder: string,
  qemuArguments: readonly string[],
): Promise<void> {
  const log = await open(join(folder, 'qemu.log'), 'w');
  let failure: string | undefined;
  try {
    const child = spawn(program, [...qemuArguments], {
      cwd: folder,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    child.on(
      'error',
      ({ message }) => (failure = `${message}. Install qemu-system-x86, or set LIFEBOAT_QEMU`),
    );
    child.on('exit', (code) => (failure ??= `QEMU ended with exit code ${String(code)}`));
    child.unref();
  } finally {
    await log.close();
  }
  for (let waitedMs = 0; waitedMs < startMs; waitedMs += pollMs) {
    if ((await monitorCommand(qmpPathOf(folder), 'query-status')) !== undefined) return;
    if (failure !== undefined) break;
    await sleep(pollMs);
  }
  // A guest that powers off at once has had its process end well before the first look.
  const words = (await readFile(join(folder, 'qemu.log'), 'utf8')).trim();
  if (failure === 'QEMU ended with exit code 0' && words === '') return;
  const reason = [failure ?? 'its monitor does not answer', words].filter((text) => text !== '').join(': ');
  throw new LifeboatError('ComputeFailed', `The machine could not be started: ${reason}.`);
}

export async function isRunning(folder: string): Promise<boolean> {
  return (await monitorCommand(qmpPathOf(folder), 'query-status')) !== undefined;
}

/** Ends the process. A job without one: no change. */
export async function endQemu(folder: string, order: Pick<MachineOrder, 'jobId'>): Promise<void> {
  const qmpPath = qmpPathOf(folder);
  const pid = Number(await readFile(join(folder, pidFileName), 'utf8').catch(() => ''));
  await monitorCommand(qmpPath, 'quit').catch(() => undefined);
  for (let waitedMs = 0; pid > 0 && (await isProcessOf(pid, order)); waitedMs += pollMs) {
    if (waitedMs >= endMs) process.kill(pid, 'SIGKILL');
    await sleep(pollMs);
  }
  await rm(qmpPath, { force: true });
}

/** True when a process of that id exists and is the job's. Ids are used again. */
async function isProcessOf(pid: number, order: Pick<MachineOrder, 'jobId'>): Promise<boolean> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
  if (commandLine === undefined || !commandLine.includes(processName(order))) return false;
  return access(`/proc/${pid}/cwd`).then(
    () => true,
    () => false,
  );
}
