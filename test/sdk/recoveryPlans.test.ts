// Site Recovery's own client runs a recovery plan: test failover, clean-up, failover, commit, each awaited with the client's poller.
import type {
  ASRTask,
  RecoveryPlanGroupTaskDetails,
  SiteRecoveryManagementClient,
  VirtualMachineTaskDetails,
} from '@azure/arm-recoveryservices-siterecovery';
import { beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/protectedVm.ts';
import { resourceGroup, startSdkService, vaultName } from './client.ts';
import type { SdkService } from './client.ts';
import { copyDisk, machineReport, send } from './machines.ts';

const where = [vaultName, resourceGroup] as const;
const fabric = 'site1';
const machines = ['db-1', 'web-1'];
const plan = [...where, 'shop'] as const;

let service: SdkService;
let client: SiteRecoveryManagementClient;
let container: string;

const item = (name: string) => [...where, fabric, container, name] as const;
const planProperties = async () => (await client.replicationRecoveryPlans.get(...plan)).properties;

/** A body as the types of the client lack it: the service takes what others send as well. */
const anyBody = (properties: object) => ({ properties }) as never;

beforeAll(async () => {
  service = await startSdkService();
  client = service.client;
  const vault = String(service.host.local['vaultPath']);
  await client.replicationFabrics.beginCreateAndWait(...where, fabric, anyBody({}));
  const containers = client.replicationProtectionContainers.listByReplicationFabrics(...where, fabric);
  for await (const { name } of containers) container = name ?? '';
  await send(service, 'PUT', `/agent/v1/sites/${fabric}/inventory`, { body: machineReport(machines) });
  await client.replicationPolicies.beginCreateAndWait(...where, 'gold', anyBody({}));
  const policyId = `${vault}/replicationPolicies/gold`;
  await client.replicationProtectionContainerMappings.beginCreateAndWait(
    ...([...where, fabric, container, 'map'] as const),
    anyBody({ policyId }),
  );
  const place = `${vault}/replicationFabrics/${fabric}/replicationProtectionContainers/${container}`;
  for (const name of machines) {
    await client.replicationProtectedItems.beginCreateAndWait(
      ...item(name),
      anyBody({ policyId, protectableItemId: `${place}/replicationProtectableItems/${name}` }),
    );
    await copyDisk(service, name);
  }
  await client.replicationRecoveryPlans.beginCreateAndWait(...plan, {
    properties: {
      primaryFabricId: `${vault}/replicationFabrics/${fabric}`,
      recoveryFabricId: 'Microsoft Azure',
      failoverDeploymentModel: 'ResourceManager',
      groups: machines.map((name) => ({
        groupType: 'Boot',
        replicationProtectedItems: [{ id: `${place}/replicationProtectedItems/${name}` }],
        startGroupActions: [],
        endGroupActions: [],
      })),
    },
  });
  await eventually('the machines are protected', async () =>
    (await planProperties())?.allowedOperations?.includes('TestFailover') ? true : undefined,
  );
}, 120_000);

describe('a recovery plan', () => {
  it('is tested and cleaned up', async () => {
    const tested = await client.replicationRecoveryPlans.beginTestFailoverAndWait(...plan, {
      properties: {
        failoverDirection: 'PrimaryToRecovery',
        networkType: 'NoNetworkAttachAsInput',
        providerSpecificDetails: [
          { instanceType: 'HyperVReplicaAzure', recoveryPointType: 'LatestProcessed' },
        ],
      },
    });
    expect(tested.properties?.allowedOperations).toContain('TestFailoverCleanup');
    expect(tested.properties?.lastTestFailoverTime).toBeInstanceOf(Date);
    for (const name of machines) {
      const { properties } = await client.replicationProtectedItems.get(...item(name));
      expect(properties?.testFailoverState).toBe('TestFailoverCompleted');
    }
    await client.replicationRecoveryPlans.beginTestFailoverCleanupAndWait(...plan, {
      properties: { comments: 'as expected' },
    });
    const { properties } = await client.replicationProtectedItems.get(...item('db-1'));
    expect(properties?.testFailoverState).toBe('None');
  });

  it('fails over and is committed; its job shows groups, and in them machines with jobs of their own', async () => {
    await client.replicationRecoveryPlans.beginUnplannedFailoverAndWait(...plan, {
      properties: {
        failoverDirection: 'PrimaryToRecovery',
        sourceSiteOperations: 'NotRequired',
        providerSpecificDetails: [{ instanceType: 'HyperVReplicaAzure', recoveryPointType: 'Latest' }],
      },
    });
    const jobs = [];
    for await (const job of client.replicationJobs.list(...where, {
      filter: "AffectedObjectType eq 'RecoveryPlan'",
    }))
      jobs.push(job);
    const job = jobs.find(({ properties }) => properties?.scenarioName === 'UnplannedFailover');
    expect(job?.properties).toMatchObject({ state: 'Succeeded', targetObjectName: 'shop' });
    const groups = (job?.properties?.tasks ?? []).flatMap(({ groupTaskCustomDetails: details }) =>
      details ? [details as RecoveryPlanGroupTaskDetails] : [],
    );
    expect(groups.map(({ name, rpGroupType }) => [name, rpGroupType])).toEqual([
      ['Shutdown', 'Shutdown'],
      ['Failover', 'Failover'],
      ['Group 1', 'Boot'],
      ['Group 2', 'Boot'],
    ]);
    const [child] = (groups[3]?.childTasks ?? []) as (ASRTask & {
      customDetails?: VirtualMachineTaskDetails;
    })[];
    const { jobId, targetObjectName } = child?.customDetails?.jobTask ?? {};
    expect(targetObjectName).toBe('web-1.contoso.local');
    const member = await client.replicationJobs.get(...where, jobId ?? '');
    expect(member.properties?.customDetails?.affectedObjectDetails).toMatchObject({ parentJobId: job?.name });
    expect((await planProperties())?.allowedOperations).toEqual(['Commit', 'CancelFailover']);
    await client.replicationRecoveryPlans.beginFailoverCommitAndWait(...plan);
    for (const name of machines) {
      const { properties } = await client.replicationProtectedItems.get(...item(name));
      expect(properties?.protectionState).toBe('CommitFailoverCompleted');
    }
  });

  it('says everything that is in its way', async () => {
    const again = client.replicationRecoveryPlans.beginPlannedFailover(...plan, {
      properties: { failoverDirection: 'PrimaryToRecovery', providerSpecificDetails: [] },
    });
    await expect(again).rejects.toMatchObject({ statusCode: 409, code: 'PlanNotReady' });
    const cancel = client.replicationRecoveryPlans.beginFailoverCancel(...plan);
    await expect(cancel).rejects.toMatchObject({ statusCode: 409, code: 'PlanNotReady' });
    const reprotect = client.replicationRecoveryPlans.beginReprotect(...plan);
    await expect(reprotect).rejects.toMatchObject({ statusCode: 409, code: 'PlanNotReady' });
  });
});
