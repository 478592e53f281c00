// The protected item (a VM) as it is stored: one row that carries its disks, so that every decision about the item is
// one compare-and-set. Cycles and recovery points are rows beside it in the same partition.
import * as z from 'zod';
import { errorCatalogue } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { protectionStates } from './states.ts';

const errorCode = z.custom<ErrorCode>((code) => typeof code === 'string' && code in errorCatalogue);

export const healthError = z.object({
  code: errorCode,
  level: z.enum(['Warning', 'Critical']),
  message: z.string(),
  /** What it is about, for example the blob name of a log; one error per (code, subject). */
  subject: z.string(),
  raisedAt: z.iso.datetime(),
  /** The error is over once this cycle is applied. */
  clearedByCycle: z.number(),
});
export type HealthError = z.infer<typeof healthError>;

export const diskRecord = z.object({
  disk: z.string(),
  name: z.string(),
  type: z.enum(['OperatingSystem', 'DataDisk']),
  /** Size on the source; the replica is padded up to 1 MiB. */
  sizeBytes: z.number(),
  /** Lease that holds the replica from the end of initial replication on; null before. Stored before it is taken. */
  leaseId: z.string().nullable(),
  /** When the source said that every page is here and we sealed the replica. */
  arrivedAt: z.iso.datetime().nullable(),
  /** The moment that the whole copy shows, when the source vouched for one (it read from a snapshot). */
  copyOf: z.iso.datetime().nullable(),
  /** The replica's sequence number under which the last cycle was committed: a lower one in the blob = storage went back in time. */
  fence: z.number(),
  /** UniqueId of the last applied log: the next one names it as its predecessor. */
  lastLogId: z.string().nullable(),
});
export type DiskRecord = z.infer<typeof diskRecord>;

export const itemRecord = z.object({
  item: z.string(),
  /** As in the URL of the PUT. */
  name: z.string(),
  fabric: z.string(),
  container: z.string(),
  machine: z.string(),
  machineName: z.string(),
  policy: z.string(),
  /** `providerSpecificDetails` of the PUT, echoed in GET. */
  providerInput: z.record(z.string(), z.unknown()),
  state: z.enum(protectionStates),
  /** Job that runs on the item; at most one. */
  currentJob: z.string().nullable(),
  createdAt: z.iso.datetime(),
  disks: z.array(diskRecord),
  /** First cycle after which the replica is consistent: a disk copied while it changed is not before. */
  consistentFromCycle: z.number(),
  /** Last cycle that is merged and recorded; 0 = none. */
  appliedCycle: z.number(),
  /**
   * Attempt that merges a cycle now: set before its first byte is written, so that a later attempt knows what a crash may
   * have left, and checked at the commit, so that only the newest attempt can record anything.
   */
  applying: z.object({ cycle: z.number(), attempt: z.string() }).nullable(),
  healthErrors: z.array(healthError),
});
export type ItemRecord = z.infer<typeof itemRecord>;

/** A log as it was applied: what a second upload under the same name is compared with. */
export const appliedLog = z.object({
  disk: z.string(),
  sha256: z.string(),
  etag: z.string(),
  logId: z.string(),
  logBytes: z.number(),
  dataBytes: z.number(),
  entryCount: z.number(),
});
export type AppliedLog = z.infer<typeof appliedLog>;

export const cycleRecord = z.object({
  cycle: z.number(),
  appliedAt: z.iso.datetime(),
  logs: z.array(appliedLog),
});
export type CycleRecord = z.infer<typeof cycleRecord>;

export const recoveryPointRecord = z.object({
  id: z.string(),
  cycle: z.number(),
  /** The moment whose bytes the snapshots hold. */
  takenAt: z.iso.datetime(),
  /** Who vouches for `takenAt`: the source (metadata takenat), or only the time of upload, which is later. */
  takenAtFrom: z.enum(['source', 'upload']),
  consistency: z.enum(['crash', 'application']),
  recordedAt: z.iso.datetime(),
  disks: z.array(z.object({ disk: z.string(), snapshotId: z.string() })),
});
export type RecoveryPointRecord = z.infer<typeof recoveryPointRecord>;

/** Worst of the item's health errors, in Site Recovery's words. */
export function healthOf(item: Pick<ItemRecord, 'healthErrors'>): 'Normal' | 'Warning' | 'Critical' {
  if (item.healthErrors.some((error) => error.level === 'Critical')) return 'Critical';
  return item.healthErrors.length > 0 ? 'Warning' : 'Normal';
}

/** The list with this error in it once; a newer one of the same code and subject replaces the older. */
export function withHealthError(errors: readonly HealthError[], error: HealthError): HealthError[] {
  return [...errors.filter(({ code, subject }) => code !== error.code || subject !== error.subject), error];
}

/** The moment that the initial copy shows on every disk, or undefined when the source vouched for none. */
export function baselineOf({ disks }: Pick<ItemRecord, 'disks'>): string | undefined {
  const moments = new Set(disks.map(({ copyOf }) => copyOf));
  const [moment] = moments;
  return moments.size === 1 && moment ? moment : undefined;
}
