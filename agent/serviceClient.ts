// What a source host asks of the service (/agent/v1): report machines, learn what to send where, say that a copy is
// complete. Answers hold signed URLs: they are used, never printed.
import * as z from 'zod';
import type { sourceErrorCodes } from '../lib/retry/catalogue.ts';
import { AgentError } from './agentError.ts';
import type { DigestsClient } from './resync/segmentDifference.ts';
import { ServiceConnection, type ServiceSettings } from './serviceConnection.ts';

export type SourceErrorCode = (typeof sourceErrorCodes)[number];

const diskAssignment = z.object({
  disk: z.string(),
  name: z.string(),
  sizeBytes: z.number(),
  /** Null for a disk that was added and has no log in a recovery point yet. */
  joinedAtCycle: z.number().nullable().default(0),
  initialReplication: z.object({
    state: z.enum(['pending', 'complete']),
    blobName: z.string(),
    blobSizeBytes: z.number(),
    isQueued: z.boolean().default(false),
    uploadUrl: z.url().optional(),
    expiresAt: z.iso.datetime().optional(),
  }),
  delta: z.object({
    blobName: z.string(),
    isUploaded: z.boolean(),
    previousUniqueId: z.string().nullable(),
    /** What the log must carry: its kind, and the generation of a resynchronization. */
    metadata: z.record(z.string(), z.string()).default({}),
    uploadUrl: z.url(),
    /** For logs that are sent in blocks. */
    blocksUrl: z.url().optional(),
    expiresAt: z.iso.datetime(),
  }),
});
/** What to do for one disk. */
export type DiskAssignment = z.infer<typeof diskAssignment>;

const assignment = z.object({
  item: z.string(),
  site: z.string(),
  machine: z.string().default(''),
  machineName: z.string(),
  phase: z.string(),
  replicationHealth: z.string(),
  appliedCycle: z.number(),
  nextCycle: z.number().nullable(),
  policy: z
    .object({ replicationIntervalSeconds: z.number(), consistencyGroup: z.boolean().default(false) })
    .nullish(),
  snapshot: z.enum(['none', 'requested', 'held', 'releasing']).default('none'),
  retry: z
    .object({ side: z.string(), code: z.string(), attempt: z.number(), nextAttemptAt: z.string().nullable() })
    .nullish(),
  resync: z
    .object({
      generation: z.number(),
      phase: z.string(),
      isPaused: z.boolean(),
      disks: z.array(z.object({ disk: z.string(), segmentCount: z.number(), segmentsReady: z.number() })),
    })
    .nullish(),
  failover: z
    .object({
      jobId: z.string(),
      /** `asked` and `stopped` wait for this host; otherwise the failover goes on without it. */
      source: z.string(),
      finalCycle: z.number().nullable(),
    })
    .nullish(),
  failback: z
    .object({
      cycle: z.number(),
      expiresAt: z.iso.datetime(),
      disks: z.array(
        z.object({
          disk: z.string(),
          sizeBytes: z.number(),
          snapshotId: z.string(),
          isApplied: z.boolean(),
          readUrl: z.url(),
        }),
      ),
    })
    .nullish(),
  scrub: z.object({ scrubId: z.string(), cycle: z.number().nullable() }).nullish(),
  disks: z.array(diskAssignment),
});
/** What to do for one protected item. */
export type Assignment = z.infer<typeof assignment>;

const completion = z.object({
  item: z.string(),
  disk: z.string(),
  phase: z.string(),
  remainingDisks: z.array(z.string()),
});
export type Completion = z.infer<typeof completion>;

/** What a machine of a consistency group has to do, as section 4a of docs/agent-protocol.md describes it. */
const momentAnswer = z.object({
  id: z.string().nullable(),
  phase: z.enum(['gathering', 'freezing', 'cut', 'failed', 'alone']),
});
export type MomentAnswer = z.infer<typeof momentAnswer>;
/** `attempt`: the name of this try, which freezes once. */
export type MomentReport = { attempt: string } & ({ state: 'ready' } | { state: 'frozen'; id: string });

/** Body of the inventory report, as docs/agent-protocol.md describes it. */
export interface InventoryReport {
  host: { name: string };
  machines: {
    id: string;
    name: string;
    generation?: '1' | '2';
    osType?: 'Windows' | 'Linux' | 'Other';
    cpuCount?: number;
    memoryMb?: number;
    disks: {
      id: string;
      name?: string;
      sizeBytes: number;
      type?: 'OperatingSystem' | 'DataDisk';
      logicalSectorBytes?: number;
    }[];
  }[];
}

/** What the source vouches for about a copy: one moment, or from which cycle on the disk is consistent. Not both. */
export interface CopyStatement {
  pointInTime?: string | undefined;
  consistentFromCycle?: number | undefined;
}

export interface SourceFailure {
  code: SourceErrorCode;
  message: string;
  occurredAt: string;
  disks?: readonly string[];
}

export interface ComparisonReport {
  generation: number;
  comparedBytes: number;
  differingBytes: number;
  remainingSeconds: number | null;
}

export interface ServiceClient {
  readonly connection: ServiceConnection;
  listAssignments(site?: string): Promise<Assignment[]>;
  /** Throws AgentError `NotAssigned` that names what there is instead. */
  getAssignment(item: string, disk: string): Promise<{ item: Assignment; disk: DiskAssignment }>;
  /** May be called twice. */
  completeDisk(item: string, disk: string, statement: CopyStatement): Promise<Completion>;
  /** The snapshot that the disks are copied from was taken, or released. May be called twice. */
  reportSnapshot(item: string, state: 'taken' | 'released'): Promise<void>;
  /** What the host could not do, with the time at which to try again; null: not by itself. */
  reportFailure(item: string, failure: SourceFailure): Promise<{ nextAttemptAt: string | null }>;
  /** The machine is ready for a moment of its group, or its writes are held for one. May be called twice, and is, until it is decided. */
  reportMoment(item: string, report: MomentReport): Promise<MomentAnswer>;
  /** How far a comparison is; whether it is still wanted. */
  reportComparison(
    item: string,
    progress: ComparisonReport,
  ): Promise<{ isCurrent: boolean; isPaused: boolean }>;
  /** Digests of a replica that is resynchronized. */
  digests(scope: { item: string; disk: string; generation: number }): DigestsClient;
  /** A manifest of the source's digests, for a scrub. May be called twice. */
  putScrubDigests(
    at: { item: string; disk: string; scrubId: string; segment: number },
    manifest: Uint8Array,
  ): Promise<void>;
  completeScrub(item: string, scrubId: string, cycle: number): Promise<void>;
  /** The machine is off, and this is the last cycle that was cut. May be called twice. */
  reportStopped(item: string, finalCycle: number): Promise<void>;
  /** Fine digests of what a failback brings home, of at most 256 coarse blocks, as lib/resync encodes them. */
  failbackDigests(
    at: { item: string; disk: string; cycle: number },
    coarseBlocks: readonly number[],
  ): Promise<Uint8Array>;
  /** The disk equals the recovery point of the cycle; it was read back. May be called twice. */
  reportApplied(item: string, disk: string, cycle: number): Promise<void>;
  /** Replaces the host's earlier report. */
  putInventory(site: string, report: InventoryReport): Promise<void>;
}

function notAssigned(what: string, known: readonly string[]): AgentError {
  const message = `The service has no ${what}; it has ${known.length === 0 ? 'none' : known.join(', ')}.`;
  return new AgentError(
    'NotAssigned',
    message,
    'Check the names; protection of the machine must be enabled first.',
  );
}

const itemPath = (item: string): string => `/agent/v1/items/${encodeURIComponent(item)}`;

type Reports = Pick<
  ServiceClient,
  | 'reportSnapshot'
  | 'reportFailure'
  | 'reportMoment'
  | 'reportComparison'
  | 'digests'
  | 'putScrubDigests'
  | 'completeScrub'
  | 'reportStopped'
  | 'reportApplied'
  | 'failbackDigests'
>;

function reportsOf(connection: ServiceConnection): Reports {
  return {
    async reportSnapshot(item, state) {
      await connection.request('POST', `${itemPath(item)}/snapshot`, z.unknown(), { state });
    },
    async reportFailure(item, failure) {
      const answer = z.object({ nextAttemptAt: z.string().nullable() });
      return (await connection.request('POST', `${itemPath(item)}/failures`, answer, failure)).body;
    },
    async reportMoment(item, report) {
      return (await connection.request('POST', `${itemPath(item)}/moment`, momentAnswer, report)).body;
    },
    async reportComparison(item, progress) {
      const answer = z.object({ isCurrent: z.boolean(), isPaused: z.boolean() });
      return (await connection.request('POST', `${itemPath(item)}/resync/progress`, answer, progress)).body;
    },
    digests({ item, disk, generation }) {
      const path = `${itemPath(item)}/disks/${encodeURIComponent(disk)}/resync/${generation}`;
      return {
        async coarseSegment(segment) {
          const { status, bytes } = await connection.requestBytes('GET', `${path}/coarse/${segment}`);
          return status === 202 ? 'pending' : bytes;
        },
        async fine(coarseBlocks) {
          return (await connection.requestBytes('POST', `${path}/fine`, { json: { coarseBlocks } })).bytes;
        },
      };
    },
    async putScrubDigests({ item, disk, scrubId, segment }, manifest) {
      const scrub = `${itemPath(item)}/disks/${encodeURIComponent(disk)}/scrubs/${encodeURIComponent(scrubId)}`;
      await connection.requestBytes('PUT', `${scrub}/coarse/${segment}`, { bytes: manifest });
    },
    async completeScrub(item, scrubId, cycle) {
      const path = `${itemPath(item)}/scrubs/${encodeURIComponent(scrubId)}/complete`;
      await connection.request('POST', path, z.unknown(), { cycle });
    },
    async reportStopped(item, finalCycle) {
      await connection.request('POST', `${itemPath(item)}/failover/stopped`, z.unknown(), { finalCycle });
    },
    async failbackDigests({ item, disk, cycle }, coarseBlocks) {
      const path = `${itemPath(item)}/disks/${encodeURIComponent(disk)}/failback/digests`;
      return (await connection.requestBytes('POST', path, { json: { cycle, coarseBlocks } })).bytes;
    },
    async reportApplied(item, disk, cycle) {
      const path = `${itemPath(item)}/disks/${encodeURIComponent(disk)}/failback/applied`;
      await connection.request('POST', path, z.unknown(), { cycle });
    },
  };
}

/** A client of the agent API. Sends nothing yet. */
export function serviceClient(settings: ServiceSettings): ServiceClient {
  const connection = new ServiceConnection(settings);
  const listAssignments = async (site?: string): Promise<Assignment[]> => {
    const query = site === undefined ? '' : `?site=${encodeURIComponent(site)}`;
    const answers = z.object({ value: z.array(assignment) });
    return (await connection.request('GET', `/agent/v1/assignments${query}`, answers)).body.value;
  };
  return {
    connection,
    listAssignments,
    async getAssignment(itemName, diskName) {
      const items = await listAssignments();
      const item = items.find((candidate) => candidate.item === itemName.toLowerCase());
      if (!item)
        throw notAssigned(
          `protected item "${itemName}"`,
          items.map((candidate) => candidate.item),
        );
      if (item.phase === 'enabling' || item.phase === 'failed') {
        const message = `Protection of item ${item.item} is not ready (phase ${item.phase}).`;
        throw new AgentError('NotAssigned', message, 'Look at the job that enables protection of the item.');
      }
      const disk = item.disks.find((candidate) => candidate.disk === diskName.toLowerCase());
      if (!disk)
        throw notAssigned(
          `disk "${diskName}" on item ${item.item}`,
          item.disks.map((candidate) => candidate.disk),
        );
      return { item, disk };
    },
    async completeDisk(item, disk, statement) {
      const path = `${itemPath(item)}/disks/${encodeURIComponent(disk)}/initialReplication/complete`;
      return (await connection.request('POST', path, completion, statement)).body;
    },
    ...reportsOf(connection),
    async putInventory(site, report) {
      await connection.request(
        'PUT',
        `/agent/v1/sites/${encodeURIComponent(site)}/inventory`,
        z.unknown(),
        report,
      );
    },
  };
}
