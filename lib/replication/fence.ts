// The right to write a replica: its infinite lease under the id in the disk's row, and a sequence number raised anew.
// Both are asked for again before every attempt, because an earlier attempt may have writes in flight.
import { LifeboatError, assertInvariant } from '../errors.ts';
import type { DiskRecord } from '../protection/item.ts';
import type { Fence, PageBlobInfo } from '../storage/ports.ts';
import { fixedVhdBlobSizeBytes } from '../vhd/fixed.ts';
import type { ReplicationContext } from './context.ts';
import { replicaName } from './names.ts';

/**
 * Returns the fence for one attempt on one disk. From then on no write of an older attempt can land.
 * Throws `ReplicaMissing`, `ReplicaSizeMismatch`, `ReplicaLeaseLost` when somebody else holds the blob, and
 * `ReplicaRolledBack` when the blob is older than the rows say; these change nothing, so they come again each time.
 */
export async function raiseFence(
  { storage }: ReplicationContext,
  item: string,
  disk: DiskRecord,
): Promise<Fence> {
  const { leaseId } = disk;
  assertInvariant(leaseId !== null, `replica of ${item}/${disk.disk} has a lease id before it is written`);
  const name = replicaName(item, disk.disk);
  await storage.replicas.find(name).then((found) => requireReplica(name, disk, found));
  await storage.replicas.holdLease(name, leaseId);
  // Looked at again under the lease: until then an upload URL could still replace the blob.
  await storage.replicas.find(name).then((found) => requireReplica(name, disk, found));
  return { leaseId, sequenceNumber: await storage.replicas.raiseSequenceNumber(name, leaseId) };
}

function requireReplica(name: string, disk: DiskRecord, found: PageBlobInfo | undefined): void {
  if (!found) throw new LifeboatError('ReplicaMissing', `Replica ${name} does not exist.`, { target: name });
  const expectedBytes = fixedVhdBlobSizeBytes(disk.sizeBytes);
  if (found.sizeBytes !== expectedBytes) {
    const message = `Replica ${name} has ${found.sizeBytes} bytes instead of ${expectedBytes}.`;
    throw new LifeboatError('ReplicaSizeMismatch', message, { target: name });
  }
  if (found.sequenceNumber < disk.fence) {
    const message = `Replica ${name} has sequence number ${found.sequenceNumber}, but ${disk.fence} was recorded: the storage went back in time.`;
    throw new LifeboatError('ReplicaRolledBack', message, { target: name });
  }
}
