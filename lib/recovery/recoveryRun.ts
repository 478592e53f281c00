// What one job recovers: the recovery point, and the machine that is ordered of whoever makes machines. Decided once and
// stored, so that every step of the job, and everything that cleans up after it, means the same machine.
import * as z from 'zod';
import type { MachineOrder } from '../compute/port.ts';
import type { TablePort } from '../storage/ports.ts';
import { updateRow } from '../storage/updateRow.ts';

const disk = z.object({
  disk: z.string(),
  type: z.enum(['OperatingSystem', 'DataDisk']),
  lun: z.number(),
  blobName: z.string(),
  blobSizeBytes: z.number(),
  targetName: z.string().nullable(),
});
const nic = z.object({
  nic: z.string(),
  networkId: z.string().nullable(),
  subnet: z.string().nullable(),
  staticIp: z.string().nullable(),
  isPrimary: z.boolean(),
});
const text = z.string().nullable();

const machineOrder = z.object({
  item: z.string(),
  jobId: z.string(),
  purpose: z.enum(['test', 'failover']),
  name: z.string(),
  generation: z.enum(['1', '2']),
  osType: z.enum(['Windows', 'Linux', 'Other']),
  memoryMb: z.number(),
  processors: z.number(),
  disks: z.array(disk),
  nics: z.array(nic),
  placement: z.object({
    ...{ resourceGroupId: text, size: text, diskType: text, diskEncryptionSetId: text },
    ...{ availabilitySetId: text, zone: text, proximityPlacementGroupId: text, licenseType: text },
    tags: z.record(z.string(), z.string()),
  }),
}) satisfies z.ZodType<MachineOrder>;

export const recoveryRun = z.object({
  order: machineOrder,
  point: z.object({
    id: z.string(),
    cycle: z.number(),
    takenAt: z.iso.datetime(),
    consistency: z.enum(['crash', 'application']),
    disks: z.array(z.object({ disk: z.string(), snapshotId: z.string(), sizeBytes: z.number() })),
  }),
  requestedAt: z.iso.datetime(),
  /** What the console must show; null = a login prompt. */
  marker: z.string().nullable(),
  bootLimitSeconds: z.number(),
  /** From the request on, as was expected when the run was chosen; null in runs of earlier versions. */
  estimatedRtoSeconds: z.number().nullable().default(null),
  /** When the machine was started. */
  startedAt: z.iso.datetime().nullable(),
  /** What was seen of the boot; its console lies in `evidence`. Null before the end of the observation. */
  boot: z
    .object({
      verdict: z.enum(['booted', 'pending', 'ended', 'unavailable']),
      evidenceLine: z.string().nullable(),
    })
    .nullable(),
});
export type RecoveryRun = z.infer<typeof recoveryRun>;

export const recoveryRunKey = (jobId: string): string => `recovery:${jobId}`;

export async function findRun(
  items: TablePort,
  item: string,
  jobId: string,
): Promise<RecoveryRun | undefined> {
  const row = await items.find(item, recoveryRunKey(jobId));
  return row && recoveryRun.parse(row.value);
}

/** Throws `ResourceNotFound` when the job has not chosen yet, or everything of it was removed. */
export function updateRun(
  items: TablePort,
  item: string,
  jobId: string,
  change: (run: RecoveryRun) => RecoveryRun = (run) => run,
): Promise<RecoveryRun> {
  const place = { table: items, partition: item, key: recoveryRunKey(jobId), schema: recoveryRun };
  return updateRow({ ...place, what: `Recovery of item ${item} by job ${jobId}` }, change);
}
