// The tracker that agent.yaml names for a machine.
import { join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { LifeboatError } from '../../lib/errors.ts';
import type { DiskPlace } from '../track/frozenView.ts';
import { ProgramTracker } from '../track/program/tracker.ts';
import { imageTracker } from '../track/imageTracker.ts';
import { programViews } from '../track/program/views.ts';
import { QemuTracker } from '../track/qemu/tracker.ts';
import { restingDisks } from '../track/restingDisks.ts';
import { ScanTracker } from '../track/scan/tracker.ts';
import type { ChangeTracker } from '../track/tracker.ts';
import type { MachineConfig } from './config.ts';
import type { LogFolders } from './folderCycle.ts';
import type { Activity, SourceMachine } from './itemContext.ts';
import { commandPower } from '../power/commandPower.ts';
import { qemuPower } from '../power/qemuPower.ts';

const defaultPowerSeconds = 600;

const placesOf = ({ disks }: MachineConfig): DiskPlace[] =>
  disks.map(({ id, path = '', format }) => ({ disk: id, location: path, format }));

export interface TrackerContext {
  /** Of this machine alone. */
  folder: string;
  signal: AbortSignal;
  report: (activity: Activity) => void;
}

/** Makes the tracker; nothing is opened yet. */
export async function createTracker(
  machine: MachineConfig,
  { folder, signal, report }: TrackerContext,
): Promise<ChangeTracker> {
  const { tracker } = machine;
  const places = placesOf(machine);
  const about = { machine: machine.id, disks: places, signal };
  switch (tracker.kind) {
    case 'scan':
      return new ScanTracker({
        folder: join(folder, 'scan'),
        views: tracker.view
          ? programViews({ ...about, ...tracker.view, hold: machine.hold })
          : restingDisks(places),
        workers: tracker.workers,
        signal,
        onProgress: (disk, doneBytes, totalBytes) =>
          report({ doing: `looking for changes of ${disk}`, doneBytes, totalBytes }),
      });
    case 'program':
      return new ProgramTracker({
        ...about,
        hold: machine.hold,
        command: tracker.command,
        timeoutSeconds: tracker.timeoutSeconds,
      });
    case 'qemu': {
      const scratchFolder = join(folder, 'qemu');
      await mkdir(scratchFolder, { recursive: true });
      const disks = machine.disks.map(({ id, device = '' }) => ({ disk: id, device }));
      return new QemuTracker({ qmpSocketPath: tracker.qmpSocket, disks, scratchFolder });
    }
    case 'hrlFolder':
      if (!hasImages(machine)) return noTracker;
      return imageTracker(tracker.view ? programViews({ ...about, ...tracker.view }) : restingDisks(places));
  }
}

/** Whether the disks themselves can be compared with their replicas. */
const hasImages = ({ disks }: MachineConfig): boolean => disks.every(({ path }) => path !== undefined);

/** Of a machine whose logs come from elsewhere: nothing can be frozen. */
const noTracker: ChangeTracker = {
  freeze: () =>
    Promise.reject(
      new LifeboatError(
        'SnapshotFailed',
        'The logs of this machine are made elsewhere; it cannot be frozen.',
      ),
    ),
  close: () => Promise.resolve(),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** The folders of logs of a machine whose tracker is of that kind. */
export function logFoldersOf(machine: MachineConfig): LogFolders | undefined {
  const { tracker, disks } = machine;
  if (tracker.kind !== 'hrlFolder') return undefined;
  const folders = new Map(disks.map(({ id, logs = '' }) => [id, logs]));
  return { folders, keepShipped: tracker.keepShipped, hasImages: hasImages(machine) };
}

/** What the agent knows of the machine besides its changes. */
export function sourceMachineOf(machine: MachineConfig): SourceMachine {
  const { id, tracker, power, failback } = machine;
  const ofTracker =
    tracker.kind === 'qemu'
      ? qemuPower({ qmpSocketPath: tracker.qmpSocket, timeoutSeconds: defaultPowerSeconds })
      : undefined;
  return {
    ...{ machine: id, failback, disks: machine.disks.map((disk) => disk.id) },
    power: power ? commandPower({ machine: id, ...power }) : ofTracker,
    places: placesOf(machine).filter(({ location }) => location !== ''),
    canFreezeAtRest: tracker.kind === 'scan' || tracker.kind === 'program',
  };
}
