// Sends the logs of the cycle that is pending, again and again until the service has applied it; only then does the tracker
// count from the new state.
import { stat } from 'node:fs/promises';
import { openFileSource } from '../fileSource.ts';
import { readExtents, totalsOfExtents } from '../extents.ts';
import { AgentError } from '../agentError.ts';
import type { Assignment, DiskAssignment } from '../serviceClient.ts';
import { uploadBlocks } from '../upload/blockUpload.ts';
import { streamLog } from '../upload/streamLog.ts';
import { removeCursor } from '../upload/copyCursor.ts';
import { fileBlocks } from '../upload/uploadLog.ts';
import { headerOf } from './cutCycle.ts';
import { forgetLogs } from './folderCycle.ts';
import { abortOpen, confirmOpen, cursorPath, frozenDiskOf, type ItemContext } from './itemContext.ts';
import type { PendingCycle, PendingLog } from './itemState.ts';
import { logExtents } from './logExtents.ts';

/** What a log of the cycle says in its metadata. */
const statementOf = (
  { takenAt, consistency, traceparent, moment }: PendingCycle,
  { delta }: DiskAssignment,
) => ({
  takenAt: new Date(takenAt),
  consistency,
  traceparent,
  moment,
  demanded: delta.metadata,
});

function blocksUrlOf({ disk, delta }: DiskAssignment): string {
  if (delta.blocksUrl !== undefined) return delta.blocksUrl;
  throw new AgentError(
    'NotAssigned',
    `The service gives no URL for blocks of disk ${disk}.`,
    'Update the service.',
  );
}

async function sendFile(
  context: ItemContext,
  pending: PendingCycle,
  log: PendingLog & { path: string },
  assigned: DiskAssignment,
): Promise<void> {
  await using source = await openFileSource(log.path);
  await uploadBlocks({
    blocks: fileBlocks(source),
    blocksUrl: blocksUrlOf(assigned),
    statement: () => ({ ...statementOf(pending, assigned), sha256: log.sha256 }),
    // The name may hold a log of a cycle that was given up: this one is what counts.
    replaces: true,
    limiter: context.limiter,
    signal: context.signal,
    onProgress: (doneBytes) =>
      context.report({ doing: `sending ${log.disk}`, doneBytes, totalBytes: log.sizeBytes }),
  });
}

async function sendView(
  context: ItemContext,
  pending: PendingCycle,
  log: PendingLog,
  assigned: DiskAssignment,
): Promise<void> {
  const cycle = context.open?.cycle;
  if (cycle?.reference !== pending.reference) throw new Error('The frozen view of a streamed log is gone.');
  const { reader } = frozenDiskOf(cycle, assigned);
  const joined = await logExtents(context, cycle, assigned);
  const totals = totalsOfExtents(joined);
  async function* writes() {
    yield* readExtents(reader, joined);
    // Before the commit makes a log of it.
    await cycle?.check?.();
  }
  await streamLog({
    writes: writes(),
    header: headerOf(cycle, assigned, log.uniqueId),
    totals,
    statement: statementOf(pending, assigned),
    blocksUrl: blocksUrlOf(assigned),
    replaces: true,
    limiter: context.limiter,
    signal: context.signal,
    onProgress: (doneBytes) =>
      context.report({ doing: `sending ${log.disk}`, doneBytes, totalBytes: totals.dataBytes }),
  });
}

/** True when every log can still be sent: its file is there, or the view that it is made from is open in this process. */
async function canSend({ open }: ItemContext, { logs, reference }: PendingCycle): Promise<boolean> {
  for (const { path, sizeBytes } of logs) {
    if (path === null) {
      if (open?.cycle.reference !== reference) return false;
    } else if ((await stat(path).catch(() => undefined))?.size !== sizeBytes) return false;
  }
  return true;
}

/** Gives the pending cycle up. What it said is said by the next one, under the same number. */
async function dropPending(context: ItemContext): Promise<void> {
  await context.state.update({ pending: null });
  await abortOpen(context);
  await context.spool.removeOthers(context.item, []);
}

/** The service has applied the cycle. */
async function settle(context: ItemContext, { cycle, reference, logs, sizes }: PendingCycle): Promise<void> {
  // Stored before the tracker forgets the old reference: after a crash either of them works.
  const lastLogs = Object.fromEntries(logs.map(({ disk, uniqueId }) => [disk, uniqueId]));
  const known = { ...context.state.current.sizes, ...sizes };
  await context.state.update({ reference, appliedCycle: cycle, pending: null, sizes: known, lastLogs });
  await confirmOpen(context, reference);
  await context.spool.removeOthers(context.item, []);
  for (const { disk } of logs) await removeCursor(cursorPath(context, disk));
  if (context.logFolders) await forgetLogs(context.logFolders, logs);
  context.log(`${context.item}: cycle ${cycle} is applied`);
}

/** Sends the logs that this process has not sent, or that are not there. */
async function sendLogs(context: ItemContext, { disks }: Assignment, pending: PendingCycle): Promise<void> {
  for (const log of pending.logs) {
    const assigned = disks.find(({ disk }) => disk === log.disk);
    if (!assigned || (assigned.delta.isUploaded && context.sent?.has(log.uniqueId) === true)) continue;
    // An added disk: its copy is of the state that its log, which has nothing, is of.
    if (assigned.initialReplication.state === 'pending')
      await context.client.completeDisk(context.item, log.disk, {});
    await (log.path === null
      ? sendView(context, pending, log, assigned)
      : sendFile(context, pending, { ...log, path: log.path }, assigned));
    (context.sent ??= new Set()).add(log.uniqueId);
  }
}

/**
 * Brings the pending cycle forward: sends what is missing, or settles it. `waiting`: all is sent and not applied yet.
 * May be called again at any time, with a newer assignment.
 */
export async function shipPending(
  context: ItemContext,
  assignment: Assignment,
): Promise<'settled' | 'sent' | 'waiting' | 'dropped'> {
  const { pending } = context.state.current;
  if (pending === null) return 'settled';
  if (assignment.appliedCycle >= pending.cycle) {
    await settle(context, pending);
    return 'settled';
  }
  if (pending.generation !== (assignment.resync?.generation ?? null)) {
    context.log(`${context.item}: cycle ${pending.cycle} is set aside by a resynchronization`);
    await dropPending(context);
    return 'dropped';
  }
  if ((assignment.nextCycle ?? 0) > pending.cycle) return 'waiting';
  if (assignment.nextCycle !== pending.cycle || !(await canSend(context, pending))) {
    context.log(`${context.item}: the logs of cycle ${pending.cycle} are gone; it is cut again`);
    await dropPending(context);
    return 'dropped';
  }
  await sendLogs(context, assignment, pending);
  return 'sent';
}
