// What a source host has to do: its inventory in, its assignments out. docs/agent-protocol.md describes it for people who
// write a client; what a host reports back is in agentReports.ts.
import { inventoryReport, storeInventory } from '../inventory/inventory.ts';
import { healthErrorsAt } from '../protection/health.ts';
import { healthOf } from '../protection/item.ts';
import type { DiskRecord, ItemRecord } from '../protection/item.ts';
import { findItem, listItemPlaces } from '../protection/itemStore.ts';
import type { ItemPlace } from '../protection/itemStore.ts';
import { sourcePhaseOf } from '../protection/states.ts';
import { formatCycle, formatDeltaName, replicaName } from '../replication/names.ts';
import { listPendingLogs, nextCycleToSend } from '../replication/pending.ts';
import type { PendingLogs } from '../replication/pending.ts';
import { forEachBounded } from '../merge/bounded.ts';
import type { BlobInfo, BlobPort } from '../storage/ports.ts';
import { isSetApart } from '../replication/supersede.ts';
import { isDigested } from '../resync/digestChain.ts';
import { fixedVhdBlobSizeBytes } from '../vhd/fixed.ts';
import { findPolicy } from '../vault/policies.ts';
import { containersOf } from '../vault/containers.ts';
import { fabrics, getResource } from '../vault/resources.ts';
import { list, resourceId } from './arm.ts';
import { failbackOf, failoverOf } from './agentFailover.ts';
import { parseBody } from './body.ts';
import type { ApiContext, Handler } from './http.ts';
import { itemSegments } from './protectedItemIds.ts';

export const putInventory: Handler = async (context, request) => {
  const { storage, clock } = context.replication;
  const fabric = await getResource(storage.vault, fabrics, request.params['fabric'] ?? '');
  const report = await parseBody(request, inventoryReport);
  await storeInventory(storage.inventory, fabric.name, report, clock.now().toISOString());
  const containers = containersOf(fabric).map(({ name }) => name);
  // A VMM server has one for each cloud, so none is its own.
  const container = fabric.kind === 'HyperVSite' ? (containers[0] ?? null) : null;
  return {
    status: 200,
    body: { site: fabric.name, container, containers, machineCount: report.machines.length },
  };
};

/** What the source has to do with the item. */
export const phaseOf = (record: ItemRecord): string => {
  const phase = sourcePhaseOf(record.state);
  return record.pausedAt !== null && phase !== 'disabling' ? 'paused' : phase;
};

/** Metadata that the disk's next log must carry, beside the optional ones. */
function logMetadata(
  record: ItemRecord,
  { disk, joinedAtCycle, resync }: DiskRecord,
  { cycle, pending }: Next,
): Record<string, string> {
  const isSet = isSetApart(record);
  // Sent already, in an earlier cycle that waits: from there on ordinary logs follow.
  const isSent = [...pending.waiting].some(
    ([waiting, logs]) => waiting < cycle && logs.get(disk)?.metadata['kind'] === 'resync',
  );
  const isResync = !isSent && (joinedAtCycle === null || (isSet && resync !== null));
  return {
    kind: isResync ? 'resync' : 'delta',
    ...(isSet && record.resync ? { generation: String(record.resync.generation) } : {}),
  };
}

interface Next {
  cycle: number;
  pending: PendingLogs;
  /** Disks whose replica may be written, in the order of the item. */
  open: readonly string[];
  /** How many of them the policy wants copied at once. */
  parallelDisks: number;
}

async function diskAssignment(
  { signer, replication, settings }: ApiContext,
  record: ItemRecord,
  row: DiskRecord,
  next: Next,
) {
  const { disk, sizeBytes, arrivedAt } = row;
  const expiresAt = new Date(replication.clock.now().getTime() + settings.uploadUrlMinutes * 60_000);
  const replica = replicaName(record.item, disk);
  const delta = formatDeltaName({ item: record.item, cycle: next.cycle, disk });
  const place = next.open.indexOf(disk);
  const isOpen = place >= 0;
  return {
    disk,
    name: row.name,
    sizeBytes,
    joinedAtCycle: row.joinedAtCycle,
    resyncReason: row.resync?.reason ?? null,
    initialReplication: {
      state: arrivedAt === null ? 'pending' : 'complete',
      // The policy's wish for how many disks are copied at once; a queued one is not refused.
      isQueued: place >= next.parallelDisks,
      blobName: replica,
      blobSizeBytes: fixedVhdBlobSizeBytes(sizeBytes),
      ...(isOpen
        ? { uploadUrl: await signer.replicaWriteUrl(replica, expiresAt), expiresAt: expiresAt.toISOString() }
        : {}),
    },
    delta: {
      blobName: delta,
      isUploaded: next.pending.waiting.get(next.cycle)?.has(disk) ?? false,
      previousUniqueId: isSetApart(record) && row.resync ? null : row.lastLogId,
      metadata: logMetadata(record, row, next),
      uploadUrl: await signer.deltaCreateUrl(delta, expiresAt),
      blocksUrl: await signer.deltaWriteUrl(delta, expiresAt),
      expiresAt: expiresAt.toISOString(),
    },
  };
}

/** The disks whose copy may run now, in the order of the item. */
function openDisks(record: ItemRecord): string[] {
  if (record.pausedAt !== null) return [];
  const isInitial = record.state === 'InitialReplicationInProgress';
  // A disk that was added is open once its replica is made.
  const isOpen = ({ arrivedAt, copied }: DiskRecord) =>
    arrivedAt === null && (isInitial || (record.state === 'Protected' && copied !== null));
  return record.disks.filter(isOpen).map(({ disk }) => disk);
}

function resyncOf({ resync }: ItemRecord) {
  if (!resync || resync.phase === 'applied') return null;
  return {
    generation: resync.generation,
    phase: resync.phase,
    isPaused: resync.isPaused,
    disks: Object.values(resync.digests).map((chain) => ({
      disk: chain.disk,
      segmentCount: chain.segmentCount,
      segmentsReady: chain.nextSegment,
      isComplete: isDigested(chain),
    })),
  };
}

async function assignment(context: ApiContext, record: ItemRecord, deltas: Pick<BlobPort, 'list'>) {
  const { storage, clock } = context.replication;
  const phase = phaseOf(record);
  const policy = await findPolicy(storage.vault, record.policy);
  const health = healthOf({ healthErrors: healthErrorsAt(record, policy, clock.now(), context.replication) });
  const about = {
    item: record.item,
    protectedItemId: resourceId(context.settings.vault, ...itemSegments(record)),
    site: record.fabric,
    machine: record.machine,
    machineName: record.machineName,
    phase,
    replicationHealth: health,
    appliedCycle: record.appliedCycle,
    policy: policy && {
      replicationIntervalSeconds: policy.replicationIntervalSeconds,
      appConsistentFrequencyHours: policy.appConsistentFrequencyHours,
      parallelDisks: policy.parallelDisks,
      consistencyGroup: policy.consistencyGroup,
    },
    snapshot: record.sourceSnapshot,
    retry: record.retry && {
      ...{ side: record.retry.side, code: record.retry.code, attempt: record.retry.attempt },
      ...{ firstFailedAt: record.retry.firstFailedAt, nextAttemptAt: record.retry.nextAttemptAt },
    },
    resync: resyncOf(record),
    failover: failoverOf(record),
    failback: await failbackOf(context, record),
    scrub: record.scrub && { scrubId: record.scrub.scrubId, cycle: record.scrub.cycle },
  };
  if (['enabling', 'failed', 'disabling', 'failedOver'].includes(phase))
    return { ...about, nextCycle: null, nextCycleName: null, disks: [] };
  const pending = await listPendingLogs(deltas, record);
  const cycle = nextCycleToSend(pending, record);
  const open = openDisks(record);
  const next: Next = { cycle, pending, open, parallelDisks: policy?.parallelDisks ?? 1 };
  const disks = await Promise.all(record.disks.map((row) => diskAssignment(context, record, row, next)));
  return { ...about, nextCycle: cycle, nextCycleName: formatCycle(cycle), disks };
}

/** Logs that are listed at once for all items, instead of each item's own: a request instead of one for each. */
const sharedListing = 1000;

/** The waiting logs as a port that lists them; of several items from one listing, unless there are very many. */
async function waitingLogs(
  deltas: Pick<BlobPort, 'list'>,
  itemCount: number,
): Promise<Pick<BlobPort, 'list'>> {
  if (itemCount < 2) return deltas;
  const found: BlobInfo[] = [];
  for await (const blob of deltas.list('')) {
    found.push(blob);
    if (found.length > sharedListing) return deltas;
  }
  return {
    async *list(prefix) {
      yield* found.filter(({ name }) => name.startsWith(prefix));
    },
  };
}

/** Items that are read at once. */
const readsAtOnce = 16;

/** The assignments of the items that are wanted, by where they are; others are not read. Ascending by item. */
export async function listAssignments(
  context: ApiContext,
  isWanted: (place: ItemPlace) => boolean,
): Promise<ReturnType<typeof list>> {
  const { storage } = context.replication;
  const wanted: string[] = [];
  for await (const place of listItemPlaces(storage)) if (isWanted(place)) wanted.push(place.item);
  const deltas = await waitingLogs(storage.deltas, wanted.length);
  const value: Awaited<ReturnType<typeof assignment>>[] = [];
  await forEachBounded(wanted.entries(), { concurrency: readsAtOnce }, async ([index, item]) => {
    const record = await findItem(storage.items, item);
    if (record) value[index] = await assignment(context, record, deltas);
  });
  // An item that is being created or deleted leaves a gap.
  return list(Object.values(value));
}

/** `?site=` limits the answer to one site. */
export const getAssignments: Handler = async (context, { query }) => {
  const site = query.get('site')?.toLowerCase();
  return listAssignments(context, ({ fabric }) => site === undefined || fabric.toLowerCase() === site);
};
