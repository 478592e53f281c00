// The replica page blobs around initial replication: made as valid, empty fixed VHDs; handed to the source for writing;
// sealed when the source says that everything is there.
import { LifeboatError, isLifeboatError } from '../errors.ts';
import { stableGuid } from '../ids.ts';
import { joinedDisks } from '../protection/item.ts';
import type { DiskRecord, ItemRecord } from '../protection/item.ts';
import { getItem, updateItem } from '../protection/itemStore.ts';
import { transition } from '../protection/states.ts';
import type { Fence } from '../storage/ports.ts';
import { fixedVhdBlobSizeBytes, formatFixedVhdFooter, paddedSizeBytes } from '../vhd/fixed.ts';
import type { ReplicationContext } from './context.ts';
import { raiseFence } from './fence.ts';
import { replicaName } from './names.ts';

/** Zeros the padding behind the disk and writes the footer: the blob is a valid fixed VHD whatever a client left there. */
export async function writeTail(
  { storage }: ReplicationContext,
  record: Pick<ItemRecord, 'item' | 'createdAt'>,
  { disk, sizeBytes }: DiskRecord,
  fence?: Fence,
): Promise<void> {
  const name = replicaName(record.item, disk);
  const paddedBytes = paddedSizeBytes(sizeBytes);
  if (paddedBytes > sizeBytes) {
    await storage.replicas.clearPages(
      name,
      { offsetBytes: sizeBytes, lengthBytes: paddedBytes - sizeBytes },
      fence,
    );
  }
  const uniqueId = stableGuid('vhd', record.item, disk, record.createdAt);
  const footer = formatFixedVhdFooter({
    sizeBytes: paddedBytes,
    uniqueId,
    createdAt: new Date(record.createdAt),
  });
  await storage.replicas.writePages(name, paddedBytes, footer, fence);
}

/**
 * Makes an empty replica for every disk. May be repeated until initial replication starts: what an earlier attempt made
 * is made anew. Throws `BlobExists` for a replica that is leased or has snapshots: it belongs to an earlier protection.
 */
export async function createReplicas(context: ReplicationContext, record: ItemRecord): Promise<void> {
  for (const disk of record.disks) await createReplica(context, record, disk);
}

/** The empty replica of one disk; as `createReplicas`. */
export async function createReplica(
  context: ReplicationContext,
  record: Pick<ItemRecord, 'item' | 'createdAt'>,
  disk: DiskRecord,
): Promise<void> {
  const { replicas } = context.storage;
  const name = replicaName(record.item, disk.disk);
  const existing = await replicas.find(name);
  if (existing && (existing.isLeased || (await replicas.listSnapshots(name)).length > 0)) {
    const message = `Replica ${name} exists from an earlier protection. Delete it, or protect the machine under another name.`;
    throw new LifeboatError('BlobExists', message, { target: name });
  }
  // Old bytes must not show through where a source skips zeros.
  if (existing) await replicas.delete(name);
  await replicas.create(name, fixedVhdBlobSizeBytes(disk.sizeBytes));
  context.fault('createReplicas.afterCreate');
  await writeTail(context, record, disk);
}

/** What the source says about the copy that it has just finished. */
export interface CopyStatement {
  /** All bytes are of this moment (the source read from a snapshot). */
  pointInTime?: string | undefined;
  /** The disk changed while it was copied: it is consistent only after this cycle's log is applied. */
  consistentFromCycle?: number | undefined;
}

/** Gives every disk its lease id in the row before the lease is taken: a crash between the two loses no blob. */
async function assignLease(context: ReplicationContext, item: string, disk: string): Promise<ItemRecord> {
  const leaseId = context.newId();
  return updateItem(context.storage.items, item, (record) => {
    const row = findDisk(record, disk);
    // A disk that was added arrives while the item is protected.
    if (row.joinedAtCycle !== null) transition(record.state, 'initialReplicationCompleted');
    if (row.leaseId !== null) return record;
    return { ...record, disks: record.disks.map((row) => (row.disk === disk ? { ...row, leaseId } : row)) };
  });
}

function findDisk(record: ItemRecord, disk: string): DiskRecord {
  const found = record.disks.find((row) => row.disk === disk);
  if (found) return found;
  const known = record.disks.map((row) => row.disk).join(', ');
  throw new LifeboatError(
    'DiskNotProtected',
    `Item ${record.item} has no protected disk "${disk}"; it has ${known}.`,
    { target: disk },
  );
}

/**
 * Ends the initial replication of one disk: takes the replica under our infinite lease, so that no upload URL can write
 * it any more, and completes the VHD. When it was the last disk the item goes on to merging. May be called twice.
 * Throws `ReplicaSizeMismatch` or `ReplicaMissing` when the client spoiled the blob; the disk then stays open for upload.
 */
export async function completeInitialReplication(
  context: ReplicationContext,
  item: string,
  disk: string,
  statement: CopyStatement,
): Promise<ItemRecord> {
  const before = await getItem(context.storage.items, item);
  if (findDisk(before, disk).arrivedAt !== null) return before;
  const assigned = await assignLease(context, item, disk);
  const row = findDisk(assigned, disk);
  const fence = await sealReplica(context, assigned, row);
  context.fault('seal.afterTail');
  const arrivedAt = context.clock.now().toISOString();
  return updateItem(context.storage.items, item, (record) => {
    if (findDisk(record, disk).arrivedAt !== null) return record;
    const arrived: Partial<DiskRecord> = {
      arrivedAt,
      fence: fence.sequenceNumber,
      copyOf: statement.pointInTime ?? null,
    };
    const disks = record.disks.map((each) => (each.disk === disk ? { ...each, ...arrived } : each));
    if (findDisk(record, disk).joinedAtCycle === null) return { ...record, disks };
    const isLast = joinedDisks({ disks }).every((each) => each.arrivedAt !== null);
    return {
      ...record,
      disks,
      consistentFromCycle: Math.max(record.consistentFromCycle, statement.consistentFromCycle ?? 1),
      state: isLast ? transition(record.state, 'initialReplicationCompleted') : record.state,
    };
  });
}

async function sealReplica(
  context: ReplicationContext,
  record: ItemRecord,
  disk: DiskRecord,
): Promise<Fence> {
  try {
    const fence = await raiseFence(context, record.item, disk);
    await writeTail(context, record, disk, fence);
    return fence;
  } catch (error) {
    // The client must be able to put it right: leave the blob open to its upload URL.
    if (isLifeboatError(error, 'ReplicaSizeMismatch') && disk.leaseId !== null) {
      await context.storage.replicas.releaseLease(replicaName(record.item, disk.disk), disk.leaseId);
    }
    throw error;
  }
}
