// The provider that boots recovered disks on this computer. The machine works on a local copy, without any network; its
// console goes to a file. So a drill needs nothing but QEMU, and leaves the recovered disks as they are.
import {
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
  access,
  constants,
} from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { LifeboatError } from '../../errors.ts';
import type { Storage } from '../../storage/ports.ts';
import { machineName } from '../machineNames.ts';
import { computeDone, type ComputeProvider, type MachineOrder, type MachineRef } from '../port.ts';
import { requireDisks } from '../vhd/provider.ts';
import { consoleFileName, diskFileName, qemuArguments } from './arguments.ts';
import { findBootEvidence, readableConsole } from '../consoleText.ts';
import { downloadDisk, uploadChanges } from './localDisks.ts';
import { monitorCommand } from './monitor.ts';
import { endQemu, isRunning, qmpPathOf, startQemu } from './process.ts';

export interface QemuSettings {
  /** Where the copies of the disks and the consoles are kept while a job needs them. */
  folder: string;
  /** Default `qemu-system-x86_64`. */
  program?: string;
  /** A machine gets at most this much, however much its source had. Default 1024. */
  memoryLimitMb?: number;
}

const firmwareFiles = [
  { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd' },
  { code: '/usr/share/OVMF/OVMF_CODE.fd', variables: '/usr/share/OVMF/OVMF_VARS.fd' },
];
const startedFileName = 'started';
const stoppingFileName = 'stopping';
const consoleLimitBytes = 64 * 1024;
/** How long a guest has to shut down by itself. */
const shutdownMs = 60_000;

const exists = (path: string, mode = constants.F_OK): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  );

/** Machines that run here. */
export function qemuProvider(storage: Pick<Storage, 'recovered'>, settings: QemuSettings): ComputeProvider {
  const folderOf = ({ item, jobId }: MachineRef): string => join(settings.folder, item, jobId);
  return {
    kind: 'qemu',
    runsMachines: true,
    async prepareDisks(order) {
      await requireDisks(storage, order);
      const folder = folderOf(order);
      await mkdir(folder, { recursive: true });
      for (const disk of order.disks)
        await downloadDisk(storage.recovered, disk, join(folder, diskFileName(disk.disk)));
      return computeDone;
    },
    async createMachine(order) {
      const folder = folderOf(order);
      if (await exists(join(folder, startedFileName))) return computeDone;
      if (await isRunning(folder)) await endQemu(folder, order);
      await startMachine(order, folder, settings);
      await writeFile(join(folder, startedFileName), '');
      return computeDone;
    },
    async powerState(order) {
      const folder = folderOf(order);
      if (await isRunning(folder)) return 'running';
      return (await exists(join(folder, startedFileName))) ? 'stopped' : 'absent';
    },
    async startMachine(order) {
      const folder = folderOf(order);
      if (await isRunning(folder)) return computeDone;
      await rm(join(folder, stoppingFileName), { force: true });
      await startMachine(order, folder, settings);
      return computeDone;
    },
    stopMachine: (order) => stopMachine(order, folderOf(order)),
    async captureDisks(order) {
      const folder = folderOf(order);
      if (await isRunning(folder))
        throw new LifeboatError('ComputeUnavailable', `${machineName(order)} is still running.`);
      for (const disk of order.disks) {
        const path = join(folder, diskFileName(disk.disk));
        // A job whose copies are gone has captured them before.
        if (await exists(path)) await uploadChanges(storage.recovered, disk, path);
      }
      return computeDone;
    },
    observeBoot: (order, marker, options) => observeBoot(folderOf(order), marker, options?.wantsScreenshot),
    async deleteAll(ref) {
      const folder = folderOf(ref);
      await endQemu(folder, ref);
      await rm(folder, { recursive: true, force: true });
      // The item's folder goes with its last job.
      const siblings = await readdir(dirname(folder)).catch(() => undefined);
      if (siblings?.length === 0) await rm(dirname(folder), { recursive: true, force: true });
      return computeDone;
    },
    async *listLeftovers() {
      for (const item of await readdir(settings.folder).catch(() => []))
        for (const jobId of await readdir(join(settings.folder, item)).catch(() => []))
          yield { item, jobId, what: `local machine in ${folderOf({ item, jobId })}` };
    },
  };
}

async function startMachine(order: MachineOrder, folder: string, settings: QemuSettings): Promise<void> {
  const { program = 'qemu-system-x86_64', memoryLimitMb = 1024 } = settings;
  const hasKvm = await exists('/dev/kvm', constants.R_OK | constants.W_OK);
  await startQemu(
    program,
    folder,
    qemuArguments(order, {
      accelerator: hasKvm ? 'kvm' : 'tcg',
      memoryMb: Math.min(order.memoryMb, memoryLimitMb),
      processors: Math.max(1, Math.min(order.processors, availableParallelism())),
      firmware: order.generation === '2' ? await ownFirmware(folder) : undefined,
      qmpPath: qmpPathOf(folder),
    }),
  );
}

/** UEFI for a generation 2 machine: its variables are the machine's own. */
async function ownFirmware(folder: string): Promise<{ codePath: string; variablesPath: string }> {
  for (const { code, variables } of firmwareFiles) {
    if (!(await exists(code))) continue;
    await copyFile(variables, join(folder, 'uefi-variables.fd'));
    return { codePath: code, variablesPath: 'uefi-variables.fd' };
  }
  const advice = 'Install the package ovmf.';
  throw new LifeboatError(
    'ComputeFailed',
    `A generation 2 machine needs UEFI firmware, and there is none here. ${advice}`,
  );
}

async function stopMachine(order: MachineOrder, folder: string): ReturnType<ComputeProvider['stopMachine']> {
  if (!(await isRunning(folder))) return computeDone;
  const marker = join(folder, stoppingFileName);
  const asked = await stat(marker).catch(() => undefined);
  if (order.purpose === 'test' || (asked && Date.now() - asked.mtimeMs > shutdownMs)) {
    await endQemu(folder, order);
    return computeDone;
  }
  if (!asked) {
    await monitorCommand(qmpPathOf(folder), 'system_powerdown');
    await writeFile(marker, '');
  }
  return { isDone: false, waitingFor: `${machineName(order)} to shut down`, retryAfterSeconds: 2 };
}

async function observeBoot(
  folder: string,
  marker: string | null,
  wantsScreenshot = false,
): ReturnType<ComputeProvider['observeBoot']> {
  // The process first: what it wrote before it ended is then in the file.
  const runs = await isRunning(folder);
  const consoleText = readableConsole(await readTail(join(folder, consoleFileName)));
  const evidenceLine = findBootEvidence(consoleText, marker) ?? null;
  const verdict = evidenceLine !== null ? 'booted' : runs ? 'pending' : 'ended';
  const picture = runs && wantsScreenshot ? await screenshot(folder) : null;
  return { verdict, evidenceLine, consoleText, screenshot: picture };
}

async function readTail(path: string): Promise<Uint8Array> {
  if (!(await exists(path))) return new Uint8Array();
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const bytes = new Uint8Array(Math.min(size, consoleLimitBytes));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, size - bytes.length);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** A picture is a kindness, not evidence: without one the observation stands. */
async function screenshot(folder: string): Promise<{ mediaType: string; bytes: Uint8Array } | null> {
  const path = join(folder, 'screen.png');
  try {
    await monitorCommand(qmpPathOf(folder), 'screendump', { filename: path, format: 'png' });
    return { mediaType: 'image/png', bytes: await readFile(path) };
  } catch {
    return null;
  }
}
