// Frozen images of a machine whose changes somebody else logs: nothing is tracked here, the images are there to be compared
// with the replicas. Every state is new, and what changed since another one is not known.
import { allocatedExtents } from './allocatedExtents.ts';
import type { ViewSource } from './frozenView.ts';
import { OneCycle } from './oneCycle.ts';
import { newReference } from './qemu/names.ts';
import type { ChangeTracker, FrozenCycle, FrozenDisk } from './tracker.ts';

type OpenCycle = FrozenCycle & { isOpen: boolean };

async function freezeImages(views: ViewSource): Promise<OpenCycle> {
  const view = await views.open();
  const disks: FrozenDisk[] = [];
  try {
    for (const [disk, reader] of view.readers)
      disks.push({ disk, reader, extents: await allocatedExtents(reader), isUntracked: true });
  } catch (error) {
    await view.release();
    throw error;
  }
  const cycle: OpenCycle = {
    ...{ reference: newReference(view.takenAt), kind: 'full', isOpen: true, disks },
    ...{ takenAt: view.takenAt, consistency: view.consistency },
    check: () => view.check(),
    confirm: end,
    abort: end,
    detach: end,
  };
  async function end(): Promise<void> {
    cycle.isOpen = false;
    await view.release();
  }
  return cycle;
}

/** Takes any reference to count from, and says of every disk that it was not tracked. */
export function imageTracker(views: ViewSource): ChangeTracker {
  const open = new OneCycle<OpenCycle>();
  const close = (): Promise<void> => open.end();
  return {
    freeze: () => open.begin(() => freezeImages(views)),
    close,
    [Symbol.asyncDispose]: close,
  };
}
