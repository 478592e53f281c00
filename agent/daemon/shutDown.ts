// The source's part of a failover: the machine is shut down, its last changes are cut from the disks at rest and sent, and only
// then does the service hear which cycle is the last one. Every step finds out by itself whether it was done: after a crash at
// any moment the outcome is the same.
import { LifeboatError } from '../../lib/errors.ts';
import { ensureOff, requirePower } from '../power/machinePower.ts';
import type { Assignment } from '../serviceClient.ts';
import { cutCycle } from './cutCycle.ts';
import { takeCycle } from './folderCycle.ts';
import { abortOpen, type ItemContext } from './itemContext.ts';
import { requireSameHistory } from './history.ts';
import { lookAtDisks } from './knownDisks.ts';
import { shipPending } from './shipCycle.ts';
import { findOpenLog } from '../track/hrlFolder/logFolder.ts';

type Failover = NonNullable<Assignment['failover']>;

/** True when there is something to do again at once. May be called again after any failure or crash. */
export async function shutDownMachine(context: ItemContext, assignment: Assignment): Promise<boolean> {
  const { state } = context;
  const { failover } = assignment;
  if (failover?.source !== 'asked' && failover?.source !== 'stopped') {
    if (state.current.pending === null) await abortOpen(context);
    context.report({ doing: 'the machine fails over; this host was not asked to shut it down' });
    return false;
  }
  const isFinal = state.current.final?.jobId === failover.jobId;
  if (state.current.pending !== null) return shipLast(context, assignment, failover);
  if (isFinal) {
    await tellStopped(context, failover);
    context.report({ doing: 'shut down; waiting for the failover' });
    return false;
  }
  await cutLast(context, assignment, failover);
  return true;
}

/** Sends what is pending. It may be a cycle from before the shutdown: then the last one is cut when it is applied. */
async function shipLast(context: ItemContext, assignment: Assignment, failover: Failover): Promise<boolean> {
  const { state } = context;
  const number = state.current.pending?.cycle ?? 0;
  const outcome = await shipPending(context, assignment);
  if (outcome === 'dropped') {
    // It is cut again, perhaps under another number.
    await state.update({ final: null });
    return true;
  }
  if (outcome === 'settled') return true;
  if (state.current.final?.jobId === failover.jobId) await tellStopped(context, failover);
  context.report({ doing: `waiting for cycle ${number} to be applied` });
  const { phase } = assignment;
  const found = await context.feed.waitFor(
    context.item,
    (each) => each.appliedCycle >= number || each.phase !== phase,
    { timeoutMs: 15_000, signal: context.signal },
  );
  return !found || found.appliedCycle >= number || found.phase !== phase;
}

async function tellStopped({ client, item, state, log }: ItemContext, { source }: Failover): Promise<void> {
  const { final } = state.current;
  if (source === 'stopped' || final === null) return;
  await client.reportStopped(item, final.cycle);
  log(`${item}: the machine is off; cycle ${final.cycle} is its last one`);
}

/** The machine goes off, and one more cycle is cut: nothing can be written behind it. */
async function cutLast(context: ItemContext, assignment: Assignment, { jobId }: Failover): Promise<void> {
  const { item, source, state, tracker, signal, log } = context;
  const { machine } = source;
  const power = requirePower(source.power, { machine, what: 'A planned failover' });
  if (!context.logFolders) requireSameHistory(context, assignment);
  await abortOpen(context);
  // Lets go of the monitor that both need.
  await tracker.close();
  await ensureOff(power, { machine, signal, report: (doing) => context.report({ doing }) });
  log(`${item}: machine ${machine} is off; the last cycle is cut`);
  if (context.logFolders) {
    if (await takeCycle(context, assignment, context.logFolders)) return;
    await requireAllClosed(context);
    // Every log was taken: the last one that was applied is the last there is.
    await state.update({ final: { jobId, cycle: assignment.appliedCycle } });
    return;
  }
  const disks = await lookAtDisks(context);
  await cutCycle(context, assignment);
  const cycle = state.current.pending?.cycle ?? assignment.appliedCycle;
  // A crash before this line makes one more cycle, without changes, the last.
  await state.update({ final: { jobId, cycle }, disks });
}

/** Throws `SourceBusy` while a log is still written: it would be missing. */
async function requireAllClosed({ logFolders, source }: ItemContext): Promise<void> {
  for (const [disk, folder] of logFolders?.folders ?? []) {
    const path = await findOpenLog(folder);
    if (path === undefined) continue;
    const message = `Machine ${source.machine} is off, and the log ${path} of disk ${disk} is not closed: what it has would be lost.`;
    throw new LifeboatError('SourceBusy', message, { target: disk });
  }
}
