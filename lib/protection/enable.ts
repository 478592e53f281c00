// Enabling protection: the request (rows, then the orchestration) and the steps that its orchestration runs. Every step
// may be repeated: it looks at the rows first, and an event that was applied already changes nothing.
import { LifeboatError, toErrorRecord } from '../errors.ts';
import type { ErrorRecord } from '../errors.ts';
import { findMachine } from '../inventory/inventory.ts';
import type { MachineRecord } from '../inventory/inventory.ts';
import { jobKinds, newJob } from '../jobs/job.ts';
import type { JobRecord } from '../jobs/job.ts';
import { findJob, insertJob, updateJob } from '../jobs/jobStore.ts';
import { failJob, fulfilOperation, startStep, succeedJob, succeedStep } from '../jobs/progress.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { drainItem } from '../replication/drain.ts';
import type { DrainOptions, DrainOutcome } from '../replication/drain.ts';
import { replicaName } from '../replication/names.ts';
import { createReplicas } from '../replication/replicas.ts';
import { fixedVhdBlobSizeBytes, parseVhdFooter } from '../vhd/fixed.ts';
import { policies, findResource } from '../vault/resources.ts';
import type { ItemRecord } from './item.ts';
import { findItem, getItem, insertItem, updateItem } from './itemStore.ts';
import { enableProtectionName } from './orchestrations.ts';
import type { ItemJob, OrchestrationClient } from './orchestrations.ts';
import { checkDisks } from './prerequisites.ts';
import { transition } from './states.ts';

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

function newItem(request: EnableRequest, jobId: string, createdAt: string): ItemRecord {
  const { item, name, fabric, container, policy, machine, providerInput } = request;
  return {
    ...{ item, name, fabric, container, policy, providerInput, createdAt },
    machine: machine.id,
    machineName: machine.name,
    state: 'EnablingProtection',
    currentJob: jobId,
    disks: machine.disks
      .filter(({ id }) => request.disks.includes(id))
      .map(({ id, name: diskName, type, sizeBytes }) => ({
        ...{ disk: id, name: diskName, type, sizeBytes },
        ...{ leaseId: null, arrivedAt: null, copyOf: null, fence: 0, lastLogId: null },
      })),
    consistentFromCycle: 1,
    appliedCycle: 0,
    applying: null,
    healthErrors: [],
  };
}

/**
 * Records the item and its job and starts the orchestration. The same request again while the job runs returns that job.
 * Throws `OperationNotSupportedInState` when the name is taken by a protected machine.
 */
export async function enableProtection(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  request: EnableRequest,
): Promise<JobRecord> {
  const { storage, clock, newId } = context;
  const existing = await findItem(storage.items, request.item);
  const running = existing?.currentJob ? await findJob(storage.jobs, existing.currentJob) : undefined;
  if (running && existing?.machine === request.machine.id) return running;
  if (existing && existing.state !== 'EnablingFailed') {
    const message = `Protected item "${existing.name}" exists (machine ${existing.machineName}, ${existing.state}).`;
    throw new LifeboatError('OperationNotSupportedInState', message, { target: existing.name });
  }
  const createdAt = clock.now().toISOString();
  const { itemId: targetId, machine } = request;
  const job = newJob({
    id: newId(),
    kind: jobKinds.enableProtection,
    targetId,
    targetName: machine.name,
    createdAt,
  });
  await insertJob(storage.jobs, job);
  const record = newItem(request, job.id, createdAt);
  try {
    await storeNewItem(context, record, existing !== undefined);
  } catch (error) {
    await updateJob(storage.jobs, job.id, (current) => failJob(current, [toErrorRecord(error)], createdAt));
    throw error;
  }
  context.fault('enable.afterRows');
  const input: ItemJob = { item: request.item, jobId: job.id };
  await orchestrations.start(enableProtectionName, job.id, input);
  return job;
}

async function storeNewItem(
  { storage }: ReplicationContext,
  record: ItemRecord,
  isRepeated: boolean,
): Promise<void> {
  if (!isRepeated) return insertItem(storage, record);
  await updateItem(storage.items, record.item, (current) => {
    transition(current.state, 'enableAgain');
    return record;
  });
}

const at = (context: ReplicationContext): string => context.clock.now().toISOString();

async function onStep(
  context: ReplicationContext,
  jobId: string,
  taskId: string,
  work: () => Promise<void>,
): Promise<void> {
  await updateJob(context.storage.jobs, jobId, (job) => startStep(job, taskId, at(context)));
  await work();
  await updateJob(context.storage.jobs, jobId, (job) => succeedStep(job, taskId, at(context)));
}

/** Step 1. Returns every check that failed, none when the machine may be protected. */
export async function checkPrerequisites(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
): Promise<ErrorRecord[]> {
  const { storage } = context;
  const errors: ErrorRecord[] = [];
  await updateJob(storage.jobs, jobId, (job) =>
    startStep(job, 'EnableProtectionPreflightChecksTask', at(context)),
  );
  const record = await getItem(storage.items, item);
  const machine = await findMachine(storage.inventory, record.fabric, record.machine);
  if (!machine) {
    errors.push({
      code: 'ResourceNotFound',
      message: `Machine ${record.machine} is not in the inventory of site ${record.fabric}.`,
    });
  } else errors.push(...checkDisks(record, machine.generation));
  if (!(await findResource(storage.vault, policies, record.policy))) {
    errors.push({
      code: 'ResourceNotFound',
      message: `Replication policy "${record.policy}" does not exist.`,
    });
  }
  if (errors.length === 0) {
    await updateJob(storage.jobs, jobId, (job) =>
      succeedStep(job, 'EnableProtectionPreflightChecksTask', at(context)),
    );
  }
  return errors;
}

/** Step 2: the empty replicas. */
export async function createTarget(context: ReplicationContext, { item, jobId }: ItemJob): Promise<void> {
  const record = await getItem(context.storage.items, item);
  // A repeated step must not empty a replica that the source is already writing.
  if (record.state !== 'EnablingProtection') return;
  await onStep(context, jobId, 'CreateProtectionTargetTask', () => createReplicas(context, record));
}

/** Step 3: from now on the source may upload. The request is fulfilled; the job goes on. */
export async function startInitialReplication(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
): Promise<void> {
  await onStep(context, jobId, 'EnableProtectionTask', async () => {
    await updateItem(context.storage.items, item, (record) =>
      record.state === 'EnablingProtection'
        ? { ...record, state: transition(record.state, 'initialReplicationStarted') }
        : record,
    );
  });
  await updateJob(context.storage.jobs, jobId, (job) =>
    fulfilOperation(startStep(job, 'StartInitialReplicationTask', at(context))),
  );
}

/** Step 4, again and again until the outcome is neither `busy` nor `more`: what was logged during initial replication. */
export async function mergeQueuedLogs(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
  options: DrainOptions,
): Promise<DrainOutcome> {
  await updateJob(context.storage.jobs, jobId, (job) =>
    startStep(
      succeedStep(job, 'StartInitialReplicationTask', at(context)),
      'MergeQueuedLogsTask',
      at(context),
    ),
  );
  const { outcome } = await drainItem(context, item, options);
  if (outcome !== 'busy' && outcome !== 'more') {
    await updateJob(context.storage.jobs, jobId, (job) =>
      succeedStep(job, 'MergeQueuedLogsTask', at(context)),
    );
  }
  return outcome;
}

async function requireValidReplicas({ storage }: ReplicationContext, record: ItemRecord): Promise<void> {
  for (const { disk, sizeBytes } of record.disks) {
    const name = replicaName(record.item, disk);
    const blobBytes = fixedVhdBlobSizeBytes(sizeBytes);
    const found = await storage.replicas.find(name);
    if (found?.sizeBytes !== blobBytes) {
      const message = `Replica ${name} has ${found?.sizeBytes ?? 0} bytes instead of ${blobBytes}.`;
      throw new LifeboatError('ReplicaSizeMismatch', message, { target: name });
    }
    parseVhdFooter(await storage.replicas.read(name, { offsetBytes: blobBytes - 512, lengthBytes: 512 }));
  }
}

/** Step 5: the item is Protected. */
export async function finalizeProtection(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
): Promise<void> {
  await onStep(context, jobId, 'FinalizeProtectionTask', async () => {
    const record = await getItem(context.storage.items, item);
    await requireValidReplicas(context, record);
    await updateItem(context.storage.items, item, (current) =>
      current.currentJob === jobId
        ? { ...current, state: transition(current.state, 'protectionFinalized'), currentJob: null }
        : current,
    );
  });
  await updateJob(context.storage.jobs, jobId, (job) => succeedJob(job, at(context)));
}

/** The end of a job that cannot go on. The item is free for another attempt. */
export async function failProtection(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
  errors: readonly ErrorRecord[],
): Promise<void> {
  await updateItem(context.storage.items, item, (record) => {
    if (record.currentJob !== jobId) return record;
    const state =
      record.state === 'EnablingProtection' ? transition(record.state, 'enablingFailed') : record.state;
    return { ...record, state, currentJob: null };
  });
  await updateJob(context.storage.jobs, jobId, (job) => failJob(job, errors, at(context)));
}
