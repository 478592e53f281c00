// The API over storage in memory, called as a client would, without a Functions host.
import { handleRequest } from '../../lib/api/handle.ts';
import type { ApiContext, ApiResponse } from '../../lib/api/http.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import { RateLimiter } from '../../lib/auth/rateLimit.ts';
import { LifeboatError } from '../../lib/errors.ts';
import type { TablePort } from '../../lib/storage/ports.ts';
import { OrchestrationRunner } from './orchestrationRunner.ts';
import { testContext } from './protectedVm.ts';

export const adminKey = 'key-of-the-tests';
export const vault = '/subscriptions/s1/resourceGroups/rg/providers/Microsoft.RecoveryServices/vaults/v1';
export const publicUrl = 'https://lifeboat.example';

export interface TestApi {
  context: ApiContext;
  runner: OrchestrationRunner;
  call: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<ApiResponse>;
  callBytes: (method: string, path: string, bytes: Uint8Array) => Promise<ApiResponse>;
}

/** What of the context decides who may call, for an app with an admin key and without Entra ID. */
export const accessWithKey = (access: TablePort, key: string) => ({
  access,
  credentials: { adminKey: key, entra: undefined, access },
  limiter: new RateLimiter(),
});

/** Over a storage of its own in memory, unless a context is given. */
export function testApi(
  replication: ReplicationContext = testContext(),
  overrides: Partial<ApiContext> = {},
): TestApi {
  const runner = new OrchestrationRunner(replication);
  const context: ApiContext = {
    replication,
    orchestrations: runner,
    signer: {
      replicaWriteUrl: async (name) => `https://account.example/replicas/${name}?sig=w`,
      recoveryPointReadUrl: async (name, snapshotId) =>
        `https://account.example/replicas/${name}?snapshot=${snapshotId}&sig=r`,
      deltaCreateUrl: async (name) => `https://account.example/deltas/${name}?sig=c`,
      deltaWriteUrl: async (name) => `https://account.example/deltas/${name}?sig=w`,
    },
    settings: {
      vault: { subscription: 's1', resourceGroup: 'rg', vault: 'v1' },
      ...{ publicUrl, uploadUrlMinutes: 60, requestsPerSecond: 1000 },
    },
    ...accessWithKey(replication.storage.access, adminKey),
    ...overrides,
  };
  const call: TestApi['call'] = (method, path, body, headers = { authorization: `Bearer ${adminKey}` }) => {
    const url = new URL(path, publicUrl);
    const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
    return handleRequest(context, {
      method,
      path: url.pathname,
      query: url.searchParams,
      headers: new Map(Object.entries(headers)),
      address: headers['x-forwarded-for'] ?? 'test',
      text: async (limitBytes) => {
        if (Buffer.byteLength(text) > limitBytes) throw new LifeboatError('RequestTooLarge', 'too large');
        return text;
      },
      bytes: async () => Buffer.from(text),
    });
  };
  const callBytes: TestApi['callBytes'] = (method, path, bytes) => {
    const url = new URL(path, publicUrl);
    return handleRequest(context, {
      ...{ method, path: url.pathname, query: url.searchParams },
      headers: new Map([['authorization', `Bearer ${adminKey}`]]),
      address: 'test',
      text: async () => Buffer.from(bytes).toString('latin1'),
      bytes: async () => bytes,
    });
  };
  return { context, runner, call, callBytes };
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
