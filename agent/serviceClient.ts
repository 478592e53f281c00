// What a source host asks of the service (/agent/v1): report machines, learn what to send where, say that a copy is
// complete. Answers hold signed URLs: they are used, never printed.
import * as z from 'zod';
import { AgentError } from './agentError.ts';
import { ServiceConnection, type ServiceSettings } from './serviceConnection.ts';

const diskAssignment = z.object({
  disk: z.string(),
  name: z.string(),
  sizeBytes: z.number(),
  initialReplication: z.object({
    state: z.enum(['pending', 'complete']),
    blobName: z.string(),
    blobSizeBytes: z.number(),
    uploadUrl: z.url().optional(),
    expiresAt: z.iso.datetime().optional(),
  }),
  delta: z.object({
    blobName: z.string(),
    isUploaded: z.boolean(),
    previousUniqueId: z.string().nullable(),
    uploadUrl: z.url(),
    expiresAt: z.iso.datetime(),
  }),
});
/** What to do for one disk. */
export type DiskAssignment = z.infer<typeof diskAssignment>;

const assignment = z.object({
  item: z.string(),
  site: z.string(),
  machineName: z.string(),
  phase: z.string(),
  replicationHealth: z.string(),
  appliedCycle: z.number(),
  nextCycle: z.number().nullable(),
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

/** Body of the inventory report, as docs/agent-protocol.md describes it. */
export interface InventoryReport {
  host: { name: string };
  machines: {
    id: string;
    name: string;
    generation?: '1' | '2';
    osType?: 'Windows' | 'Linux' | 'Other';
    disks: { id: string; name?: string; sizeBytes: number; type?: 'OperatingSystem' | 'DataDisk' }[];
  }[];
}

/** What the source vouches for about a copy: one moment, or from which cycle on the disk is consistent. Not both. */
export interface CopyStatement {
  pointInTime?: string | undefined;
  consistentFromCycle?: number | undefined;
}

export interface ServiceClient {
  readonly connection: ServiceConnection;
  listAssignments(site?: string): Promise<Assignment[]>;
  /** Throws AgentError `NotAssigned` that names what there is instead. */
  getAssignment(item: string, disk: string): Promise<{ item: Assignment; disk: DiskAssignment }>;
  /** May be called twice. */
  completeDisk(item: string, disk: string, statement: CopyStatement): Promise<Completion>;
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
      const path = `/agent/v1/items/${encodeURIComponent(item)}/disks/${encodeURIComponent(disk)}/initialReplication/complete`;
      return (await connection.request('POST', path, completion, statement)).body;
    },
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
