// Images that nobody writes: of machines that are off, or copies that something else makes. There is nothing to freeze, but
// it is checked: an image that was written while it was read makes no cycle.
import { AgentError } from '../agentError.ts';
import { openDisk } from '../disk/openDisk.ts';
import type { DiskReader } from '../disk/reader.ts';
import type { DiskPlace, FrozenView, ViewSource } from './frozenView.ts';

async function openAll(places: readonly DiskPlace[]): Promise<Map<string, DiskReader>> {
  const readers = new Map<string, DiskReader>();
  try {
    for (const { disk, location, format } of places) readers.set(disk, await openDisk(location, { format }));
    return readers;
  } catch (error) {
    await closeAll(readers);
    throw error;
  }
}

async function closeAll(readers: ReadonlyMap<string, DiskReader>): Promise<void> {
  await Promise.all([...readers.values()].map((reader) => reader.close()));
}

function changed(disk: string): AgentError {
  const message = `Disk ${disk} was written while it was read, so what was read is of no moment.`;
  const action =
    'Stop the machine, or give the agent frozen views (view: program) or a tracker that makes them.';
  return new AgentError('SourceChanged', message, action);
}

/** Views of images that stand still. Devices are refused: nobody can tell whether they do. */
export function restingDisks(places: readonly DiskPlace[], now: () => Date = () => new Date()): ViewSource {
  return {
    async open(): Promise<FrozenView> {
      const takenAt = now();
      const readers = await openAll(places);
      for (const [disk, { identity }] of readers) {
        const { variant = '', location = '' } = identity.chain[0] ?? {};
        if (variant !== 'block device' && identity.format !== 'nbd') continue;
        await closeAll(readers);
        const message = `Disk ${disk} (${location}) is a ${variant === '' ? 'server' : variant}: whether it stands still cannot be told.`;
        throw new AgentError('SourceChanged', message, 'Give the agent frozen views of it (view: program).');
      }
      let released: Promise<void> | undefined;
      return {
        takenAt,
        consistency: 'crash',
        readers,
        async check() {
          // Opened anew: what an open file remembers of itself does not change.
          const again = await openAll(places);
          try {
            for (const [disk, reader] of readers)
              if (again.get(disk)?.identity.id !== reader.identity.id) throw changed(disk);
          } finally {
            await closeAll(again);
          }
        },
        release: () => (released ??= closeAll(readers)),
      };
    },
  };
}
