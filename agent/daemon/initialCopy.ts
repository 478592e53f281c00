// Initial replication of a machine: one frozen state of all disks, copied page by page, and then vouched for. The disks are
// declared complete only when all of them are copied from the same state, so that the first log has every change since.
import { AgentError } from '../agentError.ts';
import type { DiskReader } from '../disk/reader.ts';
import type { Assignment, DiskAssignment } from '../serviceClient.ts';
import { CopyCursorFile, removeCursor } from '../upload/copyCursor.ts';
import { copyChunkBytes, uploadReplica, type ReplicaUpload } from '../upload/uploadReplica.ts';
import {
  confirmOpen,
  cursorPath,
  freeze,
  frozenDiskOf,
  sizesOf,
  viewIdOf,
  type ItemContext,
} from './itemContext.ts';
import type { FrozenCycle } from '../track/tracker.ts';

/** True when there was something to do. May be called again after any failure or crash. */
export async function copyMachine(context: ItemContext, assignment: Assignment): Promise<boolean> {
  const { state, client, log } = context;
  if (state.current.baseline === null) {
    requireUntouched(assignment);
    if (!assignment.disks.every(({ initialReplication }) => initialReplication.uploadUrl)) return false;
    const cycle = await freeze(context, undefined);
    await client.reportSnapshot(context.item, 'taken');
    await copyDisks(context, assignment, cycle);
    await cycle.check?.();
    const { reference, takenAt } = cycle;
    await state.update({
      baseline: { reference, takenAt: takenAt.toISOString() },
      lastFrozenAt: takenAt.toISOString(),
    });
  }
  const { baseline } = state.current;
  if (baseline === null) return false;
  for (const { disk, initialReplication } of assignment.disks)
    if (initialReplication.state === 'pending')
      await client.completeDisk(context.item, disk, { pointInTime: baseline.takenAt });
  await state.update({
    reference: baseline.reference,
    baseline: null,
    appliedCycle: 0,
    pending: null,
    sizes: sizesOf(assignment.disks),
  });
  await confirmOpen(context, baseline.reference);
  await client.reportSnapshot(context.item, 'released');
  for (const { disk } of assignment.disks) await removeCursor(cursorPath(context, disk));
  log(`${context.item}: copied, as of ${baseline.takenAt}`);
  return true;
}

/** Disks that somebody else has declared complete are of a state that we know nothing of. */
function requireUntouched({ disks }: Assignment): void {
  const done = disks.filter(({ initialReplication }) => initialReplication.state === 'complete');
  if (done.length === 0) return;
  const names = done.map(({ disk }) => disk).join(', ');
  const message = `Disk ${names} was copied by somebody else, from a state that this agent does not know.`;
  throw new AgentError(
    'DiskSizeMismatch',
    message,
    'Let one program copy all disks: disable and enable protection.',
  );
}

async function copyDisks(context: ItemContext, assignment: Assignment, cycle: FrozenCycle): Promise<void> {
  const totalBytes = assignment.disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBefore = 0;
  for (const assigned of assignment.disks) {
    const { reader, extents } = frozenDiskOf(cycle, assigned);
    const done = doneBefore;
    await copyDisk(context, cycle, assigned, {
      ...{ source: reader, extents, signal: context.signal },
      onProgress: (doneBytes) =>
        context.report({ doing: `copying ${assigned.disk}`, doneBytes: done + doneBytes, totalBytes }),
    });
    doneBefore += assigned.sizeBytes;
  }
}

/** Copies one disk of the frozen cycle; what an earlier attempt has sent is not sent again. */
export async function copyDisk(
  context: ItemContext,
  cycle: FrozenCycle,
  { disk, sizeBytes, initialReplication }: DiskAssignment,
  about: Pick<ReplicaUpload, 'extents' | 'signal' | 'onProgress'> & { source: DiskReader },
): Promise<void> {
  const { blobName } = initialReplication;
  const plan = { item: context.item, disk, blobName, diskSizeBytes: sizeBytes, chunkBytes: copyChunkBytes };
  await using cursor = await CopyCursorFile.open(cursorPath(context, disk), plan);
  const result = await uploadReplica({
    ...about,
    resume: { cursor, viewId: viewIdOf(cycle, about.source) },
    concurrency: context.pageWrites,
    limiter: context.limiter,
    getUploadUrl: () => uploadUrlOf(context, disk),
  });
  context.log(
    `${context.item}/${disk}: ${result.writtenBytes} bytes sent in ${result.writeRequests} writes, ${result.resumedBytes} bytes of the disk were there`,
  );
}

async function uploadUrlOf({ feed, item }: ItemContext, disk: string) {
  const assigned = (await feed.find(item))?.disks.find((each) => each.disk === disk);
  const { uploadUrl, expiresAt } = assigned?.initialReplication ?? {};
  if (uploadUrl !== undefined && expiresAt !== undefined)
    return { url: uploadUrl, expiresAt: new Date(expiresAt) };
  const action = 'Nothing to do: the assignment is asked for again.';
  throw new AgentError(
    'NotAssigned',
    `Disk ${disk} of item ${item} is not open for its copy any more.`,
    action,
  );
}
