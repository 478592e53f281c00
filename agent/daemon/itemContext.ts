// What every part of the work on one item gets.
import { join } from 'node:path';
import { AgentError } from '../agentError.ts';
import { clipExtents, clippedDisk } from '../disk/clippedDisk.ts';
import type { DiskReader } from '../disk/reader.ts';
import type { MachinePower } from '../power/machinePower.ts';
import type { SourceView } from '../resync/sourceView.ts';
import type { Assignment, DiskAssignment, ServiceClient } from '../serviceClient.ts';
import type { DiskPlace } from '../track/frozenView.ts';
import type { ChangeTracker, FreezeRequest, FrozenCycle, FrozenDisk } from '../track/tracker.ts';
import type { BandwidthLimiter } from '../upload/bandwidth.ts';
import type { AssignmentFeed } from './assignmentFeed.ts';
import type { LogFolders } from './folderCycle.ts';
import type { ItemStateFile } from './itemState.ts';
import type { Spool } from './spool.ts';

/** What the item is doing, for `lifeboat agent status`. */
export interface Activity {
  doing: string;
  doneBytes?: number;
  totalBytes?: number;
}

/** What a failover and a failback need of the machine. */
export interface SourceMachine {
  machine: string;
  /** Undefined: nobody told the agent how to see whether it runs. */
  power: MachinePower | undefined;
  /** The disks themselves, not views of them; those without a path are not among them. */
  places: readonly DiskPlace[];
  failback: 'original' | 'newDisk';
  /** Every disk that agent.yaml names. */
  disks: readonly string[];
  /** Whether the tracker can freeze a machine that is off. */
  canFreezeAtRest: boolean;
}

export interface ItemContext {
  item: string;
  source: SourceMachine;
  /** Of this item alone: cursors and journals. */
  folder: string;
  client: ServiceClient;
  feed: AssignmentFeed;
  state: ItemStateFile;
  tracker: ChangeTracker;
  spool: Spool;
  limiter: BandwidthLimiter;
  pageWrites: number;
  /** Instead of the policy's interval. */
  intervalSeconds: number | undefined;
  signal: AbortSignal;
  log: (message: string) => void;
  report: (activity: Activity) => void;
  /** Instead of the tracker: logs that somebody else makes. */
  logFolders?: LogFolders | undefined;
  /** The frozen cycle that is open in this process, if any. */
  open: { cycle: FrozenCycle } | undefined;
  /** Unique ids of logs that this process has sent. */
  sent?: Set<string>;
  /** Added disks that this process has copied, with the reference of the view that they were copied from. */
  copiedFrom?: Map<string, string>;
  /** How long the next attempt to copy an added disk may keep the others waiting. */
  addedCopyMs?: number;
  /** What was last logged of the moments of its consistency group. */
  saidOfMoments?: string;
  /** What was last logged of a state that lasts. */
  said?: string;
}

/** Disks whose copy is at the service: the ones that logs are made for. */
export const copiedDisks = ({ disks }: Assignment): DiskAssignment[] =>
  disks.filter(({ initialReplication }) => initialReplication.state === 'complete');

/**
 * A disk of the frozen cycle, as large as the service knows it: what it grew by is not read until the service was told. Throws
 * AgentError `DiskSizeMismatch` for one that is missing or smaller.
 */
export function frozenDiskOf(
  cycle: FrozenCycle,
  { disk, sizeBytes }: Pick<DiskAssignment, 'disk' | 'sizeBytes'>,
): FrozenDisk {
  const found = cycle.disks.find((each) => each.disk === disk);
  if (found?.reader.sizeBytes === sizeBytes) return found;
  if (found && found.reader.sizeBytes > sizeBytes)
    return {
      ...found,
      reader: clippedDisk(found.reader, sizeBytes),
      extents: clipExtents(found.extents, sizeBytes),
    };
  const message = found
    ? `Disk ${disk} has ${found.reader.sizeBytes} bytes, and ${sizeBytes} when it was protected.`
    : `Disk ${disk} is protected, but agent.yaml does not name it.`;
  const action = 'Name every protected disk in agent.yaml; a disk cannot shrink.';
  throw new AgentError('DiskSizeMismatch', message, action);
}

/** The sizes that the replicas have once the logs or copies of these disks are there. */
export const sizesOf = (disks: readonly DiskAssignment[]): Record<string, number> =>
  Object.fromEntries(disks.map(({ disk, sizeBytes }) => [disk, sizeBytes]));

/**
 * Name of a view: another one whenever its bytes may be others. Files say by themselves when they were written; of devices and
 * servers only the reference of the frozen state does.
 */
export function viewIdOf({ reference }: FrozenCycle, { identity }: DiskReader): string {
  const isFile =
    identity.format !== 'nbd' && !identity.chain.some(({ variant }) => variant === 'block device');
  return isFile ? identity.id : `${identity.id}-${reference}`;
}

/** The reader as the comparison takes it: with its holes. */
export function sourceViewOf(reader: DiskReader): SourceView {
  return {
    sizeBytes: reader.sizeBytes,
    read: (offsetBytes, lengthBytes) => reader.read(offsetBytes, lengthBytes),
    allocatedRanges: async (window) =>
      (await reader.allocation(window))
        .filter(({ kind }) => kind === 'data')
        .map(({ offsetBytes, lengthBytes }) => ({ offsetBytes, lengthBytes })),
  };
}

/** Freezes the machine; the cycle is this process's open one from then on. */
export async function freeze(
  context: ItemContext,
  since: string | undefined,
  whileHeld?: FreezeRequest['whileHeld'],
): Promise<FrozenCycle> {
  await abortOpen(context);
  const cycle = await context.tracker.freeze({ since, whileHeld });
  context.open = { cycle };
  return cycle;
}

/** Gives the open cycle up, if there is one. The reference stays. */
export async function abortOpen(context: ItemContext): Promise<void> {
  const { open } = context;
  context.open = undefined;
  await open?.cycle.abort();
}

/**
 * Lets go of what is frozen. A cycle that is on its way stays what it is: when the service has applied it, the tracker counts
 * from it.
 */
export async function letGo(context: ItemContext): Promise<void> {
  const { open, state } = context;
  if (open?.cycle.reference !== state.current.pending?.reference) return abortOpen(context);
  context.open = undefined;
  await open?.cycle.detach();
}

/** The service has the state of this reference: the tracker counts from there, if the cycle is still open here. */
export async function confirmOpen(context: ItemContext, reference: string): Promise<void> {
  const { open } = context;
  if (open?.cycle.reference !== reference) return abortOpen(context);
  await open.cycle.confirm();
  context.open = undefined;
}

export const cursorPath = ({ folder }: Pick<ItemContext, 'folder'>, disk: string): string =>
  join(folder, `${disk}.copy`);
