// A protected item in Site Recovery's shape.
import { createHash } from 'node:crypto';
import { errorCatalogue } from '../errors.ts';
import { findMachine, listMachinesBetween } from '../inventory/inventory.ts';
import type { MachineRecord } from '../inventory/inventory.ts';
import { findJob } from '../jobs/jobStore.ts';
import { allowedOperations } from '../protection/allowed.ts';
import { healthOf } from '../protection/item.ts';
import type { HealthError, ItemRecord } from '../protection/item.ts';
import { describeState } from '../protection/states.ts';
import { targetNameOf } from '../protection/target.ts';
import { resource, resourceId } from './arm.ts';
import { containerSegments } from './containers.ts';
import type { ApiContext } from './http.ts';
import { vmNicsOf } from './protectedItemNics.ts';
import { itemSegments } from './protectedItemIds.ts';

/** Site Recovery's own operations; the others are ours and stand in /lifeboat/v1/items. */
const standardOperations: readonly string[] = [
  ...['PlannedFailover', 'UnplannedFailover', 'DisableProtection', 'TestFailover', 'TestFailoverCleanup'],
  ...['Commit', 'ChangePit', 'CancelFailover', 'Failback', 'ReverseReplicate', 'RepairReplication'],
];

/** Where the machine runs, in Site Recovery's words, and what has become of its failovers. */
function failoverDetails({
  failover,
  testFailover,
  lastFailoverAt,
  lastGoodTestFailoverAt,
  state,
}: ItemRecord) {
  const isAway = (failover?.point ?? null) !== null && state !== 'FailbackCompleted';
  const testState =
    testFailover === null
      ? 'None'
      : testFailover.state === 'completed'
        ? 'TestFailoverCompleted'
        : 'TestFailoverInitiated';
  return {
    activeLocation: isAway ? 'Recovery' : 'Primary',
    testFailoverState: testState,
    testFailoverStateDescription: testState,
    failoverRecoveryPointId: failover?.point?.id ?? null,
    lastSuccessfulFailoverTime: lastFailoverAt,
    lastSuccessfulTestFailoverTime: lastGoodTestFailoverAt,
  };
}

/** Errors that an administrator can end by saying that the cause is mended. */
export const resolvableCodes: readonly string[] = ['ReplicationSuspended', 'ReplicationRetrying'];

/** Names an error of an item: the same as long as the error lasts. */
export const healthErrorId = ({ code, subject }: Pick<HealthError, 'code' | 'subject'>): string =>
  createHash('sha256').update(`${code}\0${subject}`).digest('hex').slice(0, 32);

/** Site Recovery's word for how a failover would go, as a timer last found it. */
function failoverHealthOf({ readiness }: ItemRecord): 'Normal' | 'Warning' | 'Critical' {
  const severities = readiness?.issues.map(({ severity }) => severity) ?? [];
  if (severities.includes('Error')) return 'Critical';
  return severities.length > 0 ? 'Warning' : 'Normal';
}

const configurationCodes: readonly string[] = ['FailoverNotReady'];

function healthErrorBody(error: HealthError) {
  const { possibleCauses, recommendedAction } = errorCatalogue[error.code];
  return {
    errorSource: 'Lifeboat',
    errorType: 'Replication',
    errorLevel: error.level === 'Critical' ? 'Error' : 'Warning',
    errorCategory: configurationCodes.includes(error.code) ? 'Configuration' : 'Replication',
    errorCode: error.code,
    summaryMessage: `${error.code}: ${error.subject}`,
    errorMessage: error.message,
    ...{ possibleCauses, recommendedAction },
    creationTimeUtc: error.raisedAt,
    entityId: error.subject,
    errorId: healthErrorId(error),
    customerResolvability: resolvableCodes.includes(error.code) ? 'Allowed' : 'NotAllowed',
    innerHealthErrors: [],
  };
}

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);

function tags(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

/** What the request to protect and later updates said about the machine in Azure, under the names that answers have. */
function targetDetails({ providerInput, machineName }: ItemRecord) {
  const of = (field: string) => text(providerInput[field]);
  return {
    recoveryAzureVmName: targetNameOf({ providerInput, machineName }),
    recoveryAzureVMSize: of('targetVmSize'),
    recoveryAzureStorageAccount: of('targetStorageAccountId'),
    recoveryAzureLogStorageAccountId: of('logStorageAccountId'),
    recoveryAzureResourceGroupId: of('targetAzureV2ResourceGroupId'),
    selectedRecoveryAzureNetworkId: of('targetAzureNetworkId'),
    recoveryAvailabilitySetId: of('targetAvailabilitySetId'),
    targetAvailabilityZone: of('targetAvailabilityZone'),
    targetProximityPlacementGroupId: of('targetProximityPlacementGroupId'),
    enableRdpOnTargetOption: of('enableRdpOnTargetOption') ?? 'Never',
    useManagedDisks: of('useManagedDisks') ?? 'true',
    licenseType: of('licenseType') ?? 'NoLicenseType',
    sqlServerLicenseType: of('sqlServerLicenseType') ?? 'NotSpecified',
    targetVmTags: tags(providerInput['targetVmTags']),
    seedManagedDiskTags: tags(providerInput['seedManagedDiskTags']),
    targetManagedDiskTags: tags(providerInput['targetManagedDiskTags']),
    targetNicTags: tags(providerInput['targetNicTags']),
  };
}

function percentCopied({ disks }: ItemRecord): string {
  const total = disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const done = disks.reduce(
    (sum, { sizeBytes, arrivedAt, copied }) =>
      sum + (arrivedAt === null ? Math.min(sizeBytes, copied?.bytes ?? 0) : sizeBytes),
    0,
  );
  return String(total === 0 ? 0 : Math.floor((100 * done) / total));
}

/** How far behind the recovery points are now, and when the last of them came. */
function progressDetails(record: ItemRecord, now: Date) {
  const { latestPoint, lastCycleAt } = record;
  const rpoMs = latestPoint && now.getTime() - Date.parse(latestPoint.takenAt);
  return {
    lastReplicatedTime: lastCycleAt ?? latestPoint?.recordedAt ?? null,
    lastRecoveryPointReceived: latestPoint?.takenAt ?? null,
    rpoInSeconds: rpoMs === null ? null : Math.max(0, Math.floor(rpoMs / 1000)),
    lastRpoCalculatedTime: now.toISOString(),
  };
}

/** What the host reported about the machine. */
function sourceDetails({ providerInput }: ItemRecord, machine: MachineRecord | undefined) {
  const vmNics = vmNicsOf(machine, providerInput);
  return {
    vmNics,
    selectedSourceNicId: text(providerInput['selectedSourceNicId']) ?? vmNics[0]?.nicId ?? null,
    oSDetails: { osType: machine?.osType ?? text(providerInput['osType']) },
    sourceVmRamSizeInMB: machine?.memoryMb ?? null,
    sourceVmCpuCount: machine?.cpuCount ?? null,
  };
}

function providerDetails(
  { replication }: ApiContext,
  record: ItemRecord,
  machine: MachineRecord | undefined,
) {
  return {
    instanceType: 'HyperVReplicaAzure',
    ...targetDetails(record),
    ...sourceDetails(record, machine),
    ...progressDetails(record, replication.clock.now()),
    azureVmDiskDetails: record.disks.map(({ disk, name, type, sizeBytes }, lun) => ({
      ...{ vhdType: type, vhdId: disk, diskId: disk, vhdName: name, lunId: String(lun) },
      maxSizeMB: String(Math.ceil(sizeBytes / 2 ** 20)),
    })),
    vmId: record.machine,
    vmProtectionState: record.state,
    vmProtectionStateDescription: describeState(record.state),
    initialReplicationDetails: {
      initialReplicationType: 'InitialReplication',
      initialReplicationProgressPercentage: percentCopied(record),
    },
    encryption: 'Disabled',
    protectedManagedDisks: [],
    allAvailableOSUpgradeConfigurations: [],
  };
}

/** Reads the row of the item's machine and that of its job, nothing else: the same cost for every item. */
export async function itemBody(context: ApiContext, record: ItemRecord, knownMachine?: MachineRecord) {
  const { vault } = context.settings;
  const { storage } = context.replication;
  const [machine, job] = await Promise.all([
    knownMachine ?? findMachine(storage.inventory, record.fabric, record.machine),
    record.currentJob === null ? undefined : findJob(storage.jobs, record.currentJob),
  ]);
  return resource(vault, itemSegments(record), {
    friendlyName: record.machineName,
    protectedItemType: 'HyperVVirtualMachine',
    protectableItemId: resourceId(
      vault,
      ...containerSegments(record),
      ...['replicationProtectableItems', record.machine],
    ),
    recoveryServicesProviderId: null,
    primaryFabricFriendlyName: record.fabric,
    primaryFabricProvider: 'HyperVSite',
    recoveryFabricFriendlyName: 'Microsoft Azure',
    recoveryFabricId: 'Microsoft Azure',
    primaryProtectionContainerFriendlyName: record.fabric,
    recoveryProtectionContainerFriendlyName: 'Microsoft Azure',
    protectionState: record.state,
    protectionStateDescription: describeState(record.state),
    ...failoverDetails(record),
    allowedOperations: allowedOperations(record).filter((each) => standardOperations.includes(each)),
    replicationHealth: healthOf(record),
    failoverHealth: failoverHealthOf(record),
    healthErrors: record.healthErrors.map(healthErrorBody),
    policyId: resourceId(vault, 'replicationPolicies', record.policy),
    policyFriendlyName: record.policy,
    currentScenario: {
      scenarioName: job?.scenario ?? 'None',
      jobId: resourceId(vault, 'replicationJobs', record.currentJob ?? 'None'),
      startTime: job?.startTime ?? job?.createdAt ?? record.createdAt,
    },
    eventCorrelationId: record.item,
    providerSpecificDetails: providerDetails(context, record, machine),
  });
}

/** An item mostly has its machine's id, so that neighbours in one list are neighbours in the other; a few strangers may lie between. */
const strangersFactor = 4;

/** The bodies of a page: the machines are read together. */
export async function itemBodies(context: ApiContext, records: readonly ItemRecord[]) {
  const { inventory } = context.replication.storage;
  const machines = new Map<string, MachineRecord>();
  for (const fabric of new Set(records.map((record) => record.fabric))) {
    const ids = records
      .filter((record) => record.fabric === fabric)
      .map(({ machine }) => machine)
      .sort();
    const [first = ''] = ids;
    const range = { first, last: ids.at(-1) ?? first, limit: strangersFactor * ids.length };
    for (const machine of await listMachinesBetween(inventory, fabric, range))
      machines.set(`${fabric}|${machine.id}`, machine);
  }
  return Promise.all(
    records.map((record) => itemBody(context, record, machines.get(`${record.fabric}|${record.machine}`))),
  );
}
