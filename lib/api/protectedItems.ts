// Protected items and their recovery points, in Site Recovery's shape.
import * as z from 'zod';
import { LifeboatError, errorCatalogue } from '../errors.ts';
import { findMachine } from '../inventory/inventory.ts';
import type { MachineRecord } from '../inventory/inventory.ts';
import { enableProtection } from '../protection/enable.ts';
import { allowedOperations } from '../protection/allowed.ts';
import { copyTotals } from '../protection/copyProgress.ts';
import { healthErrorsAt } from '../protection/health.ts';
import { needsResync } from '../protection/resyncMarks.ts';
import type { Operation } from '../protection/states.ts';
import { healthOf } from '../protection/item.ts';
import type { HealthError, ItemRecord, RecoveryPointRecord } from '../protection/item.ts';
import { findRecoveryPoint, getItem, listItems, listRecoveryPoints } from '../protection/itemStore.ts';
import { describeState } from '../protection/states.ts';
import { requireIdentifier } from '../replication/names.ts';
import { isPolicyMapped } from '../vault/mappings.ts';
import { findPolicy } from '../vault/policies.ts';
import { policies, getResource } from '../vault/resources.ts';
import { accepted, list, nameInId, resource, resourceId } from './arm.ts';
import { parseBody } from './body.ts';
import { getContainer } from './fabrics.ts';
import type { ApiContext, Handler } from './http.ts';
import { containerSegments } from './protectableItems.ts';

const enableBody = z.object({
  properties: z.object({
    policyId: z.string().min(1),
    protectableItemId: z.string().min(1),
    providerSpecificDetails: z
      .looseObject({
        instanceType: z.string().default('HyperVReplicaAzure'),
        disksToInclude: z.array(z.string()).nullish(),
        disksToIncludeForManagedDisks: z.array(z.looseObject({ diskId: z.string() })).nullish(),
      })
      .prefault({}),
  }),
});

export const itemSegments = (record: Pick<ItemRecord, 'fabric' | 'container' | 'name'>): string[] => [
  ...containerSegments(record),
  ...['replicationProtectedItems', record.name],
];

function healthErrorBody(error: HealthError) {
  const { possibleCauses, recommendedAction } = errorCatalogue[error.code];
  return {
    errorSource: 'Lifeboat',
    errorType: 'Replication',
    errorLevel: error.level === 'Critical' ? 'Error' : 'Warning',
    errorCategory: 'Replication',
    errorCode: error.code,
    summaryMessage: `${error.code}: ${error.subject}`,
    errorMessage: error.message,
    possibleCauses,
    recommendedAction,
    creationTimeUtc: error.raisedAt,
    entityId: error.subject,
    innerHealthErrors: [],
  };
}

/** The allowed operations that Site Recovery has a word for. */
const siteRecoveryOperations = (record: ItemRecord): Operation[] =>
  allowedOperations(record).filter(
    (operation) =>
      operation === 'DisableProtection' || (operation === 'RepairReplication' && needsResync(record)),
  );

function providerDetails({ replication }: ApiContext, record: ItemRecord) {
  const { doneBytes, totalBytes } = copyTotals(record);
  const latest = record.latestPoint;
  const now = replication.clock.now();
  return {
    ...record.providerInput,
    instanceType: 'HyperVReplicaAzure',
    azureVmDiskDetails: record.disks.map(({ disk, name, type, sizeBytes }, lun) => ({
      vhdType: type,
      vhdId: disk,
      diskId: disk,
      vhdName: name,
      maxSizeMB: String(Math.ceil(sizeBytes / 2 ** 20)),
      lunId: String(lun),
    })),
    vmId: record.machine,
    vmProtectionState: record.state,
    vmProtectionStateDescription: describeState(record.state),
    initialReplicationDetails: {
      initialReplicationType: 'InitialReplication',
      initialReplicationProgressPercentage: String(Math.floor((100 * doneBytes) / totalBytes)),
    },
    lastReplicatedTime: latest?.takenAt ?? null,
    lastRecoveryPointReceived: latest?.takenAt ?? null,
    rpoInSeconds: latest
      ? Math.max(0, Math.floor((now.getTime() - Date.parse(latest.takenAt)) / 1000))
      : null,
    lastRpoCalculatedTime: now.toISOString(),
    encryption: 'Disabled',
  };
}

async function itemBody(context: ApiContext, record: ItemRecord) {
  const { vault } = context.settings;
  const { storage, clock } = context.replication;
  const policy = await findPolicy(storage.vault, record.policy);
  const healthErrors = healthErrorsAt(record, policy, clock.now());
  const container = containerSegments(record);
  return resource(vault, itemSegments(record), {
    friendlyName: record.machineName,
    protectedItemType: 'HyperVVirtualMachine',
    protectableItemId: resourceId(vault, ...container, 'replicationProtectableItems', record.machine),
    primaryFabricFriendlyName: record.fabric,
    primaryFabricProvider: 'HyperVSite',
    recoveryFabricFriendlyName: 'Microsoft Azure',
    recoveryFabricId: 'Microsoft Azure',
    primaryProtectionContainerFriendlyName: record.fabric,
    recoveryProtectionContainerFriendlyName: 'Microsoft Azure',
    protectionState: record.state,
    protectionStateDescription: describeState(record.state),
    activeLocation: 'Primary',
    testFailoverState: 'None',
    testFailoverStateDescription: 'None',
    allowedOperations: siteRecoveryOperations(record),
    replicationHealth: healthOf({ healthErrors }),
    failoverHealth: 'Normal',
    healthErrors: healthErrors.map(healthErrorBody),
    policyId: resourceId(vault, 'replicationPolicies', record.policy),
    policyFriendlyName: record.policy,
    currentScenario: {
      scenarioName: record.currentJob === null ? 'None' : 'EnableDr',
      jobId: resourceId(vault, 'replicationJobs', record.currentJob ?? 'None'),
      startTime: record.createdAt,
    },
    providerSpecificDetails: providerDetails(context, record),
  });
}

function selectDisks(machine: MachineRecord, asked: readonly string[] | undefined): string[] {
  if (asked === undefined) return machine.disks.map(({ id }) => id);
  const known = new Set(machine.disks.map(({ id }) => id));
  return asked.map((id) => {
    if (known.has(id.toLowerCase())) return id.toLowerCase();
    const message = `Machine ${machine.name} has no disk "${id}"; it has ${[...known].join(', ')}.`;
    throw new LifeboatError('InvalidRequest', message, {
      target: 'properties.providerSpecificDetails.disksToInclude',
    });
  });
}

/** Refuses a machine that another item protects already. */
async function requireUnprotected(
  context: ApiContext,
  machine: MachineRecord,
  fabric: string,
  item: string,
): Promise<void> {
  for await (const record of listItems(context.replication.storage)) {
    if (record.item === item || record.machine !== machine.id || record.fabric !== fabric) continue;
    const message = `Machine ${machine.name} is protected already, as "${record.name}".`;
    throw new LifeboatError('OperationNotSupportedInState', message, { target: record.name });
  }
}

export const putProtectedItem: Handler = async (context, request) => {
  const { fabric, container } = await getContainer(context, request.params);
  const name = request.params['item'] ?? '';
  const item = requireIdentifier(name.toLowerCase(), 'The name of the protected item');
  const { properties } = await parseBody(request, enableBody);
  const { storage } = context.replication;
  const machineId = nameInId(properties.protectableItemId, 'replicationProtectableItems');
  const machine = await findMachine(storage.inventory, fabric.name, machineId);
  if (!machine) {
    const message = `Protectable item "${machineId}" is not in the inventory of site "${fabric.name}".`;
    throw new LifeboatError('ResourceNotFound', message, { target: 'properties.protectableItemId' });
  }
  const policy = await getResource(
    storage.vault,
    policies,
    nameInId(properties.policyId, 'replicationPolicies'),
  );
  if (!(await isPolicyMapped(storage.vault, container, policy.name))) {
    const message = `Policy "${policy.name}" is not mapped to container "${container}"; create a container mapping first.`;
    throw new LifeboatError('InvalidRequest', message, { target: 'properties.policyId' });
  }
  await requireUnprotected(context, machine, fabric.name, item);
  const details = properties.providerSpecificDetails;
  const asked = details.disksToInclude ?? details.disksToIncludeForManagedDisks?.map(({ diskId }) => diskId);
  const itemId = resourceId(
    context.settings.vault,
    ...itemSegments({ fabric: fabric.name, container, name }),
  );
  const job = await enableProtection(context.replication, context.orchestrations, {
    ...{ item, name, fabric: fabric.name, container, policy: policy.name, machine, itemId },
    disks: selectDisks(machine, asked),
    providerInput: details,
  });
  return accepted(context, { job, resource: itemId, apiVersion: request.apiVersion });
};

/** The item that the path names, in the container that the path names. */
async function getItemInPath(
  context: ApiContext,
  params: Readonly<Record<string, string>>,
): Promise<ItemRecord> {
  const { container } = await getContainer(context, params);
  const record = await getItem(context.replication.storage.items, (params['item'] ?? '').toLowerCase());
  if (record.container !== container) {
    const message = `Protected item "${record.name}" does not exist in container "${container}".`;
    throw new LifeboatError('ResourceNotFound', message, { target: record.name });
  }
  return record;
}

export const getProtectedItem: Handler = async (context, { params }) => ({
  status: 200,
  body: await itemBody(context, await getItemInPath(context, params)),
});

export const listProtectedItems: Handler = async (context, { params }) => {
  const inside = params['container'] === undefined ? undefined : await getContainer(context, params);
  const bodies = [];
  for await (const record of listItems(context.replication.storage)) {
    if (inside === undefined || record.container === inside.container)
      bodies.push(await itemBody(context, record));
  }
  return list(bodies);
};

function pointBody({ settings }: ApiContext, record: ItemRecord, point: RecoveryPointRecord) {
  return resource(settings.vault, [...itemSegments(record), 'recoveryPoints', point.id], {
    recoveryPointTime: point.takenAt,
    recoveryPointType: point.consistency === 'application' ? 'ApplicationConsistent' : 'CrashConsistent',
    providerSpecificDetails: {
      instanceType: 'Lifeboat',
      cycle: point.cycle,
      recordedAt: point.recordedAt,
      recoveryPointTimeSource: point.takenAtFrom,
      disks: point.disks.map(({ disk, snapshotId }) => ({
        diskId: disk,
        blobName: `${record.item}/${disk}.vhd`,
        snapshotId,
      })),
    },
  });
}

/** Newest first. */
export const listPoints: Handler = async (context, { params }) => {
  const record = await getItemInPath(context, params);
  const bodies = [];
  for await (const point of listRecoveryPoints(context.replication.storage.items, record.item)) {
    bodies.unshift(pointBody(context, record, point));
  }
  return list(bodies);
};

export const getPoint: Handler = async (context, { params }) => {
  const record = await getItemInPath(context, params);
  const id = params['point'] ?? '';
  const point = await findRecoveryPoint(context.replication.storage.items, record.item, id.toLowerCase());
  if (!point)
    throw new LifeboatError(
      'ResourceNotFound',
      `Recovery point "${id}" does not exist on "${record.name}".`,
      { target: id },
    );
  return { status: 200, body: pointBody(context, record, point) };
};
