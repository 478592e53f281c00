// One cycle of a machine: frozen at one instant, and a log for every disk of what changed since the reference.
import { randomUUID } from 'node:crypto';
import { writeDeltaLog } from '../deltaLog.ts';
import { totalsOfExtents } from '../extents.ts';
import type { Assignment, DiskAssignment } from '../serviceClient.ts';
import type { FrozenCycle } from '../track/tracker.ts';
import { unreadExtents } from '../unreadExtents.ts';
import { newCycleTrace } from '../upload/cycleTrace.ts';
import { copyAddedDisks, joiningDisks } from './addedDisks.ts';
import { copiedDisks, freeze, frozenDiskOf, sizesOf, type ItemContext } from './itemContext.ts';
import { logExtents } from './logExtents.ts';
import type { PendingCycle, PendingLog } from './itemState.ts';
import type { GroupMoment } from './groupMoment.ts';

/** A log whose content is fixed and that is not written yet. */
function streamedLog(disk: string): PendingLog {
  return { disk, path: null, sizeBytes: 0, sha256: '', uniqueId: randomUUID() };
}

/** The log of what the tracker says was written to the disk. Replaces one that was not finished. */
export async function changesLog(
  context: ItemContext,
  cycle: FrozenCycle,
  assigned: DiskAssignment,
  number: number,
  uniqueId: string = randomUUID(),
): Promise<PendingLog> {
  const { reader } = frozenDiskOf(cycle, assigned);
  const { spool, item, signal } = context;
  const joined = await logExtents(context, cycle, assigned);
  const path = spool.pathOf(item, number, assigned.disk);
  const log = await writeDeltaLog(path, unreadExtents(reader, joined), {
    ...headerOf(cycle, assigned, uniqueId),
    expected: totalsOfExtents(joined),
    replace: true,
    signal,
  });
  return { disk: assigned.disk, path, sizeBytes: log.sizeBytes, sha256: log.sha256, uniqueId: log.uniqueId };
}

/** What the log of a disk says of itself. */
export function headerOf({ takenAt }: FrozenCycle, { delta }: DiskAssignment, uniqueId: string) {
  const { previousUniqueId } = delta;
  return { uniqueId, createdAt: takenAt, ...(previousUniqueId === null ? {} : { previousUniqueId }) };
}

/** The cycle as it is remembered until it is applied. */
export function pendingOf(
  cycle: FrozenCycle,
  assignment: Assignment,
  logs: readonly PendingLog[],
): PendingCycle {
  const { reference, takenAt, consistency } = cycle;
  return {
    cycle: assignment.nextCycle ?? 0,
    generation: assignment.resync?.generation ?? null,
    traceparent: newCycleTrace(),
    ...{ reference, consistency, takenAt: takenAt.toISOString(), logs: [...logs] },
    sizes: sizesOf(assignment.disks.filter(({ disk }) => logs.some((log) => log.disk === disk))),
  };
}

/**
 * Freezes the machine and makes its logs, in the spool when it has room for them. Throws what the tracker throws, and leaves
 * no cycle open then. With a moment of the consistency group, the logs show it if the machine was frozen in it.
 */
export async function cutCycle(
  context: ItemContext,
  assignment: Assignment,
  moment?: GroupMoment,
): Promise<void> {
  const { state, spool, item } = context;
  context.report({ doing: 'looking for changes' });
  const cycle = await freeze(context, state.current.reference ?? undefined, moment?.whileHeld);
  const shown = moment?.shownBy(cycle);
  // An added disk joins with the state that it was copied from: its log comes first, so that the cycle is not complete before.
  const joining = await copyAddedDisks(context, cycle, joiningDisks(context, assignment));
  const disks = [...joining, ...copiedDisks(assignment)];
  const needs = await Promise.all(disks.map((each) => logExtents(context, cycle, each)));
  const dataBytes = needs.reduce((sum, extents) => sum + totalsOfExtents(extents).dataBytes, 0);
  const room = await spool.reserve(dataBytes);
  if (!room)
    context.log(`${item}: the spool has no room for ${dataBytes} bytes; only the changed blocks are kept`);
  const logs: PendingLog[] = [];
  try {
    context.report({ doing: 'making logs' });
    for (const each of disks)
      logs.push(
        room ? await changesLog(context, cycle, each, assignment.nextCycle ?? 0) : streamedLog(each.disk),
      );
  } finally {
    room?.release();
  }
  await cycle.check?.();
  await state.update({
    pending: { ...pendingOf(cycle, assignment, logs), ...(shown === undefined ? {} : { moment: shown }) },
    lastFrozenAt: cycle.takenAt.toISOString(),
  });
}
