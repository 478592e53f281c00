// Cycles of a machine whose logs are made by somebody else: the next log of every disk is one cycle.
import type { Assignment } from '../serviceClient.ts';
import { checkLog, endOfChain, findNextLog, listClosedLogs } from '../track/hrlFolder/logFolder.ts';
import { newCycleTrace } from '../upload/cycleTrace.ts';
import { copiedDisks, type ItemContext } from './itemContext.ts';
import type { PendingLog } from './itemState.ts';
import { removeFile } from './stateFiles.ts';

/** The folders of a machine, by disk. */
export interface LogFolders {
  folders: ReadonlyMap<string, string>;
  keepShipped: boolean;
  /** agent.yaml names the images too: they can be compared in a resynchronization. */
  hasImages: boolean;
}

/** Makes the next cycle of what lies there; false when a disk has no closed log yet. Throws `TrackingLost`, HrlError. */
export async function takeCycle(
  { state, item, log }: ItemContext,
  assignment: Assignment,
  { folders }: LogFolders,
): Promise<boolean> {
  const logs: PendingLog[] = [];
  let takenAtMs = 0;
  for (const { disk, sizeBytes: diskSizeBytes, delta } of copiedDisks(assignment)) {
    const { previousUniqueId } = delta;
    const next = findNextLog(await listClosedLogs(folders.get(disk) ?? ''), previousUniqueId);
    if (!next) return false;
    const checked = await checkLog(next, { diskSizeBytes, previousUniqueId });
    logs.push({ disk, path: next.path, ...checked, uniqueId: next.header.uniqueId });
    takenAtMs = Math.max(takenAtMs, next.header.lastModifiedAt.getTime());
  }
  const cycle = assignment.nextCycle ?? 0;
  const takenAt = new Date(takenAtMs).toISOString();
  await state.update({
    pending: {
      ...{
        cycle,
        generation: null,
        reference: `cycle-${cycle}`,
        takenAt,
        consistency: 'crash',
        logs,
        sizes: {},
      },
      traceparent: newCycleTrace(),
    },
    lastFrozenAt: takenAt,
  });
  log(`${item}: cycle ${cycle} is ${logs.length} logs of ${takenAt}`);
  return true;
}

/** After the cycle was applied. A log that is gone already: no change. */
export async function forgetLogs({ keepShipped }: LogFolders, logs: readonly PendingLog[]): Promise<void> {
  if (keepShipped) return;
  for (const { path, covers = [] } of logs)
    for (const each of path === null ? covers : [path, ...covers]) await removeFile(each);
}

/** How a resynchronization goes on with the logs of a folder. */
interface ChainEnd {
  /** What its log is called, so that the next log of the folder follows it. Undefined: no log was ever there. */
  uniqueId: string | undefined;
  /** Logs that were closed before the freeze: the image has what they say. */
  covers: string[];
}

/**
 * The end of every disk's chain, to be asked *before* the machine is frozen: a log that is closed later may hold newer writes,
 * and is sent after the resynchronization as if nothing had been.
 */
export async function findChainEnds(
  { state }: Pick<ItemContext, 'state'>,
  { folders }: LogFolders,
): Promise<Map<string, ChainEnd>> {
  const ends = new Map<string, ChainEnd>();
  for (const [disk, folder] of folders) {
    const closed = await listClosedLogs(folder);
    const uniqueId = endOfChain(closed) ?? state.current.lastLogs[disk];
    ends.set(disk, { uniqueId, covers: closed.map(({ path }) => path) });
  }
  return ends;
}
