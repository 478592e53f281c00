// What to do for an item now: one step, chosen from its assignment and from what the agent remembers.
import type { Assignment } from '../serviceClient.ts';
import { joiningDisks } from './addedDisks.ts';
import { cutCycle } from './cutCycle.ts';
import { takeCycle, type LogFolders } from './folderCycle.ts';
import { endFailback, writeFailback } from './failback.ts';
import { stayOff } from './failedOver.ts';
import { requireSameHistory } from './history.ts';
import { copyMachine } from './initialCopy.ts';
import { abortOpen, copiedDisks, type ItemContext } from './itemContext.ts';
import { alignedMs, gatherMoment, takesPart } from './groupMoment.ts';
import { publishScrub } from './publishScrub.ts';
import { cutResync } from './resynchronize.ts';
import { shipPending } from './shipCycle.ts';
import { shutDownMachine } from './shutDown.ts';

/** When there is something to do again: at once, or when the time has come or the assignment changes. */
export type Next = 'now' | { at: Date };

const appliedWaitMs = 15_000;

async function ship(context: ItemContext, assignment: Assignment): Promise<Next> {
  const outcome = await shipPending(context, assignment);
  if (outcome === 'settled' || outcome === 'dropped') return 'now';
  await publishScrub(context, assignment);
  const { pending } = context.state.current;
  const number = pending?.cycle ?? 0;
  context.report({ doing: `waiting for cycle ${number} to be applied` });
  const isNews = ({ appliedCycle, resync, phase }: Assignment): boolean =>
    appliedCycle >= number ||
    (resync?.generation ?? null) !== (pending?.generation ?? null) ||
    phase !== assignment.phase;
  const found = await context.feed.waitFor(context.item, isNews, {
    timeoutMs: appliedWaitMs,
    signal: context.signal,
  });
  return !found || isNews(found) ? 'now' : { at: new Date(Date.now() + 1000) };
}

/** When the next cycle is frozen, by the interval; a scrub and an added disk do not wait for it. */
function nextCycleMs(context: ItemContext, assignment: Assignment): number {
  const { lastFrozenAt } = context.state.current;
  const { scrub } = assignment;
  if (lastFrozenAt === null || scrub?.cycle === null || joiningDisks(context, assignment).length > 0)
    return 0;
  return dueByIntervalMs(context, assignment, Date.parse(lastFrozenAt));
}

const intervalMsOf = ({ intervalSeconds }: ItemContext, { policy }: Assignment): number =>
  (intervalSeconds ?? policy?.replicationIntervalSeconds ?? 300) * 1000;

function dueByIntervalMs(context: ItemContext, assignment: Assignment, frozenMs: number): number {
  const intervalMs = intervalMsOf(context, assignment);
  // Machines of a group are due together.
  const dueMs = takesPart(context, assignment) ? alignedMs(frozenMs, intervalMs) : frozenMs + intervalMs;
  // A clock that went back does not stop replication.
  return Math.min(dueMs, Date.now() + intervalMs);
}

/** The logs that somebody else makes: taken as they come. */
async function doFolders(
  context: ItemContext,
  assignment: Assignment,
  folders: LogFolders,
): Promise<boolean> {
  const { resync } = assignment;
  if (!resync) {
    takesPart(context, assignment);
    context.report({ doing: 'waiting for logs' });
    return takeCycle(context, assignment, folders);
  }
  if (folders.hasImages) return cutResync(context, assignment, resync);
  const names = resync.disks.map(({ disk }) => disk).join(', ');
  context.report({
    doing: `a resynchronization of ${names} waits: logs alone cannot be compared. Name the image of every disk (path) in agent.yaml and start the agent again, or disable and enable protection and copy the disks anew`,
  });
  return false;
}

/** Freezes and makes logs when it is time; false when it is not. */
async function cut(context: ItemContext, assignment: Assignment): Promise<boolean> {
  const { resync } = assignment;
  if (resync) return cutResync(context, assignment, resync);
  requireSameHistory(context, assignment);
  if (Date.now() < nextCycleMs(context, assignment)) {
    context.report({ doing: 'waiting for the next cycle' });
    return false;
  }
  const isDueWithOthers = nextCycleMs(context, assignment) > 0;
  const moment = isDueWithOthers
    ? await gatherMoment(context, assignment, intervalMsOf(context, assignment))
    : undefined;
  await cutCycle(context, assignment, moment);
  return true;
}

async function doDeltas(context: ItemContext, assignment: Assignment, pollMs: number): Promise<Next> {
  const { state, logFolders } = context;
  await endFailback(context);
  if (state.current.baseline !== null) {
    await copyMachine(context, assignment);
    return 'now';
  }
  if (state.current.pending !== null) return ship(context, assignment);
  const later = context.feed.nextLook(pollMs).getTime();
  if (assignment.nextCycle === null || copiedDisks(assignment).length === 0) return { at: new Date(later) };
  const isCut = logFolders
    ? await doFolders(context, assignment, logFolders)
    : await cut(context, assignment);
  if (isCut) return 'now';
  const dueMs = nextCycleMs(context, assignment);
  return { at: new Date(dueMs > Date.now() ? Math.min(later, dueMs) : later) };
}

/** Does one step. May be called again after any failure. */
export async function workOn(context: ItemContext, assignment: Assignment, pollMs: number): Promise<Next> {
  const later: Next = { at: context.feed.nextLook(pollMs) };
  switch (assignment.phase) {
    case 'initialReplication':
      if (context.logFolders) {
        context.report({ doing: 'waiting for the copy (lifeboat upload disk)' });
        return later;
      }
      context.report({ doing: 'preparing the copy' });
      return (await copyMachine(context, assignment)) ? 'now' : later;
    case 'deltas':
      return doDeltas(context, assignment, pollMs);
    case 'shuttingDown':
      return (await shutDownMachine(context, assignment)) ? 'now' : later;
    case 'failedOver':
      await stayOff(context, assignment);
      return later;
    case 'failback':
      return (await writeFailback(context, assignment)) ? 'now' : later;
    case 'paused':
      await abortIfIdle(context);
      context.report({ doing: 'paused' });
      return later;
    default:
      await abortOpen(context);
      if (assignment.snapshot === 'releasing') await context.client.reportSnapshot(context.item, 'released');
      context.report({ doing: assignment.phase });
      return later;
  }
}

/** A frozen view is not held while nothing may be sent, unless a cycle is on its way. */
async function abortIfIdle(context: ItemContext): Promise<void> {
  if (context.state.current.pending === null) await abortOpen(context);
}
