// Site Recovery's own client drives the service: what people's scripts, Terraform and portals do, call by call.
import type {
  HyperVReplicaAzureReplicationDetails,
  ReplicationProtectedItem,
  SiteRecoveryManagementClient,
} from '@azure/arm-recoveryservices-siterecovery';
import { beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/protectedVm.ts';
import { newClient, resourceGroup, startSdkService, vaultName } from './client.ts';
import type { SdkService } from './client.ts';
import { copyDisk, findAssignment, machineReport, send, shipCycle } from './machines.ts';

const fabric = 'site1';
const where = [vaultName, resourceGroup] as const;

async function collect<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of pages) all.push(each);
  return all;
}

let service: SdkService;
let client: SiteRecoveryManagementClient;
let container: string;
let vault: string;

const policyInput = {
  properties: {
    providerSpecificInput: {
      instanceType: 'HyperVReplicaAzure' as const,
      recoveryPointHistoryDuration: 24,
      applicationConsistentSnapshotFrequencyInHours: 2,
      replicationInterval: 300,
    },
  },
};

const enableInput = (machine: string) => ({
  properties: {
    policyId: `${vault}/replicationPolicies/gold`,
    protectableItemId: `${vault}/replicationFabrics/${fabric}/replicationProtectionContainers/${container}/replicationProtectableItems/${machine}`,
    providerSpecificDetails: {
      instanceType: 'HyperVReplicaAzure' as const,
      targetAzureVmName: machine,
      enableRdpOnTargetOption: 'Never',
      useManagedDisks: 'true',
    },
  },
});

const item = (name: string) => [...where, fabric, container, name] as const;

const detailsOf = (found: ReplicationProtectedItem): HyperVReplicaAzureReplicationDetails =>
  found.properties?.providerSpecificDetails as HyperVReplicaAzureReplicationDetails;

beforeAll(async () => {
  service = await startSdkService();
  client = service.client;
  vault = String(service.host.local['vaultPath']);
  await client.replicationFabrics.beginCreateAndWait(...where, fabric, {
    // What other clients send as well; the type of this one names only its own subclasses.
    properties: { customDetails: { instanceType: 'FabricSpecificCreationInput' as 'Azure' } },
  });
  const containers = await collect(
    client.replicationProtectionContainers.listByReplicationFabrics(...where, fabric),
  );
  container = containers[0]?.name ?? '';
  await send(service, 'PUT', `/agent/v1/sites/${fabric}/inventory`, {
    body: machineReport(['vm-1', 'vm-2', 'vm-3']),
  });
  await client.replicationPolicies.beginCreateAndWait(...where, 'gold', policyInput);
  await client.replicationProtectionContainerMappings.beginCreateAndWait(...where, fabric, container, 'map', {
    properties: {
      policyId: `${vault}/replicationPolicies/gold`,
      targetProtectionContainerId: 'Microsoft Azure',
      providerSpecificInput: { instanceType: 'HyperVReplicaAzure' } as never,
    },
  });
}, 120_000);

describe('configuration', () => {
  it('makes, shows and updates a policy', async () => {
    const made = await client.replicationPolicies.beginCreateAndWait(...where, 'silver', policyInput);
    expect(made.name).toBe('silver');
    expect(made.properties?.providerSpecificDetails).toMatchObject({
      instanceType: 'HyperVReplicaAzure',
      recoveryPointHistoryDurationInHours: 24,
      applicationConsistentSnapshotFrequencyInHours: 2,
      replicationInterval: 300,
    });
    const updated = await client.replicationPolicies.beginUpdateAndWait(...where, 'silver', {
      properties: {
        replicationProviderSettings: { instanceType: 'HyperVReplicaAzure', replicationInterval: 900 },
      },
    });
    expect(updated.properties?.providerSpecificDetails).toMatchObject({
      replicationInterval: 900,
      recoveryPointHistoryDurationInHours: 24,
    });
    await client.replicationPolicies.beginDeleteAndWait(...where, 'silver');
    const names = (await collect(client.replicationPolicies.list(...where))).map(({ name }) => name);
    expect(names).toEqual(['gold']);
  });

  it('shows the fabric, its container and its mapping', async () => {
    const shown = await client.replicationFabrics.get(...where, fabric);
    expect(shown.properties?.customDetails?.instanceType).toBe('HyperVSite');
    expect(container).toBe(`cloud_${shown.properties?.internalIdentifier ?? ''}`);
    const mappings = await collect(
      client.replicationProtectionContainerMappings.listByReplicationProtectionContainers(
        ...where,
        fabric,
        container,
      ),
    );
    expect(mappings).toMatchObject([
      { name: 'map', properties: { state: 'Paired', policyFriendlyName: 'gold' } },
    ]);
  });

  it('discovers machines', async () => {
    await client.replicationProtectionContainers.beginDiscoverProtectableItemAndWait(
      ...where,
      fabric,
      container,
      { properties: { friendlyName: 'vm-3' } },
    );
    const machines = await collect(
      client.replicationProtectableItems.listByReplicationProtectionContainers(...where, fabric, container, {
        filter: "state eq 'Unprotected'",
        take: '1',
      }),
    );
    expect(machines.map(({ name }) => name)).toContain('vm-3');
    expect(machines.find(({ name }) => name === 'vm-3')?.properties?.customDetails).toMatchObject({
      instanceType: 'HyperVVirtualMachine',
      generation: '2',
      diskDetails: [{ vhdId: 'os', vhdName: 'vm-3-os.vhdx', vhdType: 'OperatingSystem' }],
    });
  });

  it('maps networks, once a host reported them', async () => {
    await send(service, 'PUT', `/agent/v1/sites/${fabric}/topology`, {
      body: { networks: [{ id: 'net1', name: 'Production' }] },
    });
    const recoveryNetworkId = `/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/dr`;
    const mapping = await client.replicationNetworkMappings.beginCreateAndWait(
      ...where,
      fabric,
      'net1',
      'nm',
      { properties: { recoveryFabricName: 'Microsoft Azure', recoveryNetworkId } },
    );
    expect(mapping.properties).toMatchObject({ state: 'Paired', recoveryNetworkId });
    const networks = await collect(client.replicationNetworks.list(...where));
    expect(networks.map(({ properties }) => properties?.friendlyName)).toEqual(['Production']);
  });

  it('configures alerts at once, shows the health of the vault, and exports jobs', async () => {
    const alert = await client.replicationAlertSettings.create(...where, 'defaultAlertSetting', {
      properties: { sendToOwners: 'Send', customEmailAddresses: ['ops@contoso.example'], locale: 'en-US' },
    });
    expect(alert.properties?.customEmailAddresses).toEqual(['ops@contoso.example']);
    const health = await client.replicationVaultHealth.beginRefreshAndWait(...where);
    expect(health.properties?.fabricsHealth?.resourceCount).toBe(1);
    const job = await client.replicationJobs.beginExportAndWait(...where, { jobOutputType: 'Json' });
    const { blobUri, sasToken } = job.properties?.customDetails as { blobUri: string; sasToken: string };
    const file = await send(service, 'GET', blobUri + sasToken, { key: '' });
    expect(file.status).toBe(200);
    expect((file.body as { name: string }[]).length).toBeGreaterThan(3);
  });
});

describe('protecting a machine', () => {
  it('enables, follows the job, ships cycles, and shows recovery points, jobs and events', async () => {
    const protectedItem = await client.replicationProtectedItems.beginCreateAndWait(
      ...item('vm-1'),
      enableInput('vm-1'),
    );
    expect(protectedItem.properties?.protectionState).toBe('InitialReplicationInProgress');
    await copyDisk(service, 'vm-1');
    const done = await eventually('vm-1 is protected', async () => {
      const found = await client.replicationProtectedItems.get(...item('vm-1'));
      return detailsOf(found).vmProtectionState === 'Protected' ? found : undefined;
    });
    expect(done.properties).toMatchObject({ replicationHealth: 'Normal', policyFriendlyName: 'gold' });
    expect(done.properties?.allowedOperations).toContain('DisableProtection');
    expect(detailsOf(done)).toMatchObject({ recoveryAzureVmName: 'vm-1', selectedSourceNicId: 'nic1' });
    await shipCycle(service, 'vm-1');
    const points = await eventually('a recovery point of the cycle', async () => {
      const all = await collect(client.recoveryPoints.listByReplicationProtectedItems(...item('vm-1')));
      return all.length >= 2 ? all : undefined;
    });
    expect(points[0]?.properties?.recoveryPointTime).toBeInstanceOf(Date);
    const named = await client.recoveryPoints.get(...item('vm-1'), points[0]?.name ?? '');
    expect(named.id).toBe(points[0]?.id);
    const jobs = await collect(
      client.replicationJobs.list(...where, { filter: "JobStatus eq 'Succeeded' and JobName eq 'EnableDr'" }),
    );
    expect(jobs).toHaveLength(1);
    expect(jobs[0]?.properties?.tasks?.every(({ state }) => state === 'Succeeded')).toBe(true);
    expect((await client.replicationJobs.get(...where, jobs[0]?.name ?? '')).properties?.scenarioName).toBe(
      'EnableDr',
    );
    const events = await collect(
      client.replicationEvents.list(...where, { filter: "EventType eq 'JobStatus'" }),
    );
    expect(events.map(({ properties }) => properties?.affectedObjectFriendlyName)).toContain(
      'vm-1.contoso.local',
    );
    const sizes = await collect(client.targetComputeSizes.listByReplicationProtectedItems(...item('vm-1')));
    expect(sizes.some(({ properties }) => (properties?.errors ?? []).length === 0)).toBe(true);
  });

  it('updates what a failover will make', async () => {
    const updated = await client.replicationProtectedItems.beginUpdateAndWait(...item('vm-1'), {
      properties: {
        recoveryAzureVMSize: 'Standard_D4s_v5',
        enableRdpOnTargetOption: 'Always',
        vmNics: [{ nicId: 'nic1', selectionType: 'SelectedByUser' }],
      },
    });
    expect(detailsOf(updated)).toMatchObject({
      recoveryAzureVMSize: 'Standard_D4s_v5',
      recoveryAzureVmName: 'vm-1',
      enableRdpOnTargetOption: 'Always',
      vmNics: [{ nicId: 'nic1', selectionType: 'SelectedByUser', vMNetworkName: 'Production' }],
    });
  });

  it('starts a resynchronization and cancels its job', async () => {
    const poller = await client.replicationProtectedItems.beginRepairReplication(...item('vm-1'));
    expect(poller.getOperationState().status).toBe('running');
    const [job] = await collect(
      client.replicationJobs.list(...where, { filter: "JobName eq 'RepairReplication'" }),
    );
    expect(job?.properties?.allowedActions).toContain('Cancel');
    await client.replicationJobs.beginCancel(...where, job?.name ?? '');
    await expect(poller.pollUntilDone()).rejects.toThrow(/cancel/i);
    await eventually('the item is free', async () => {
      const found = await client.replicationProtectedItems.get(...item('vm-1'));
      return found.properties?.currentScenario?.scenarioName === 'None' ? true : undefined;
    });
  });

  it('makes a recovery plan of machines, and finds the machines by it', async () => {
    const { id } = await client.replicationProtectedItems.get(...item('vm-1'));
    const plan = await client.replicationRecoveryPlans.beginCreateAndWait(...where, 'plan', {
      properties: {
        primaryFabricId: `${vault}/replicationFabrics/${fabric}`,
        recoveryFabricId: 'Microsoft Azure',
        failoverDeploymentModel: 'ResourceManager',
        groups: [
          {
            groupType: 'Boot',
            replicationProtectedItems: [{ id: id ?? '' }],
            startGroupActions: [],
            endGroupActions: [],
          },
        ],
      },
    });
    expect(plan.properties?.groups?.map(({ groupType }) => groupType)).toEqual([
      'Shutdown',
      'Failover',
      'Boot',
    ]);
    const inPlan = await collect(
      client.replicationProtectedItems.list(...where, { filter: "recoveryPlanName eq 'plan'" }),
    );
    expect(inPlan.map(({ name }) => name)).toEqual(['vm-1']);
    await client.replicationRecoveryPlans.beginDeleteAndWait(...where, 'plan');
  });

  it('tests a failover and cleans up', async () => {
    await client.replicationProtectedItems.beginTestFailoverAndWait(...item('vm-1'), {
      properties: {
        failoverDirection: 'PrimaryToRecovery',
        networkType: 'NoNetworkAttachAsInput',
        providerSpecificDetails: { instanceType: 'HyperVReplicaAzure' },
      },
    });
    await eventually('the test machine stands', async () => {
      const { properties } = await client.replicationProtectedItems.get(...item('vm-1'));
      const isReady = properties?.allowedOperations?.includes('TestFailoverCleanup') === true;
      return isReady && properties.testFailoverState !== 'None' ? true : undefined;
    });
    await client.replicationProtectedItems.beginTestFailoverCleanupAndWait(...item('vm-1'), {
      properties: { comments: 'as expected' },
    });
    await eventually('the test is cleaned up', async () => {
      const { properties } = await client.replicationProtectedItems.get(...item('vm-1'));
      return properties?.testFailoverState === 'None' ? true : undefined;
    });
    const commit = client.replicationProtectedItems.beginFailoverCommit(...item('vm-1'));
    await expect(commit).rejects.toMatchObject({ statusCode: 409, code: 'OperationNotSupportedInState' });
  });

  it('disables protection', async () => {
    await client.replicationProtectedItems.beginCreateAndWait(...item('vm-3'), enableInput('vm-3'));
    await client.replicationProtectedItems.beginDeleteAndWait(...item('vm-3'), { properties: {} });
    await eventually('vm-3 is gone', async () => {
      const all = await collect(client.replicationProtectedItems.list(...where));
      return all.some(({ name }) => name === 'vm-3') ? undefined : true;
    });
    expect(await findAssignment(service, 'vm-3')).toBeUndefined();
  });
});

describe('the wire', () => {
  it('makes one job of a request whose answer was lost, and the client does not notice', async () => {
    const before = service.exchanges.length;
    service.loseNext(
      ({ method, url }) => method === 'PUT' && url.includes('/replicationProtectedItems/vm-2'),
    );
    await client.replicationProtectedItems.beginCreateAndWait(...item('vm-2'), enableInput('vm-2'));
    const puts = service.exchanges.slice(before).filter(({ method }) => method === 'PUT');
    expect(puts).toHaveLength(2);
    expect(new Set(puts.map(({ clientRequestId }) => clientRequestId)).size).toBe(1);
    expect(puts.map(({ status }) => status)).toEqual([202, 202]);
    const jobs = await collect(client.replicationJobs.list(...where, { filter: "JobName eq 'EnableDr'" }));
    const ofMachine = jobs.filter(({ properties }) => properties?.targetObjectName === 'vm-2.contoso.local');
    expect(ofMachine).toHaveLength(1);
  });

  it('lets a poller be saved and resumed by another process, also after the service was restarted', async () => {
    const poller = await client.replicationPolicies.beginCreate(...where, 'bronze', policyInput);
    const saved = poller.toString();
    expect(saved).toContain('/replicationOperationStatus/');
    const { dataDirectory } = service.host;
    const port = Number(new URL(service.host.url).port);
    await service.host.stop();
    const again = await startSdkService(dataDirectory, port);
    service = again;
    client = again.client;
    const other = newClient(again.host.url, again.ca, { key: String(again.host.local['adminKey']) });
    const resumed = await other.replicationPolicies.beginCreateAndWait(...where, 'bronze', policyInput, {
      resumeFrom: saved,
    });
    expect(resumed.name).toBe('bronze');
  });

  it('shows errors with code, message and what to do', async () => {
    const missing = client.replicationPolicies.get(...where, 'none');
    await expect(missing).rejects.toMatchObject({
      statusCode: 404,
      code: 'ResourceNotFound',
      message: expect.stringContaining('none') as string,
    });
    const wrong = client.replicationPolicies.beginCreate(...where, 'bad', {
      properties: {
        providerSpecificInput: { instanceType: 'HyperVReplicaAzure', recoveryPointHistoryDuration: -1 },
      },
    });
    await expect(wrong).rejects.toMatchObject({
      statusCode: 400,
      code: 'InvalidRequest',
      details: {
        body: { error: { target: 'properties.providerSpecificInput.recoveryPointHistoryDuration' } },
      },
    });
    const stranger = newClient(service.host.url, service.ca, { key: 'not-the-key' });
    await expect(stranger.replicationPolicies.get(...where, 'gold')).rejects.toMatchObject({
      statusCode: 401,
    });
  });

  it('pages through a list', async () => {
    for (const name of ['p1', 'p2', 'p3'])
      await client.replicationPolicies.beginCreateAndWait(...where, name, policyInput);
    const before = service.exchanges.length;
    const path = `${vault}/replicationPolicies?%24take=2`;
    const first = (await send(service, 'GET', path)).body as { value: unknown[]; nextLink: string };
    expect(first.value).toHaveLength(2);
    expect(first.nextLink.startsWith(`${service.host.url}${vault}`)).toBe(true);
    expect(new URL(first.nextLink).searchParams.get('api-version')).toBe('2023-06-01');
    const names = (await collect(client.replicationPolicies.list(...where))).map(({ name }) => name);
    expect(names).toEqual(['bronze', 'gold', 'p1', 'p2', 'p3']);
    expect(service.exchanges.length).toBe(before + 1);
  });
});
