// A disk that was added to a protected machine: copied from the frozen view of a cycle, together with which it joins, so that
// the recovery point has all disks at one instant. The others go on meanwhile: an attempt to copy may take so long, then the
// cycle is cut without the disk, and the next attempt, which finds what has arrived in the cursor, may take twice as long.
import type { Assignment, DiskAssignment } from '../serviceClient.ts';
import type { FrozenCycle } from '../track/tracker.ts';
import { copyDisk } from './initialCopy.ts';
import { frozenDiskOf, type ItemContext } from './itemContext.ts';

const firstCopyMs = 60_000;

/** Disks whose copy the service waits for beside the cycles of the others. Those that agent.yaml does not name are not among them. */
export function joiningDisks({ source, logFolders }: ItemContext, { disks }: Assignment): DiskAssignment[] {
  if (logFolders) return [];
  return disks.filter(
    ({ disk, joinedAtCycle, initialReplication: { state, uploadUrl } }) =>
      joinedAtCycle === null && state === 'pending' && uploadUrl !== undefined && source.disks.includes(disk),
  );
}

/** Copies as much as the time allows; returns the disks whose copies are whole. May be called again after any failure. */
export async function copyAddedDisks(
  context: ItemContext,
  cycle: FrozenCycle,
  disks: readonly DiskAssignment[],
): Promise<DiskAssignment[]> {
  if (disks.length === 0) return [];
  const limitMs = context.addedCopyMs ?? firstCopyMs;
  const limit = AbortSignal.timeout(limitMs);
  const signal = AbortSignal.any([context.signal, limit]);
  const copied: DiskAssignment[] = [];
  for (const assigned of disks) {
    const { disk } = assigned;
    try {
      // The whole disk is read: what an earlier view had there may be zeros now.
      const { reader } = frozenDiskOf(cycle, assigned);
      const onProgress = (doneBytes: number): void =>
        context.report({ doing: `copying ${disk}`, doneBytes, totalBytes: assigned.sizeBytes });
      await copyDisk(context, cycle, assigned, { source: reader, signal, onProgress });
    } catch (error) {
      if (!limit.aborted || context.signal.aborted) throw error;
      context.addedCopyMs = 2 * limitMs;
      context.log(`${context.item}/${disk}: the copy goes on with the next cycle`);
      break;
    }
    (context.copiedFrom ??= new Map()).set(disk, cycle.reference);
    copied.push(assigned);
  }
  return copied;
}
