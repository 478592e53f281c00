// The request to protect a machine: the item's row and its job, then the orchestration whose steps are in enableSteps.ts.
import { LifeboatError } from '../errors.ts';
import type { MachineRecord } from '../inventory/inventory.ts';
import { isOver } from '../jobs/job.ts';
import type { JobRecord } from '../jobs/job.ts';
import { findJob } from '../jobs/jobStore.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { itemRecord } from './item.ts';
import type { DiskRecord, ItemRecord } from './item.ts';
import { findItem, insertItem } from './itemStore.ts';
import { beginJob, isoNow, requireIdle } from './itemJobs.ts';
import type { OrchestrationClient } from './orchestrations.ts';
import { findTransition, transition } from './states.ts';

export interface EnableRequest {
  item: string;
  name: string;
  fabric: string;
  container: string;
  policy: string;
  machine: MachineRecord;
  /** Ids of the disks to protect. */
  disks: readonly string[];
  providerInput: Record<string, unknown>;
  /** ARM id of the protected item. */
  itemId: string;
}

/** The disk's row before anything of it is here. `joinedAtCycle` is null for a disk that is added later. */
export function newDisk(
  { id, name, type, sizeBytes }: MachineRecord['disks'][number],
  joinedAtCycle: number | null,
): DiskRecord {
  return {
    ...{ disk: id, name, type, sizeBytes },
    ...{ leaseId: null, arrivedAt: null, copyOf: null, fence: 0, lastLogId: null },
    ...{ joinedAtCycle, resync: null, pendingLogBytes: 0, copied: null },
  };
}

function newItem(request: EnableRequest, createdAt: string): ItemRecord {
  const { item, name, fabric, container, policy, machine, providerInput, itemId } = request;
  return itemRecord.parse({
    ...{ item, name, fabric, container, policy, providerInput, createdAt },
    armId: itemId,
    machine: machine.id,
    machineName: machine.name,
    state: 'EnablingProtection',
    currentJob: null,
    disks: machine.disks.filter(({ id }) => request.disks.includes(id)).map((disk) => newDisk(disk, 0)),
    consistentFromCycle: 1,
    appliedCycle: 0,
    applying: null,
    healthErrors: [],
  });
}

/**
 * Records the item and its job and starts the orchestration. The same request again while the job runs returns that job; after
 * a failure it starts again where the failed one stopped. Throws `OperationNotSupportedInState` when the name is taken by a
 * protected machine.
 */
export async function enableProtection(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  request: EnableRequest,
): Promise<JobRecord> {
  const { storage } = context;
  const existing = await findItem(storage.items, request.item);
  if (existing) {
    const running = await findRunning(context, existing, request);
    if (running) return running;
    requireRepeatable(existing, request);
  }
  const record = newItem(request, isoNow(context));
  if (!existing) await insertItem(storage, record);
  context.fault('enable.afterItem');
  return beginJob(context, orchestrations, {
    item: request.item,
    kind: 'enableProtection',
    target: record,
    change: (current) => {
      requireIdle(current);
      // What has arrived is kept; before that, the new request counts.
      if (current.state === 'InitialReplicationFailed') return current;
      if (current.state === 'EnablingProtection') return record;
      transition(current.state, 'enableAgain');
      return record;
    },
  });
}

const isSameMachine = (existing: ItemRecord, { machine, fabric }: EnableRequest): boolean =>
  existing.machine === machine.id && existing.fabric === fabric;

/** The job that enables protection of the same machine already. */
async function findRunning(
  { storage }: ReplicationContext,
  existing: ItemRecord,
  request: EnableRequest,
): Promise<JobRecord | undefined> {
  if (existing.currentJob === null || !isSameMachine(existing, request)) return undefined;
  const job = await findJob(storage.jobs, existing.currentJob);
  return job?.kind === 'enableProtection' && !isOver(job) ? job : undefined;
}

/** Throws unless the item is what an earlier attempt left. */
function requireRepeatable(existing: ItemRecord, request: EnableRequest): void {
  if (existing.state === 'EnablingFailed') return;
  if (isSameMachine(existing, request) && mayEnableAgain(existing)) return;
  const message = `Protected item "${existing.name}" exists (machine ${existing.machineName}, ${existing.state}).`;
  throw new LifeboatError('OperationNotSupportedInState', message, { target: existing.name });
}

/** A failed attempt, or one that died between the item's row and its job. */
const mayEnableAgain = ({ state, currentJob }: ItemRecord): boolean =>
  currentJob === null &&
  (state === 'EnablingProtection' ||
    state === 'InitialReplicationFailed' ||
    findTransition(state, 'enableAgain') !== undefined);
