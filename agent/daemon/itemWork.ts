// What to do for an item now: one step, chosen from its assignment and from what the agent remembers.
import { LifeboatError } from '../../lib/errors.ts';
import type { Assignment } from '../serviceClient.ts';
import { cutCycle } from './cutCycle.ts';
import { takeCycle } from './folderCycle.ts';
import { copyMachine } from './initialCopy.ts';
import { abortOpen, copiedDisks, type ItemContext } from './itemContext.ts';
import { publishScrub } from './publishScrub.ts';
import { cutResync } from './resynchronize.ts';
import { shipPending } from './shipCycle.ts';

/** When there is something to do again: at once, or when the time has come or the assignment changes. */
export type Next = 'now' | { at: Date };

const appliedWaitMs = 15_000;

/**
 * Throws `TrackingLost` when the service has applied other cycles than the agent remembers: its reference would be of another
 * state than the replica.
 */
function requireSameHistory({ state }: ItemContext, { appliedCycle, disks, resync }: Assignment): void {
  const { reference, pending, appliedCycle: known } = state.current;
  if (resync || pending !== null) return;
  if (reference !== null && appliedCycle === known) return;
  const why =
    reference === null
      ? 'This agent has no record of the state that the replica shows'
      : `The service has applied cycle ${appliedCycle}, and this agent knows of cycle ${known}`;
  throw new LifeboatError('TrackingLost', `${why} (${disks.length} disks).`);
}

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
    phase !== 'deltas';
  const found = await context.feed.waitFor(context.item, isNews, {
    timeoutMs: appliedWaitMs,
    signal: context.signal,
  });
  return !found || isNews(found) ? 'now' : { at: new Date(Date.now() + 1000) };
}

async function doDeltas(context: ItemContext, assignment: Assignment, pollMs: number): Promise<Next> {
  const { state } = context;
  const later = (): Next => ({ at: new Date(Date.now() + pollMs) });
  if (state.current.baseline !== null) {
    await copyMachine(context, assignment);
    return 'now';
  }
  if (state.current.pending !== null) return ship(context, assignment);
  if (assignment.nextCycle === null || copiedDisks(assignment).length === 0) return later();
  if (context.logFolders) {
    context.report({
      doing: assignment.resync ? 'waiting for a resynchronization by other means' : 'waiting for logs',
    });
    const isTaken = !assignment.resync && (await takeCycle(context, assignment, context.logFolders));
    return isTaken ? 'now' : later();
  }
  const { resync } = assignment;
  if (resync) {
    if (resync.isPaused || resync.phase === 'digesting') return later();
    await cutResync(context, assignment, resync);
    return 'now';
  }
  requireSameHistory(context, assignment);
  const intervalMs = (context.intervalSeconds ?? assignment.policy?.replicationIntervalSeconds ?? 300) * 1000;
  const last = state.current.lastFrozenAt === null ? 0 : Date.parse(state.current.lastFrozenAt);
  // A clock that went back does not stop replication.
  const dueMs = Math.min(last + intervalMs, Date.now() + intervalMs);
  // A scrub does not wait for the interval, and neither does the first cycle after the copy.
  const isDue = Date.now() >= dueMs || assignment.scrub?.cycle === null;
  if (!isDue) {
    context.report({ doing: 'waiting for the next cycle' });
    return { at: new Date(Math.min(dueMs, Date.now() + pollMs)) };
  }
  await cutCycle(context, assignment);
  return 'now';
}

/** Does one step. May be called again after any failure. */
export async function workOn(context: ItemContext, assignment: Assignment, pollMs: number): Promise<Next> {
  const later: Next = { at: new Date(Date.now() + pollMs) };
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
