// An API with one of everything in it: a site with host, networks, policy and plan, and a protected machine with a recovery point.
import type { ApiResponse } from '../../lib/api/http.ts';
import { configureSite, enableBody, testApi, vault } from './api.ts';
import type { TestApi } from './api.ts';

export interface ApiWorld {
  api: TestApi;
  /** Path of the protected item. */
  item: string;
  /** Values for the parameters of paths. */
  names: Readonly<Record<string, string>>;
}

export const properties = (response: ApiResponse) =>
  (response.body as { properties: Record<string, unknown> }).properties;
export const values = (response: ApiResponse) =>
  (response.body as { value: Record<string, unknown>[] }).value;

const topology = {
  networks: [{ id: 'net1', name: 'Production', subnets: [{ name: 'default', addresses: ['10.0.0.0/24'] }] }],
  logicalNetworks: [{ id: 'logical1', name: 'Logical' }],
  storageClassifications: [{ id: 'fast', name: 'Fast' }],
};

const azureNetwork =
  '/subscriptions/s1/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/recovery';

async function protectMachine(api: TestApi, container: string): Promise<string> {
  const item = `${container}/replicationProtectedItems/vm-1`;
  await api.call('PUT', item, enableBody(container));
  for (const disk of ['os', 'data']) {
    await api.call('POST', `/agent/v1/items/vm-1/disks/${disk}/initialReplication/complete`, {
      pointInTime: '2026-01-01T00:00:00Z',
    });
  }
  return item;
}

const planBody = (item: string) => ({
  properties: {
    primaryFabricId: `${vault}/replicationFabrics/site1`,
    recoveryFabricId: 'Microsoft Azure',
    groups: [{ groupType: 'Boot', replicationProtectedItems: [{ id: item }] }],
  },
});

async function configureRest(api: TestApi, item: string): Promise<void> {
  const fabric = `${vault}/replicationFabrics/site1`;
  await api.call('PUT', '/agent/v1/sites/site1/topology', topology);
  await api.call('PUT', `${vault}/replicationRecoveryPlans/plan1`, planBody(item));
  await api.call('PUT', `${fabric}/replicationNetworks/net1/replicationNetworkMappings/nm1`, {
    properties: { recoveryNetworkId: azureNetwork },
  });
  const mapping = 'replicationStorageClassificationMappings/sm1';
  await api.call('PUT', `${fabric}/replicationStorageClassifications/fast/${mapping}`, {
    properties: { targetStorageClassificationId: 'premium' },
  });
  await api.call('PUT', `${vault}/replicationVaultSettings/default`, { properties: {} });
}

export async function completeWorld(): Promise<ApiWorld> {
  const api = testApi();
  const container = await configureSite(api);
  const item = await protectMachine(api, container);
  await configureRest(api, item);
  const [job] = values(await api.call('GET', `${vault}/replicationJobs`));
  const [point] = values(await api.call('GET', `${item}/recoveryPoints`));
  const [event] = values(await api.call('GET', `${vault}/replicationEvents`));
  const nameOf = (record: Record<string, unknown> | undefined) =>
    (record?.['name'] as string | undefined) ?? 'none';
  const names = {
    ...{ subscriptionId: 's1', resourceGroupName: 'rg', vaultName: 'v1', subscription: 's1', group: 'rg' },
    ...{ fabric: 'site1', container: container.split('/').at(-1) ?? '', policy: 'gold', mapping: 'map1' },
    ...{ protectableItem: 'vm-1', item: 'vm-1', plan: 'plan1', network: 'net1', networkMapping: 'nm1' },
    ...{ classification: 'fast', storageMapping: 'sm1', logicalNetwork: 'logical1', disk: 'os' },
    ...{ alertSetting: 'defaultAlertSetting', vaultSetting: 'default', job: nameOf(job) },
    ...{ point: nameOf(point), event: nameOf(event), generation: '1', segment: '0' },
  };
  return { api, item, names };
}
