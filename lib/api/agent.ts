// The source side: what a host reports (its inventory), what it shall do (assignments with upload URLs), and what it has
// done (the end of initial replication). docs/agent-protocol.md describes it for people who write a client.
import * as z from 'zod';
import { inventoryReport, storeInventory } from '../inventory/inventory.ts';
import { healthOf } from '../protection/item.ts';
import type { DiskRecord, ItemRecord } from '../protection/item.ts';
import { listItems } from '../protection/itemStore.ts';
import { initialReplicationCompletedEvent } from '../protection/orchestrations.ts';
import type { ProtectionState } from '../protection/states.ts';
import { formatCycle, formatDeltaName, replicaName } from '../replication/names.ts';
import { listPendingLogs, nextCycleToSend } from '../replication/pending.ts';
import type { PendingLogs } from '../replication/pending.ts';
import { completeInitialReplication } from '../replication/replicas.ts';
import { LifeboatError } from '../errors.ts';
import { fixedVhdBlobSizeBytes } from '../vhd/fixed.ts';
import { containerOf, fabrics, getResource } from '../vault/resources.ts';
import { list, resourceId } from './arm.ts';
import { parseBody } from './body.ts';
import type { ApiContext, Handler } from './http.ts';
import { itemSegments } from './protectedItems.ts';

/** What the source has to do. */
const phases: Record<ProtectionState, 'enabling' | 'failed' | 'initialReplication' | 'deltas'> = {
  EnablingProtection: 'enabling',
  EnablingFailed: 'failed',
  InitialReplicationInProgress: 'initialReplication',
  InitialReplicationCompletedOnPrimary: 'deltas',
  Protected: 'deltas',
};

export const putInventory: Handler = async (context, request) => {
  const { storage, clock } = context.replication;
  const fabric = await getResource(storage.vault, fabrics, request.params['fabric'] ?? '');
  const report = await parseBody(request, inventoryReport);
  await storeInventory(storage.inventory, fabric.name, report, clock.now().toISOString());
  return {
    status: 200,
    body: { site: fabric.name, container: containerOf(fabric), machineCount: report.machines.length },
  };
};

async function diskAssignment(
  { signer, replication, settings }: ApiContext,
  record: ItemRecord,
  row: DiskRecord,
  next: { cycle: number; pending: PendingLogs },
) {
  const { disk, sizeBytes, arrivedAt } = row;
  const expiresAt = new Date(replication.clock.now().getTime() + settings.uploadUrlMinutes * 60_000);
  const replica = replicaName(record.item, disk);
  const delta = formatDeltaName({ item: record.item, cycle: next.cycle, disk });
  const isOpen = record.state === 'InitialReplicationInProgress' && arrivedAt === null;
  return {
    disk,
    name: row.name,
    sizeBytes,
    initialReplication: {
      state: arrivedAt === null ? 'pending' : 'complete',
      blobName: replica,
      blobSizeBytes: fixedVhdBlobSizeBytes(sizeBytes),
      ...(isOpen
        ? { uploadUrl: await signer.replicaWriteUrl(replica, expiresAt), expiresAt: expiresAt.toISOString() }
        : {}),
    },
    delta: {
      blobName: delta,
      isUploaded: next.pending.waiting.get(next.cycle)?.has(disk) ?? false,
      previousUniqueId: row.lastLogId,
      uploadUrl: await signer.deltaCreateUrl(delta, expiresAt),
      expiresAt: expiresAt.toISOString(),
    },
  };
}

async function assignment(context: ApiContext, record: ItemRecord) {
  const phase = phases[record.state];
  const about = {
    item: record.item,
    protectedItemId: resourceId(context.settings.vault, ...itemSegments(record)),
    site: record.fabric,
    machine: record.machine,
    machineName: record.machineName,
    phase,
    replicationHealth: healthOf(record),
    appliedCycle: record.appliedCycle,
  };
  if (phase === 'enabling' || phase === 'failed')
    return { ...about, nextCycle: null, nextCycleName: null, disks: [] };
  const pending = await listPendingLogs(context.replication.storage.deltas, record);
  const cycle = nextCycleToSend(pending, record);
  const disks = await Promise.all(
    record.disks.map((row) => diskAssignment(context, record, row, { cycle, pending })),
  );
  return { ...about, nextCycle: cycle, nextCycleName: formatCycle(cycle), disks };
}

/** `?site=` limits the answer to one site. */
export const getAssignments: Handler = async (context, { query }) => {
  const site = query.get('site')?.toLowerCase();
  const value = [];
  for await (const record of listItems(context.replication.storage)) {
    if (site === undefined || record.fabric.toLowerCase() === site)
      value.push(await assignment(context, record));
  }
  return list(value);
};

const completeBody = z.object({
  pointInTime: z.iso.datetime({ offset: true }).optional(),
  consistentFromCycle: z.number().int().min(1).optional(),
});

/** May be called twice. */
export const completeDisk: Handler = async (context, request) => {
  const { pointInTime, consistentFromCycle } = await parseBody(request, completeBody);
  if (pointInTime !== undefined && (consistentFromCycle ?? 1) > 1) {
    const message =
      'A copy of one point in time is consistent from the start: send pointInTime or consistentFromCycle, not both.';
    throw new LifeboatError('InvalidRequest', message, { target: 'consistentFromCycle' });
  }
  const item = (request.params['item'] ?? '').toLowerCase();
  const disk = (request.params['disk'] ?? '').toLowerCase();
  const record = await completeInitialReplication(context.replication, item, disk, {
    pointInTime: pointInTime === undefined ? undefined : new Date(pointInTime).toISOString(),
    consistentFromCycle,
  });
  const remaining = record.disks.filter(({ arrivedAt }) => arrivedAt === null).map((row) => row.disk);
  if (remaining.length === 0 && record.currentJob !== null) {
    await context.orchestrations.raiseEvent(record.currentJob, initialReplicationCompletedEvent);
  }
  return { status: 200, body: { item, disk, phase: phases[record.state], remainingDisks: remaining } };
};
