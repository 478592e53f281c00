// What the agent remembers of one protected item. Everything else is asked of the service, or found in the tracker.
import { join } from 'node:path';
import * as z from 'zod';
import { readState, writeState } from './stateFiles.ts';

const pendingLog = z.strictObject({
  disk: z.string(),
  /** In the spool; null when the log is made from the frozen view while it is sent. */
  path: z.string().nullable(),
  sizeBytes: z.number(),
  sha256: z.string(),
  uniqueId: z.string(),
  /** `hrlFolder`: logs whose changes this one, of a resynchronization, has too. */
  covers: z.array(z.string()).optional(),
});

/** A cycle that was cut and is not known to be applied. Its logs may be sent again until it is. */
const pendingCycle = z.strictObject({
  cycle: z.number().int().min(1),
  /** Of the resynchronization that it belongs to. */
  generation: z.number().nullable(),
  /** State of the machine that the logs lead to: the tracker's new reference once the cycle is applied. */
  reference: z.string(),
  takenAt: z.iso.datetime(),
  consistency: z.enum(['crash', 'application']),
  /** The trace of the cycle: what is sent again is of the same one. Cycles that an earlier version cut have none. */
  traceparent: z.string().optional(),
  /** The moment of a consistency group that the logs show. Without it they show the moment of this machine alone. */
  moment: z.string().optional(),
  logs: z.array(pendingLog),
  /** Of the disks that the logs are of, as the service knew them. */
  sizes: z.record(z.string(), z.number()).default({}),
});
export type PendingCycle = z.infer<typeof pendingCycle>;
export type PendingLog = PendingCycle['logs'][number];

/** A disk of the source as the agent last saw it at rest: what a failback may write is this one and no other. */
const knownDisk = z.strictObject({
  location: z.string(),
  sizeBytes: z.number(),
  /** What the image says of itself and no writer changes; null where it says nothing. */
  imageId: z.string().nullable(),
});

/** A failback whose disks are written and were read back. */
const appliedFailback = z.strictObject({
  cycle: z.number().int().min(1),
  /** True once the state that the disks are in is the reference. */
  isVerified: z.boolean(),
  /** Originals that were set aside, until the failback is confirmed. */
  kept: z.array(z.strictObject({ path: z.string(), keptPath: z.string() })),
});

const itemState = z.strictObject({
  version: z.literal(1),
  item: z.string(),
  /** What the tracker counts from: the state that the service has applied. Null: it has none. */
  reference: z.string().nullable(),
  appliedCycle: z.number(),
  /** All disks were copied from this state, and the service was not told yet by all of them. */
  baseline: z.strictObject({ reference: z.string(), takenAt: z.iso.datetime() }).nullable(),
  pending: pendingCycle.nullable(),
  /** When the last cycle was frozen. */
  lastFrozenAt: z.iso.datetime().nullable(),
  /** The last cycle that was cut for a failover, when the machine was off. */
  final: z
    .strictObject({ jobId: z.string(), cycle: z.number().int().min(1) })
    .nullable()
    .default(null),
  failback: appliedFailback.nullable().default(null),
  disks: z.record(z.string(), knownDisk).default({}),
  /** `hrlFolder`: the last log of each disk that was applied. */
  lastLogs: z.record(z.string(), z.string()).default({}),
  /** How much of each disk the replica has; behind that nothing was ever sent. */
  sizes: z.record(z.string(), z.number()).default({}),
});
export type ItemState = z.infer<typeof itemState>;

/** The state of an item, in memory and in its file. */
export class ItemStateFile {
  readonly #path: string;
  #state: ItemState;

  private constructor(path: string, state: ItemState) {
    this.#path = path;
    this.#state = state;
  }

  /** Throws AgentError `StateInvalid` for a damaged file. */
  static async open(folder: string, item: string): Promise<ItemStateFile> {
    const path = join(folder, `${item}.json`);
    const fresh: ItemState = {
      ...{ version: 1, item, reference: null, appliedCycle: 0, baseline: null, pending: null },
      ...{ lastFrozenAt: null, final: null, failback: null, disks: {}, lastLogs: {}, sizes: {} },
    };
    return new ItemStateFile(path, (await readState(path, itemState)) ?? fresh);
  }

  get current(): ItemState {
    return this.#state;
  }

  /** Durable when it resolves. */
  async update(change: Partial<ItemState>): Promise<void> {
    const next = { ...this.#state, ...change };
    await writeState(this.#path, next);
    this.#state = next;
  }
}
