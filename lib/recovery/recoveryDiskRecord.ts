// What is recorded of a disk that a failover makes: its row exists before its blob and goes after it, so that every blob
// can be found and removed whatever died when. The rows lie in the item's partition.
import * as z from 'zod';
import type { TablePort } from '../storage/ports.ts';

export const recoveryDiskRecord = z.object({
  item: z.string(),
  jobId: z.string(),
  disk: z.string(),
  /** The snapshot of the replica whose bytes the disk has; it must live as long as the disk is being made. */
  snapshotId: z.string(),
  blobName: z.string(),
  /** Of the blob: the padded disk and the footer. */
  blobSizeBytes: z.number(),
  /** SHA-256, base64url, of every span that is copied and compared, in order (diskDigest.ts). */
  spans: z.array(z.string()),
  /** Bytes of the snapshot that were ever written, in the spans that are done. */
  allocatedBytes: z.number(),
  startedAt: z.iso.datetime(),
  /** When the disk was whole, compared and released for writing; null before. */
  madeAt: z.iso.datetime().nullable(),
  /** SHA-256, hex, over all spans: equal for the snapshot and for the disk; null until it is made. */
  digest: z.string().nullable(),
});
export type RecoveryDiskRecord = z.infer<typeof recoveryDiskRecord>;

const prefix = 'recovered:';

export const recoveryDiskKey = (jobId: string, disk: string): string => `${prefix}${jobId}:${disk}`;

/** The disks that were made or begun for the item, by any job or by this one. */
export async function* listRecoveryDisks(
  items: TablePort,
  item: string,
  jobId?: string,
): AsyncIterable<RecoveryDiskRecord> {
  const from = jobId === undefined ? prefix : `${prefix}${jobId}:`;
  // ';' follows ':'.
  for await (const row of items.list(item, { from, to: `${from.slice(0, -1)};` }))
    yield recoveryDiskRecord.parse(row.value);
}
