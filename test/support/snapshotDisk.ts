// A replica with a recovery point, made directly: sparse disks of any size, with what was written to them.
import { createHash, randomUUID } from 'node:crypto';
import type { RecoveryDiskOrder } from '../../lib/recovery/recoveryDisk.ts';
import { replicaName } from '../../lib/replication/names.ts';
import type { PageBlobPort, Storage } from '../../lib/storage/ports.ts';
import { fixedVhdBlobSizeBytes, formatFixedVhdFooter, paddedSizeBytes } from '../../lib/vhd/fixed.ts';

export interface SnapshotDisk {
  order: RecoveryDiskOrder;
  blobSizeBytes: number;
}

/** Writes the pieces to a new replica, takes a snapshot, and writes something else everywhere near. */
export async function snapshotDisk(
  storage: Storage,
  sizeBytes: number,
  pieces: readonly { offsetBytes: number; bytes: Uint8Array }[],
  item = `vm-${randomUUID().slice(0, 8)}`,
): Promise<SnapshotDisk> {
  const order = { item, jobId: randomUUID(), disk: 'os', sizeBytes, snapshotId: '' };
  const name = replicaName(item, order.disk);
  const blobSizeBytes = fixedVhdBlobSizeBytes(sizeBytes);
  const padded = paddedSizeBytes(sizeBytes);
  await storage.replicas.create(name, blobSizeBytes);
  const footer = formatFixedVhdFooter({
    sizeBytes: padded,
    uniqueId: randomUUID(),
    createdAt: new Date('2026-01-01T00:00:00Z'),
  });
  await storage.replicas.writePages(name, padded, footer);
  for (const { offsetBytes, bytes } of pieces) await storage.replicas.writePages(name, offsetBytes, bytes);
  order.snapshotId = await storage.replicas.snapshot(name, {});
  for (const { offsetBytes, bytes } of pieces)
    await storage.replicas.writePages(name, offsetBytes, new Uint8Array(bytes.length).fill(0xee));
  return { order, blobSizeBytes };
}

/** The digest of docs/recovery.md, computed the plain way: every byte is read, nothing is skipped. */
export async function plainDiskDigest(
  port: PageBlobPort,
  name: string,
  sizeBytes: number,
  snapshotId?: string,
): Promise<string> {
  const sha256 = (parts: readonly Uint8Array[]): Buffer => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  const spans: Buffer[] = [];
  let blocks: Buffer[] = [];
  const [gib, block] = [2 ** 30, 2 ** 22];
  const zeroBlock = new Uint8Array(block);
  const zeroDigest = sha256([zeroBlock]);
  for (let offsetBytes = 0; offsetBytes < sizeBytes; offsetBytes += block) {
    if (offsetBytes > 0 && offsetBytes % gib === 0) {
      spans.push(sha256(blocks));
      blocks = [];
    }
    const lengthBytes = Math.min(block, sizeBytes - offsetBytes);
    const bytes = await port.read(name, { offsetBytes, lengthBytes }, snapshotId);
    // The same digest as of the bytes themselves; most blocks of a sparse disk are zeros.
    const isZero = lengthBytes === block && Buffer.compare(bytes, zeroBlock) === 0;
    blocks.push(isZero ? zeroDigest : sha256([bytes]));
  }
  spans.push(sha256(blocks));
  return sha256(spans).toString('hex');
}
