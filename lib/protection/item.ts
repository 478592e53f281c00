// The protected item (a VM) as it is stored: one row that carries its disks, so that every decision about the item is
// one compare-and-set. Cycles and recovery points are rows beside it in the same partition.
import * as z from 'zod';
import { errorCode } from '../errorCatalogue/errorCode.ts';
import { retryState } from '../retry/retryState.ts';
import { rpoSeries } from '../rpo/series.ts';
import { digestChainState } from '../resync/digestChain.ts';
import { scrubVerdict } from '../resync/scrub.ts';
import { protectionStates } from './states.ts';

/** What a timer looks at by itself; see lib/agenda. */
export const agendaKinds = ['retry', 'health', 'resync', 'retention', 'scrub', 'drill', 'readiness'] as const;
export type AgendaKind = (typeof agendaKinds)[number];

export const healthError = z.object({
  code: errorCode,
  level: z.enum(['Warning', 'Critical']),
  message: z.string(),
  /** What it is about, for example the blob name of a log; one error per (code, subject). */
  subject: z.string(),
  raisedAt: z.iso.datetime(),
  /** The error is over once this cycle is applied; Number.MAX_SAFE_INTEGER = no cycle mends it. */
  clearedByCycle: z.number(),
  /** Follows from the item's rows and the clock, and is worked out anew at each look (lib/protection/health.ts). */
  isDerived: z.boolean().optional(),
});
export type HealthError = z.infer<typeof healthError>;

/** Why a disk's replica may not equal the source any more. */
const resyncReasons = [
  'LogChainBroken',
  'LogLost',
  'LogsTooLarge',
  'TrackingLost',
  'DiskChangedOffline',
  'ReplicaRolledBack',
  'ScrubFailed',
  'Requested',
] as const;

const resyncMark = z.object({
  reason: z.enum(resyncReasons),
  markedAt: z.iso.datetime(),
  message: z.string(),
  /** No log but the one of the resync may be merged: the changes between them are not known. */
  blocksMerging: z.boolean(),
});
export type ResyncMark = z.infer<typeof resyncMark>;

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
  /**
   * First cycle that recovery points include the disk in; null = the disk was added and joins with the first cycle that
   * has a log of kind `resync` for it.
   */
  joinedAtCycle: z.number().nullable().default(0),
  resync: resyncMark.nullable().default(null),
  /** Bytes of the logs that wait for this disk, as last listed. */
  pendingLogBytes: z.number().default(0),
  /** During initial replication: how much of the disk is durably here, as last looked at, and how fast it grew. */
  copied: z
    .object({ bytes: z.number(), at: z.iso.datetime(), bytesPerSecond: z.number().nullable() })
    .nullable()
    .default(null),
});
export type DiskRecord = z.infer<typeof diskRecord>;

/** A disk that is not protected any more; its replica stays while a recovery point needs it. */
const retiredDisk = z.object({ disk: z.string(), leaseId: z.string().nullable(), lastCycle: z.number() });

/** A resynchronization that runs: digests of the replica, then the source's log. */
const itemResync = z.object({
  /** Names the manifests, and the logs that belong to it (metadata `generation`). */
  generation: z.number(),
  jobId: z.string(),
  startedBy: z.enum(['schedule', 'user']),
  startedAt: z.iso.datetime(),
  /** `comparing` = the source may read the digests; `applied` = its log is merged. */
  phase: z.enum(['digesting', 'comparing', 'applied']),
  isPaused: z.boolean().default(false),
  /** The replica is not what was compared: the job ends, and another one compares anew. */
  isStale: z.boolean().default(false),
  digests: z.record(z.string(), digestChainState),
  /** Bytes of disk that the source has compared, as it reported. */
  comparedBytes: z.number().default(0),
  differingBytes: z.number().default(0),
  /** Data in the applied logs. */
  shippedBytes: z.number().default(0),
});
export type ItemResync = z.infer<typeof itemResync>;

/** A comparison of one recovery point with the source's frozen view of that moment. */
const itemScrub = z.object({
  scrubId: z.string(),
  jobId: z.string(),
  requestedAt: z.iso.datetime(),
  /** The cycle whose frozen view the source published digests of; null = the source has not yet. */
  cycle: z.number().nullable(),
  digests: z.record(z.string(), digestChainState).default({}),
});
export type ItemScrub = z.infer<typeof itemScrub>;

/** A test failover that was not cleaned up yet. */
const itemTestFailover = z.object({
  /** Its machine and disks carry this job's id. */
  jobId: z.string(),
  startedBy: z.enum(['schedule', 'user']),
  pointId: z.string().nullable(),
  state: z.enum(['inProgress', 'completed']),
  startedAt: z.iso.datetime(),
  /** When it is cleaned up by itself. */
  expiresAt: z.iso.datetime(),
});
export type ItemTestFailover = z.infer<typeof itemTestFailover>;

/** A failover that is running, or that the machine has gone through. */
const itemFailover = z.object({
  /** Its machine and disks carry this job's id. */
  jobId: z.string(),
  kind: z.enum(['planned', 'unplanned']),
  requestedAt: z.iso.datetime(),
  /** Whether the source is asked to shut down and to send what is left, and what came of it. */
  source: z.enum(['notAsked', 'asked', 'stopped', 'unreachable']),
  /** The last cycle that the source cut, as it says; null = it has not said. */
  finalCycle: z.number().nullable(),
  /** The recovery point that the machine runs from. */
  point: z.object({ id: z.string(), cycle: z.number(), takenAt: z.iso.datetime() }).nullable(),
  /** How much time of the source is missing in the recovery point; 0 for a planned one, null before a point is chosen. */
  dataLossSeconds: z.number().nullable(),
});
export type ItemFailover = z.infer<typeof itemFailover>;

/** How far a failback has read the machine's disks; see lib/recovery/failbackPass.ts. */
const failbackPass = z.object({
  /** `sync`: the machine runs. `final`: it is off. `proof`: the replica is compared. `seal`: the recovery point is recorded. */
  stage: z.enum(['sync', 'final', 'proof', 'seal']),
  /** Everything before it is done, by disk; absent = nothing. */
  comparedTo: z.record(z.string(), z.number()),
  /** The first pass is in the replica: only what changed since need be read. */
  isDelta: z.boolean(),
  /** Bytes of the differences that were sent. */
  shippedBytes: z.number(),
});
export type FailbackPass = z.infer<typeof failbackPass>;

/** A failback that is running. */
const itemFailback = z.object({
  jobId: z.string(),
  pass: failbackPass.nullable().default(null),
  /** First cycle that the job cut; null before. */
  firstCycle: z.number().nullable().default(null),
  /** The empty cycle that ends the changes, decided before its logs are there. */
  sealCycle: z.number().nullable().default(null),
  /** When the user let a failback go on that had copied while the machine ran. */
  completeRequestedAt: z.iso.datetime().nullable().default(null),
  /** Cycles that carry the changes of the recovered disks; null before they are cut. */
  cycles: z.object({ first: z.number(), last: z.number() }).nullable(),
  /** Disks that the source has written and compared. */
  appliedDisks: z.array(z.string()),
});

/** Test failovers on a schedule. */
const drillSettings = z.object({
  everyDays: z.number().int().min(1).max(365),
  /** What the console must show; null = a login prompt. */
  marker: z.string().nullable(),
  bootLimitSeconds: z.number().int().min(10).max(7200),
});

/** What a failover would stumble over, as a timer last found it (lib/recovery/readinessCheck.ts). */
const itemReadiness = z.object({
  checkedAt: z.iso.datetime(),
  issues: z.array(
    z.object({
      severity: z.enum(['Error', 'Warning']),
      check: z.string(),
      subject: z.string(),
      message: z.string(),
    }),
  ),
});
export type ItemReadiness = z.infer<typeof itemReadiness>;

/** The newest recovery point, beside its row, so that showing an item reads one row. */
const latestPoint = z.object({
  id: z.string(),
  cycle: z.number(),
  takenAt: z.iso.datetime(),
  recordedAt: z.iso.datetime(),
  consistency: z.enum(['crash', 'application']),
});

export const itemRecord = z.object({
  item: z.string(),
  /** As in the URL of the PUT. */
  name: z.string(),
  fabric: z.string(),
  container: z.string(),
  machine: z.string(),
  machineName: z.string(),
  /** ARM id of the protected item; jobs that the product starts by itself carry it. */
  armId: z.string().default(''),
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
  /** Times at which timers look at the item again. */
  agenda: z.partialRecord(z.enum(agendaKinds), z.iso.datetime().nullable()).default({}),
  /** When initial replication may start; null = at once. */
  startAt: z.iso.datetime().nullable().default(null),
  /** The snapshot that the source copies the disks from, as far as it told us. */
  sourceSnapshot: z.enum(['none', 'requested', 'held', 'releasing']).default('none'),
  /** When the user paused replication: the source sends nothing; what has arrived is merged. */
  pausedAt: z.iso.datetime().nullable().default(null),
  /** Failures and when to try again; null = the last attempt worked. */
  retry: retryState.nullable().default(null),
  retiredDisks: z.array(retiredDisk).default([]),
  resyncGeneration: z.number().default(0),
  resync: itemResync.nullable().default(null),
  scrub: itemScrub.nullable().default(null),
  testFailover: itemTestFailover.nullable().default(null),
  failover: itemFailover.nullable().default(null),
  failback: itemFailback.nullable().default(null),
  drill: drillSettings.nullable().default(null),
  /** Null until it was looked at. */
  readiness: itemReadiness.nullable().default(null),
  /** How long the last failover or test took that ended well, from the request on: what the next one is expected to take. */
  lastRtoSeconds: z.number().nullable().default(null),
  /** When a test failover last ended with a good verdict, and when a failover last ended. */
  lastGoodTestFailoverAt: z.iso.datetime().nullable().default(null),
  lastFailoverAt: z.iso.datetime().nullable().default(null),
  latestPoint: latestPoint.nullable().default(null),
  /** Cycles missed in the policy's monitoring interval, as last counted. */
  missedCycles: z.object({ missed: z.number(), expected: z.number() }).nullable().default(null),
  /** When the last cycle was recorded. */
  lastCycleAt: z.iso.datetime().nullable().default(null),
  /** Statistics of the hour that runs; full hours are rows `hour:<ISO hour>`. */
  series: rpoSeries.nullable().default(null),
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
  /** The trace that ended with the point, 32 hex digits; null = nobody traced it. */
  traceId: z.string().nullable().default(null),
  /** The moment of its consistency group that it shows, as the source labelled all of its logs; null = of none. */
  moment: z.guid().nullable().default(null),
  disks: z.array(z.object({ disk: z.string(), snapshotId: z.string() })),
  /** Jobs that use the point: it is not pruned while there is one. */
  pinnedBy: z.array(z.string()).default([]),
  /** What a comparison with the source found, a verdict a disk. */
  scrub: z.record(z.string(), scrubVerdict).nullable().default(null),
  /** Test failovers from this point that said something about it, newest last; their reports lie in `evidence`. */
  drills: z
    .array(
      z.object({
        jobId: z.string(),
        at: z.iso.datetime(),
        verdict: z.enum(['passed', 'failed', 'prepared']),
        rtoSeconds: z.number(),
        /** What was expected when the test began; null = nothing was known. */
        estimatedRtoSeconds: z.number().nullable().default(null),
      }),
    )
    .default([]),
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

/** The disks that every cycle must have a log for: all but those that were added and have not joined yet. */
export const joinedDisks = ({ disks }: Pick<ItemRecord, 'disks'>): DiskRecord[] =>
  disks.filter(({ joinedAtCycle }) => joinedAtCycle !== null);
