// A disk made from a recovery point: a fixed VHD of its own in the container `recovered`, equal to the snapshot and proven
// so, byte for byte, before anyone may use it.
//
// Order, and what a crash after each step leaves:
//   1 row       names the blob that will be made                   → the next attempt, or the clean-up, finds everything
//   2 blob      empty, then leased and fenced                      → is found and taken over
//   3 spans     copied, compared, recorded one after the other     → goes on at the first span that is not recorded
//   4 release   sequence number raised, lease given back           → late writes of dead attempts fail from here on
//   5 row       made, with the digest                              → done
import { LifeboatError, assertInvariant } from '../errors.ts';
import { stableGuid } from '../ids.ts';
import { mergeMemory, type ByteBudget } from '../merge/byteBudget.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { replicaName } from '../replication/names.ts';
import type { Fence } from '../storage/ports.ts';
import { updateRow } from '../storage/updateRow.ts';
import { fixedVhdBlobSizeBytes, parseVhdFooter, vhdFooterSizeBytes } from '../vhd/fixed.ts';
import { copyMemoryBytes, copySpan } from './copySpan.ts';
import { digestOf, spansOf } from './diskDigest.ts';
import { recoveredDiskName, type RecoveredDiskName } from './names.ts';
import { recoveryDiskKey, recoveryDiskRecord, type RecoveryDiskRecord } from './recoveryDiskRecord.ts';

type RecoveryContext = Pick<ReplicationContext, 'storage' | 'clock' | 'fault'>;

export interface RecoveryDiskOrder extends RecoveredDiskName {
  /** Of the disk on the source. */
  sizeBytes: number;
  /** The replica's snapshot in the recovery point. */
  snapshotId: string;
}

export interface MakeOptions {
  /** No further span is begun after this time. */
  stopAt?: Date;
  signal?: AbortSignal;
  /** What the buffers are taken from; the budget of the process when omitted. */
  memory?: ByteBudget;
}

/** Only the job's own attempts know it, so nobody else's write can land while the disk is being made. */
function leaseOf({ item, jobId, disk }: RecoveredDiskName): string {
  return stableGuid('recovered', item, jobId, disk);
}

/**
 * Makes the disk, or goes on making it. `madeAt` of the returned record is null when time ran out: call again. May be
 * called as often as one likes, also after it is made. Throws `RecoveryPointMissing`, `RecoveryDiskMismatch` and what the
 * storage throws; nothing is lost then, call again or delete the disk. The same job and disk with another snapshot is an
 * assertion error: delete the disk first.
 */
export async function makeRecoveryDisk(
  context: RecoveryContext,
  order: RecoveryDiskOrder,
  options: MakeOptions = {},
): Promise<RecoveryDiskRecord> {
  const found = await findOrInsert(context, order);
  assertInvariant(found.snapshotId === order.snapshotId, `${found.blobName} has one snapshot`);
  if (found.madeAt !== null) return found;
  context.fault('recovery.afterRow');
  const { fence, record } = await takeBlob(context, order, found);
  context.fault('recovery.afterFence');
  const release = await (options.memory ?? mergeMemory).take(copyMemoryBytes, options.signal);
  try {
    const copied = await copySpans(context, record, fence, options);
    return copied.spans.length < spansOf(record.blobSizeBytes).length
      ? copied
      : await finish(context, order, copied);
  } finally {
    release();
  }
}

async function findOrInsert(
  { storage, clock }: RecoveryContext,
  order: RecoveryDiskOrder,
): Promise<RecoveryDiskRecord> {
  const { item, jobId, disk, snapshotId } = order;
  const key = recoveryDiskKey(jobId, disk);
  const row = await storage.items.find(item, key);
  if (row) return recoveryDiskRecord.parse(row.value);
  const value: RecoveryDiskRecord = {
    ...{ item, jobId, disk, snapshotId },
    blobName: recoveredDiskName(order),
    blobSizeBytes: fixedVhdBlobSizeBytes(order.sizeBytes),
    ...{ spans: [], allocatedBytes: 0, startedAt: clock.now().toISOString(), madeAt: null, digest: null },
  };
  await storage.items.transact(item, [{ kind: 'insert', key, value }]);
  return value;
}

/** The blob of the right size, under our lease; from now on no write of an earlier attempt can land. */
async function takeBlob(
  context: RecoveryContext,
  order: RecoveryDiskOrder,
  begun: RecoveryDiskRecord,
): Promise<{ fence: Fence; record: RecoveryDiskRecord }> {
  const { recovered } = context.storage;
  const { blobName, blobSizeBytes } = begun;
  const leaseId = leaseOf(order);
  const found = await recovered.find(blobName);
  let record = begun;
  if (found?.sizeBytes !== blobSizeBytes) {
    // Nothing that was recorded of an earlier blob is true of a new one.
    record = await updateRecord(context, begun, (current) => ({ ...current, spans: [], allocatedBytes: 0 }));
    if (found) await recovered.delete(blobName, leaseId);
    await recovered.create(blobName, blobSizeBytes);
  }
  await recovered.holdLease(blobName, leaseId);
  const sequenceNumber = await recovered.raiseSequenceNumber(blobName, leaseId);
  return { fence: { leaseId, sequenceNumber }, record };
}

async function copySpans(
  context: RecoveryContext,
  begun: RecoveryDiskRecord,
  fence: Fence,
  { stopAt, signal }: MakeOptions,
): Promise<RecoveryDiskRecord> {
  const { storage, clock, fault } = context;
  const { item, disk, snapshotId, blobName } = begun;
  const source = { port: storage.replicas, container: 'replicas', name: replicaName(item, disk), snapshotId };
  const target = { port: storage.recovered, name: blobName, fence };
  let record = begun;
  for (const span of spansOf(begun.blobSizeBytes).slice(begun.spans.length)) {
    if (stopAt && clock.now() >= stopAt) return record;
    signal?.throwIfAborted();
    const { digests, allocatedBytes } = await copySpan({ source, target, fault, signal }, span);
    const digest = Buffer.from(digestOf(digests)).toString('base64url');
    const done = record.spans.length;
    record = await updateRecord(context, record, (current) => {
      if (current.spans.length !== done)
        throw new LifeboatError('FenceLost', `Another worker is making ${blobName}.`, { target: blobName });
      return {
        ...current,
        spans: [...current.spans, digest],
        allocatedBytes: current.allocatedBytes + allocatedBytes,
      };
    });
    fault('recovery.afterSpan');
  }
  return record;
}

/** Checks that it is the fixed VHD of its size, and opens it to others. */
async function finish(
  context: RecoveryContext,
  order: RecoveryDiskOrder,
  record: RecoveryDiskRecord,
): Promise<RecoveryDiskRecord> {
  const { recovered } = context.storage;
  const { blobName, blobSizeBytes } = record;
  const diskBytes = blobSizeBytes - vhdFooterSizeBytes;
  const footer = parseVhdFooter(
    await recovered.read(blobName, { offsetBytes: diskBytes, lengthBytes: vhdFooterSizeBytes }),
  );
  if (footer.diskType !== 'fixed' || footer.sizeBytes !== diskBytes) {
    const message = `${blobName} says that it is a ${footer.diskType} VHD of ${footer.sizeBytes} bytes, not a fixed one of ${diskBytes}.`;
    throw new LifeboatError('ReplicaSizeMismatch', message, { target: blobName });
  }
  const leaseId = leaseOf(order);
  await recovered.raiseSequenceNumber(blobName, leaseId);
  context.fault('recovery.beforeRelease');
  await recovered.releaseLease(blobName, leaseId);
  context.fault('recovery.afterRelease');
  const madeAt = context.clock.now().toISOString();
  const spans = record.spans.map((span) => Buffer.from(span, 'base64url'));
  const digest = Buffer.from(digestOf(spans)).toString('hex');
  return updateRecord(context, record, (current) => ({ ...current, madeAt, digest }));
}

function updateRecord(
  { storage }: RecoveryContext,
  { item, jobId, disk, blobName }: RecoveryDiskRecord,
  change: (record: RecoveryDiskRecord) => RecoveryDiskRecord,
): Promise<RecoveryDiskRecord> {
  const key = recoveryDiskKey(jobId, disk);
  const place = { table: storage.items, partition: item, key, schema: recoveryDiskRecord };
  return updateRow({ ...place, what: `Recovered disk "${blobName}"` }, change);
}

/** Removes the disk and every trace of it. May be called at any time, as often as one likes, also for a disk that never was. */
export async function deleteRecoveryDisk(context: RecoveryContext, name: RecoveredDiskName): Promise<void> {
  const { recovered, items } = context.storage;
  await recovered.delete(recoveredDiskName(name), leaseOf(name));
  context.fault('recovery.afterDelete');
  const key = recoveryDiskKey(name.jobId, name.disk);
  const row = await items.find(name.item, key);
  if (row) await items.transact(name.item, [{ kind: 'delete', key, etag: row.etag }]);
}
