// The tracker that agent.yaml names for a machine.
import { join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { AgentError } from '../agentError.ts';
import type { DiskPlace } from '../track/frozenView.ts';
import { ProgramTracker } from '../track/program/tracker.ts';
import { programViews } from '../track/program/views.ts';
import { QemuTracker } from '../track/qemu/tracker.ts';
import { restingDisks } from '../track/restingDisks.ts';
import { ScanTracker } from '../track/scan/tracker.ts';
import type { ChangeTracker } from '../track/tracker.ts';
import type { MachineConfig } from './config.ts';
import type { Activity } from './itemContext.ts';

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
        views: tracker.view ? programViews({ ...about, ...tracker.view }) : restingDisks(places),
        workers: tracker.workers,
        signal,
        onProgress: (disk, doneBytes, totalBytes) =>
          report({ doing: `looking for changes of ${disk}`, doneBytes, totalBytes }),
      });
    case 'program':
      return new ProgramTracker({ ...about, command: tracker.command, timeoutSeconds: tracker.timeoutSeconds });
    case 'qemu': {
      const scratchFolder = join(folder, 'qemu');
      await mkdir(scratchFolder, { recursive: true });
      const disks = machine.disks.map(({ id, device = '' }) => ({ disk: id, device }));
      return new QemuTracker({ qmpSocketPath: tracker.qmpSocket, disks, scratchFolder });
    }
    case 'hrlFolder':
      throw new AgentError(
        'ConfigInvalid',
        `Machine ${machine.id}: a folder of logs is not tracked.`,
        'See docs/agent.md.',
      );
  }
}
