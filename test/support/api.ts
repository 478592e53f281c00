// The API over storage in memory, called as a client would, without a Functions host.
import { handleRequest } from '../../lib/api/handle.ts';
import type { ApiContext, ApiResponse } from '../../lib/api/http.ts';
import {
  checkPrerequisites,
  createTarget,
  failProtection,
  finalizeProtection,
  mergeQueuedLogs,
  startInitialReplication,
} from '../../lib/protection/enable.ts';
import type { ItemJob, OrchestrationClient } from '../../lib/protection/orchestrations.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import { testContext } from './protectedVm.ts';

export const adminKey = 'key-of-the-tests';
export const vault = '/subscriptions/s1/resourceGroups/rg/providers/Microsoft.RecoveryServices/vaults/v1';
export const publicUrl = 'https://lifeboat.example';

/** Runs the steps of the orchestration when it is started and when the event comes. */
class StepRunner implements OrchestrationClient {
  readonly #context: ReplicationContext;
  readonly started = new Map<string, ItemJob>();

  constructor(context: ReplicationContext) {
    this.#context = context;
  }

  async start(_name: string, instanceId: string, input: object): Promise<void> {
    if (this.started.has(instanceId)) return;
    const job = input as ItemJob;
    this.started.set(instanceId, job);
    const errors = await checkPrerequisites(this.#context, job);
    if (errors.length > 0) return failProtection(this.#context, job, errors);
    await createTarget(this.#context, job);
    await startInitialReplication(this.#context, job);
  }

  async raiseEvent(instanceId: string): Promise<void> {
    const job = this.started.get(instanceId);
    if (!job) return;
    await mergeQueuedLogs(this.#context, job, {});
    await finalizeProtection(this.#context, job);
  }
}

export interface TestApi {
  context: ApiContext;
  call: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<ApiResponse>;
}

export function testApi(): TestApi {
  const replication = testContext();
  const context: ApiContext = {
    replication,
    orchestrations: new StepRunner(replication),
    signer: {
      replicaWriteUrl: async (name) => `https://account.example/replicas/${name}?sig=w`,
      deltaCreateUrl: async (name) => `https://account.example/deltas/${name}?sig=c`,
    },
    settings: {
      vault: { subscription: 's1', resourceGroup: 'rg', vault: 'v1' },
      ...{ adminKey, publicUrl, uploadUrlMinutes: 60 },
    },
  };
  const call: TestApi['call'] = (method, path, body, headers = { authorization: `Bearer ${adminKey}` }) => {
    const url = new URL(path, publicUrl);
    const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
    return handleRequest(context, {
      method,
      path: url.pathname,
      query: url.searchParams,
      headers: new Map(Object.entries(headers)),
      text: async () => text,
    });
  };
  return { context, call };
}

export const vmReport = {
  host: { name: 'hv1.contoso.local' },
  machines: [
    {
      id: 'vm-1',
      name: 'web01',
      generation: '2',
      osType: 'Linux',
      disks: [
        { id: 'os', name: 'web01.vhdx', sizeBytes: 1024 * 1024 },
        { id: 'data', sizeBytes: 300 * 512 },
      ],
    },
  ],
};

/** A site with its policy and inventory; returns the path of its container. */
export async function configureSite({ call }: TestApi): Promise<string> {
  await call('PUT', `${vault}/replicationFabrics/site1`, {});
  await call('PUT', `${vault}/replicationPolicies/gold`, {});
  const containers = await call('GET', `${vault}/replicationFabrics/site1/replicationProtectionContainers`);
  const [{ name }] = (containers.body as { value: [{ name: string }] }).value;
  const container = `${vault}/replicationFabrics/site1/replicationProtectionContainers/${name}`;
  const mapping = {
    properties: {
      policyId: `${vault}/replicationPolicies/gold`,
      targetProtectionContainerId: 'Microsoft Azure',
    },
  };
  await call('PUT', `${container}/replicationProtectionContainerMappings/map1`, mapping);
  await call('PUT', '/agent/v1/sites/site1/inventory', vmReport);
  return container;
}

export const enableBody = (container: string, machine = 'vm-1') => ({
  properties: {
    policyId: `${vault}/replicationPolicies/gold`,
    protectableItemId: `${container}/replicationProtectableItems/${machine}`,
    providerSpecificDetails: { instanceType: 'HyperVReplicaAzure', targetAzureVmName: 'web01' },
  },
});
