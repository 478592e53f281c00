// The steps of the orchestration that enables protection. Every step may be repeated: it looks at the rows first, and what
// was done already changes nothing.
import { LifeboatError } from '../errors.ts';
import type { ErrorRecord } from '../errors.ts';
import { findMachine } from '../inventory/inventory.ts';
import type { MachineRecord } from '../inventory/inventory.ts';
import { updateJob } from '../jobs/jobStore.ts';
import { fulfilOperation, suspendStep } from '../jobs/progress.ts';
import { plan } from '../agenda/agenda.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { drainItem } from '../replication/drain.ts';
import type { DrainOptions } from '../replication/drain.ts';
import { replicaName } from '../replication/names.ts';
import { createReplicas } from '../replication/replicas.ts';
import { nextDaily } from '../schedule/recurrence.ts';
import { findPolicy } from '../vault/policies.ts';
import { fixedVhdBlobSizeBytes, parseVhdFooter } from '../vhd/fixed.ts';
import { firstHealthLook } from './health.ts';
import type { ItemRecord } from './item.ts';
import { getItem, updateItem } from './itemStore.ts';
import { abandonJob, beginStep, endStep, finishJob, isoNow, onStep } from './itemJobs.ts';
import type { BadEnd } from './itemJobs.ts';
import type { ItemJob } from './orchestrations.ts';
import { checkMachine } from './prerequisites.ts';
import { checkChoices } from './targetChoices.ts';
import { checkTarget, reserveTargetName } from './target.ts';
import { transition } from './states.ts';

/** Step 1. Returns every check that failed, none when the machine may be protected. */
export async function checkPrerequisites(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
): Promise<ErrorRecord[]> {
  const { storage } = context;
  await beginStep(context, jobId, 'EnableProtectionPreflightChecksTask');
  const before = await getItem(storage.items, item);
  const machine = await findMachine(storage.inventory, before.fabric, before.machine);
  const record = machine ? await refreshDisks(context, item, machine) : before;
  const errors = await checkMachine(storage, record, machine);
  if (errors.length === 0) await endStep(context, jobId, 'EnableProtectionPreflightChecksTask');
  return errors;
}

/** What the inventory says of the disks now; nothing of them is here yet. */
function refreshDisks(
  context: ReplicationContext,
  item: string,
  machine: MachineRecord,
): Promise<ItemRecord> {
  return updateItem(context.storage.items, item, (record) => {
    if (record.state !== 'EnablingProtection') return record;
    const disks = record.disks.map((row) => {
      const reported = machine.disks.find(({ id }) => id === row.disk);
      return reported
        ? { ...row, name: reported.name, type: reported.type, sizeBytes: reported.sizeBytes }
        : row;
    });
    return { ...record, disks };
  });
}

/** Step 2: the empty replicas. */
export async function createTarget(context: ReplicationContext, { item, jobId }: ItemJob): Promise<void> {
  const record = await getItem(context.storage.items, item);
  await reserveTargetName(context.storage.vault, record);
  // A repeated step must not empty a replica that the source is already writing.
  if (record.state === 'EnablingProtection') {
    await onStep(context, jobId, 'CreateProtectionTargetTask', () => createReplicas(context, record));
  } else await onStep(context, jobId, 'CreateProtectionTargetTask', async () => undefined);
}

/**
 * Step 3: from now on the source may upload; not before the policy's start time. The request is fulfilled when that is so,
 * or the time is known; the job goes on. Returns whether replication has started.
 */
export async function startInitialReplication(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
): Promise<{ isReady: boolean }> {
  await onStep(context, jobId, 'EnableProtectionTask', async () => undefined);
  const startAt = await decideStart(context, item);
  await beginStep(context, jobId, 'StartInitialReplicationTask');
  if (startAt !== null && context.clock.now() < new Date(startAt)) {
    await updateJob(context.storage.jobs, jobId, (job) =>
      suspendStep(fulfilOperation(job), 'StartInitialReplicationTask'),
    );
    return { isReady: false };
  }
  await updateItem(context.storage.items, item, (record) => {
    if (record.state !== 'EnablingProtection' && record.state !== 'InitialReplicationFailed') return record;
    const started = transition(record.state, 'initialReplicationStarted');
    const isHere = record.disks.every(({ arrivedAt }) => arrivedAt !== null);
    const state = isHere ? transition(started, 'initialReplicationCompleted') : started;
    return { ...record, state, sourceSnapshot: isHere ? record.sourceSnapshot : 'requested' };
  });
  // Only now: who hears that the operation succeeded asks for the upload URLs at once, and must find them.
  await updateJob(context.storage.jobs, jobId, fulfilOperation);
  await plan(context, 'health', item, firstHealthLook(context.clock.now()));
  return { isReady: true };
}

/** The start time, decided once per attempt and kept in the row; null = at once. */
async function decideStart(context: ReplicationContext, item: string): Promise<string | null> {
  const record = await getItem(context.storage.items, item);
  if (record.state !== 'EnablingProtection' || record.startAt !== null) return record.startAt;
  const policy = await findPolicy(context.storage.vault, record.policy);
  if (!policy?.onlineReplicationStartTime) return null;
  const { timeZone } = policy.resyncWindow;
  const startAt = nextDaily(policy.onlineReplicationStartTime, timeZone, context.clock.now()).toISOString();
  await plan(context, 'health', item, startAt);
  await updateItem(context.storage.items, item, (current) => ({
    ...current,
    startAt: current.startAt ?? startAt,
  }));
  return startAt;
}

/** Step 4: whether every disk has arrived. */
export async function awaitInitialReplication(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
): Promise<{ isReady: boolean }> {
  const { state } = await getItem(context.storage.items, item);
  if (state === 'InitialReplicationInProgress') return { isReady: false };
  await endStep(context, jobId, 'StartInitialReplicationTask');
  return { isReady: true };
}

/** Step 5, again and again until all that was logged during initial replication is merged. */
export async function mergeQueuedLogs(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
  options: DrainOptions,
): Promise<{ isMerged: boolean }> {
  await beginStep(context, jobId, 'MergeQueuedLogsTask');
  const { outcome } = await drainItem(context, item, options);
  if (outcome === 'busy' || outcome === 'more') return { isMerged: false };
  await endStep(context, jobId, 'MergeQueuedLogsTask');
  return { isMerged: true };
}

/** Throws when a replica is not the valid fixed VHD of its disk. */
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

/** Step 6: the item is Protected. Returns what keeps the target machine from being made: fix it and restart the job. */
export async function finalizeProtection(context: ReplicationContext, job: ItemJob): Promise<ErrorRecord[]> {
  await beginStep(context, job.jobId, 'FinalizeProtectionTask');
  const record = await getItem(context.storage.items, job.item);
  const errors = [
    ...(await checkTarget(context.storage.vault, record)),
    ...(await checkChoices(context, record)),
  ];
  if (errors.length > 0) return errors;
  await requireValidReplicas(context, record);
  for (const kind of ['retention', 'scrub'] as const) await plan(context, kind, job.item, isoNow(context));
  await endStep(context, job.jobId, 'FinalizeProtectionTask');
  await finishJob(context, job, (current) => ({
    ...current,
    state: transition(current.state, 'protectionFinalized'),
    sourceSnapshot: current.sourceSnapshot === 'held' ? 'releasing' : 'none',
    disks: current.disks.map((disk) => ({ ...disk, copied: null })),
  }));
  return [];
}

/** The end of a job that cannot go on: what has arrived stays for another attempt. */
export async function abandonEnable(context: ReplicationContext, job: ItemJob, end: BadEnd): Promise<void> {
  await abandonJob(context, job, end, (record) => {
    const event =
      record.state === 'EnablingProtection'
        ? ('enablingFailed' as const)
        : ('initialReplicationFailed' as const);
    return { ...record, state: transition(record.state, event), startAt: null };
  });
}
