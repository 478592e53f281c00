// The proof: every recovery point is downloaded as it is in storage and compared, byte for byte by SHA-256, with the
// copy of the source that was frozen for its cycle; the rest of each snapshot must be zeros and a valid VHD footer.
import { mkdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSha256 } from '../../agent/deltaLog.ts';
import { openFileSource } from '../../agent/fileSource.ts';
import type { RecoveryPoint } from '../../agent/vaultClient.ts';
import {
  fixedVhdBlobSizeBytes,
  paddedSizeBytes,
  parseVhdFooter,
  vhdFooterSizeBytes,
} from '../../lib/vhd/fixed.ts';
import { frozenPath, type Demo } from './demo.ts';
import type { TrackedDisk } from './trackedDisk.ts';

/** One disk of one recovery point. */
export interface ProofRow {
  point: string;
  cycle: number;
  takenAt: string;
  disk: string;
  sha256: string;
  isEqual: boolean;
  /** What is wrong behind the disk's bytes, if anything. */
  tail: string;
  fileSystem: string;
}

/** `ok`, or what is wrong with padding, footer or size. */
async function checkTail(path: string, diskSizeBytes: number): Promise<string> {
  await using file = await openFileSource(path);
  const expectedBytes = fixedVhdBlobSizeBytes(diskSizeBytes);
  if (file.sizeBytes !== expectedBytes) return `${file.sizeBytes} bytes instead of ${expectedBytes}`;
  const paddedBytes = paddedSizeBytes(diskSizeBytes);
  const padding = await file.read(diskSizeBytes, paddedBytes - diskSizeBytes);
  if (padding.some((byte) => byte !== 0)) return 'padding is not zero';
  const footer = parseVhdFooter(await file.read(paddedBytes, vhdFooterSizeBytes));
  if (footer.diskType !== 'fixed' || footer.sizeBytes !== paddedBytes)
    return `footer says ${footer.sizeBytes}`;
  return 'ok';
}

async function proveDisk(
  demo: Demo,
  point: RecoveryPoint,
  stored: { blobName: string; snapshotId: string },
  disk: TrackedDisk,
): Promise<ProofRow> {
  const { cycle } = point.properties.providerSpecificDetails;
  const recovered = join(demo.folder, 'recovered', `${cycle}-${disk.id}.raw`);
  const blob = demo.blobs.getContainerClient('replicas').getBlobClient(stored.blobName);
  await blob
    .withSnapshot(stored.snapshotId)
    .downloadToFile(recovered, 0, undefined, { abortSignal: demo.signal });
  const tail = await checkTail(recovered, disk.sizeBytes);
  await truncate(recovered, disk.sizeBytes);
  const sha256 = await fileSha256(recovered, demo.signal);
  const isEqual = sha256 === (await fileSha256(frozenPath(demo, cycle, disk.id), demo.signal));
  const isSystemDisk = disk === demo.disks[0];
  const fileSystem = isSystemDisk ? await demo.guest.check(recovered) : '-';
  await rm(recovered);
  const takenAt = new Date(point.properties.recoveryPointTime).toISOString().slice(11, 23);
  return { point: point.name.slice(0, 8), cycle, takenAt, disk: disk.id, sha256, isEqual, tail, fileSystem };
}

/** Checks every disk of every point, oldest point first. Throws an Error when a point lacks a disk. */
export async function provePoints(demo: Demo): Promise<ProofRow[]> {
  await mkdir(join(demo.folder, 'recovered'), { recursive: true });
  const points = (await demo.vault.listRecoveryPoints(demo.itemSegments)).reverse();
  const rows: ProofRow[] = [];
  for (const point of points) {
    const { disks, cycle } = point.properties.providerSpecificDetails;
    for (const disk of demo.disks) {
      const stored = disks.find(({ diskId }) => diskId === disk.id);
      if (!stored) throw new Error(`Recovery point of cycle ${cycle} has no snapshot of disk ${disk.id}.`);
      rows.push(await proveDisk(demo, point, stored, disk));
    }
  }
  return rows;
}

export function isProven({ isEqual, tail, fileSystem }: ProofRow): boolean {
  return isEqual && tail === 'ok' && ['clean', 'n/a', '-'].includes(fileSystem);
}

/** The rows as a table of at most 80 columns. */
export function proofTable(rows: readonly ProofRow[]): string[][] {
  const titles = ['point', 'cycle', 'taken (UTC)', 'disk', 'sha256', 'equal', 'VHD', 'fsck'];
  const cells = rows.map((row) => [
    ...[row.point, String(row.cycle), row.takenAt, row.disk, row.sha256.slice(0, 12)],
    ...[row.isEqual ? 'yes' : 'NO', row.tail === 'ok' ? 'ok' : 'BAD'],
    row.fileSystem.length > 5 ? 'BAD' : row.fileSystem,
  ]);
  return [titles, ...cells];
}
