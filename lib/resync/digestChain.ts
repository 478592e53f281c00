// Digesting a replica as a chain of short activities. The state is a plain record that the caller keeps; an activity takes
// it, does as many segments as fit before its deadline, and returns the next. Dying between a manifest and the state costs
// one segment: it is computed again, with the same bytes.
import * as z from 'zod';
import type { ByteBudget } from '../merge/byteBudget.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { replicaName } from '../replication/names.ts';
import { segmentCount } from './blocks.ts';
import { putManifest } from './manifests.ts';
import type { DigestScope } from './names.ts';
import { digestSegment, type ReplicaView } from './replicaDigests.ts';

export const digestChainState = z.object({
  item: z.string(),
  disk: z.string(),
  generation: z.string(),
  diskSizeBytes: z.number(),
  /** The snapshot that is read; null: the replica itself. */
  snapshotId: z.string().nullable(),
  /** The number that the replica's fence was raised to before the chain began; null for a snapshot. */
  sequenceNumber: z.number().nullable(),
  nextSegment: z.number(),
  segmentCount: z.number(),
  bytesRead: z.number(),
  /** Never written, and so not read. */
  bytesSkipped: z.number(),
  startedAt: z.iso.datetime(),
  /** Spent in activities: pauses between them do not count, so that a night's pause does not spoil the estimate. */
  activeMs: z.number(),
});
export type DigestChainState = z.infer<typeof digestChainState>;

/** What is digested. Of a replica: raise its fence first, so that no late write of an older attempt can land, and give that number. */
export type DigestTarget = { snapshotId: string } | { sequenceNumber: number };

/** The state before the first segment. */
export function startDigestChain(
  scope: DigestScope,
  diskSizeBytes: number,
  target: DigestTarget,
  startedAt: Date,
): DigestChainState {
  return {
    ...scope,
    diskSizeBytes,
    snapshotId: 'snapshotId' in target ? target.snapshotId : null,
    sequenceNumber: 'sequenceNumber' in target ? target.sequenceNumber : null,
    nextSegment: 0,
    segmentCount: segmentCount(diskSizeBytes),
    bytesRead: 0,
    bytesSkipped: 0,
    startedAt: startedAt.toISOString(),
    activeMs: 0,
  };
}

/** What the chain reads. */
export function viewOf(state: DigestChainState): ReplicaView {
  return {
    blobName: replicaName(state.item, state.disk),
    diskSizeBytes: state.diskSizeBytes,
    snapshotId: state.snapshotId ?? undefined,
    sequenceNumber: state.sequenceNumber ?? undefined,
  };
}

export function isDigested(state: DigestChainState): boolean {
  return state.nextSegment >= state.segmentCount;
}

export interface AdvanceOptions {
  /** No segment is begun that would not end before, going by the slowest so far; but one always is. */
  deadline: Date;
  memory?: ByteBudget;
  signal?: AbortSignal;
}

/**
 * Digests the next segments and returns the state after them; a chain that is done comes back as it is. May be called
 * again with an old state. Throws as `digestSegment`: `ReplicaChanged` ends the generation, begin another.
 */
export async function advanceDigestChain(
  context: Pick<ReplicationContext, 'storage' | 'clock' | 'fault'>,
  before: DigestChainState,
  { deadline, memory, signal }: AdvanceOptions,
): Promise<DigestChainState> {
  const { storage, clock } = context;
  const { item, disk, generation, diskSizeBytes } = before;
  const view = viewOf(before);
  let state = before;
  let slowestMs = 0;
  let now = clock.now().getTime();
  do {
    if (isDigested(state)) return state;
    const segment = state.nextSegment;
    const { digests, bytesRead, bytesSkipped } = await digestSegment(storage.replicas, view, segment, {
      memory,
      signal,
    });
    context.fault('digests.beforeManifest');
    await putManifest(storage.resync, { scope: { item, disk, generation }, diskSizeBytes, segment }, digests);
    context.fault('digests.afterManifest');
    const then = now;
    now = clock.now().getTime();
    slowestMs = Math.max(slowestMs, now - then);
    state = {
      ...state,
      nextSegment: segment + 1,
      bytesRead: state.bytesRead + bytesRead,
      bytesSkipped: state.bytesSkipped + bytesSkipped,
      activeMs: state.activeMs + Math.max(0, now - then),
    };
  } while (now + slowestMs <= deadline.getTime());
  return state;
}
