import { describe, expect, it } from 'vitest';
import { replicaName } from '../../lib/replication/names.ts';
import { fixedVhdBlobSizeBytes, parseVhdFooter } from '../../lib/vhd/fixed.ts';
import type { ApiResponse } from '../../lib/api/http.ts';
import { adminKey, configureSite, enableBody, publicUrl, testApi, vault, vmReport } from '../support/api.ts';

const body = (response: ApiResponse) =>
  response.body as Record<string, unknown> & { properties: Record<string, unknown> };
const values = (response: ApiResponse) => (response.body as { value: Record<string, unknown>[] }).value;
const errorOf = (response: ApiResponse) =>
  (response.body as { error: { code: string; message: string; target?: string } }).error;
const pathOf = (url: string | undefined) => (url ?? '').slice(publicUrl.length);

describe('the ARM envelope', () => {
  it('answers PUT with 202, and the operation with its status and result', async () => {
    const api = testApi();
    const put = await api.call('PUT', `${vault}/replicationPolicies/gold?api-version=2023-08-01`, {
      properties: { providerSpecificInput: { instanceType: 'HyperVReplicaAzure', replicationInterval: 30 } },
    });
    expect(put.status).toBe(202);
    expect(put.body).toBeUndefined();
    expect(put.headers?.['azure-asyncoperation']).toMatch(
      /^https:\/\/lifeboat\.example\/.*api-version=2023-08-01$/,
    );
    const status = await api.call('GET', pathOf(put.headers?.['azure-asyncoperation']));
    expect(status.body).toMatchObject({ status: 'Succeeded', error: null });
    const result = await api.call('GET', pathOf(put.headers?.['location']));
    expect(result.status).toBe(200);
    expect(result.body).toMatchObject({
      id: `${vault}/replicationPolicies/gold`,
      type: 'Microsoft.RecoveryServices/vaults/replicationPolicies',
      properties: {
        providerSpecificDetails: { replicationInterval: 30, recoveryPointHistoryDurationInHours: 2 },
      },
    });
  });

  it('compares paths without regard to case', async () => {
    const api = testApi();
    await api.call('PUT', `${vault.toUpperCase()}/REPLICATIONFABRICS/Site1`, {});
    const got = await api.call('GET', `${vault.toLowerCase()}/replicationfabrics/SITE1`);
    expect(got.body).toMatchObject({ name: 'Site1', properties: { friendlyName: 'Site1' } });
  });

  it.each([
    ['no key', {}],
    ['a wrong key', { authorization: 'Bearer wrong' }],
    ['another scheme', { authorization: `Basic ${adminKey}` }],
  ])('answers 401 to %s', async (_what, headers) => {
    const response = await testApi().call('GET', `${vault}/replicationFabrics`, undefined, headers);
    expect(response.status).toBe(401);
    expect(response.headers?.['www-authenticate']).toBe('Bearer');
    expect(errorOf(response).code).toBe('Unauthorized');
  });

  it.each([
    ['GET', `${vault}/replicationNothing`, 404, 'ResourceNotFound'],
    ['GET', `${vault}/replicationFabrics/none`, 404, 'ResourceNotFound'],
    ['GET', `${vault.replace('v1', 'v2')}/replicationFabrics`, 404, 'ResourceNotFound'],
    ['DELETE', `${vault}/replicationFabrics`, 405, 'MethodNotAllowed'],
    ['GET', `${vault}/replicationFabrics?api-version=2010-01-01`, 400, 'InvalidRequest'],
    ['GET', `${vault}/replicationFabrics/%E0%A4%A`, 400, 'InvalidRequest'],
    ['PUT', `${vault}/replicationFabrics/a%2Fb`, 400, 'InvalidName'],
    ['GET', `${vault}/replicationOperationStatus/none`, 404, 'ResourceNotFound'],
    ['GET', '/', 404, 'ResourceNotFound'],
  ])('answers %s %s with %d %s', async (method, path, status, code) => {
    const response = await testApi().call(method, path);
    expect(response.status).toBe(status);
    expect(errorOf(response)).toMatchObject({ code, message: expect.stringMatching(/\w+/) as string });
  });

  it('names the wrong field of a body', async () => {
    const api = testApi();
    const wrong = await api.call('PUT', `${vault}/replicationPolicies/p`, {
      properties: { providerSpecificInput: { replicationInterval: 'often' } },
    });
    expect(errorOf(wrong)).toMatchObject({
      code: 'InvalidRequest',
      target: 'properties.providerSpecificInput.replicationInterval',
    });
    expect(errorOf(await api.call('PUT', `${vault}/replicationPolicies/p`, '{not json')).message).toContain(
      'not JSON',
    );
  });
});

describe('protecting a machine', () => {
  it('goes from the inventory to Protected', async () => {
    const api = testApi();
    const container = await configureSite(api);
    expect(values(await api.call('GET', `${container}/replicationProtectableItems`))).toMatchObject([
      { name: 'vm-1', properties: { friendlyName: 'web01', protectionStatus: 'Unprotected' } },
    ]);
    const item = `${container}/replicationProtectedItems/VM-1`;
    const put = await api.call('PUT', item, enableBody(container));
    expect(put.status).toBe(202);
    expect(body(await api.call('GET', pathOf(put.headers?.['azure-asyncoperation'])))['status']).toBe(
      'Succeeded',
    );
    const jobId = put.headers?.['x-ms-request-id']?.split('/').at(-1) ?? '';
    const [assigned] = values(await api.call('GET', '/agent/v1/assignments'));
    expect(assigned).toMatchObject({
      item: 'vm-1',
      phase: 'initialReplication',
      nextCycle: 1,
      nextCycleName: '000000000001',
      disks: [
        {
          disk: 'os',
          initialReplication: {
            blobName: 'vm-1/os.vhd',
            blobSizeBytes: 1024 * 1024 + 512,
            uploadUrl: expect.stringContaining('sig=w') as string,
          },
          delta: {
            blobName: 'vm-1/000000000001/os.hrl',
            isUploaded: false,
            uploadUrl: expect.stringContaining('sig=c') as string,
          },
        },
        { disk: 'data' },
      ],
    });
    expect(body(await api.call('GET', `${vault}/replicationJobs/${jobId}`)).properties).toMatchObject({
      state: 'InProgress',
    });
    for (const disk of ['os', 'data', 'os']) {
      const done = await api.call('POST', `/agent/v1/items/vm-1/disks/${disk}/initialReplication/complete`);
      expect(done.status).toBe(200);
    }
    expect(body(await api.call('GET', item)).properties).toMatchObject({
      protectionState: 'Protected',
      replicationHealth: 'Normal',
      friendlyName: 'web01',
      providerSpecificDetails: { recoveryAzureVmName: 'web01', vmProtectionState: 'Protected' },
    });
    const job = body(await api.call('GET', `${vault}/replicationJobs/${jobId}`));
    expect(job.properties).toMatchObject({ state: 'Succeeded', scenarioName: 'EnableDr' });
    expect((job.properties['tasks'] as { state: string }[]).map(({ state }) => state)).toEqual(
      Array(6).fill('Succeeded'),
    );
    expect(values(await api.call('GET', `${vault}/replicationProtectedItems`))).toHaveLength(1);
    const [after] = values(await api.call('GET', '/agent/v1/assignments?site=SITE1')) as {
      disks: { initialReplication: object }[];
    }[];
    expect(after).toMatchObject({ phase: 'deltas' });
    expect(after?.disks[0]?.initialReplication).not.toHaveProperty('uploadUrl');
  });

  it('makes every replica a valid fixed VHD from the start', async () => {
    const api = testApi();
    const container = await configureSite(api);
    await api.call('PUT', `${container}/replicationProtectedItems/vm-1`, enableBody(container));
    const { replicas } = api.context.replication.storage;
    for (const { id, sizeBytes } of vmReport.machines[0]!.disks) {
      const blobBytes = fixedVhdBlobSizeBytes(sizeBytes);
      expect((await replicas.find(replicaName('vm-1', id)))?.sizeBytes).toBe(blobBytes);
      const footer = await replicas.read(replicaName('vm-1', id), {
        offsetBytes: blobBytes - 512,
        lengthBytes: 512,
      });
      expect(parseVhdFooter(footer).sizeBytes).toBe(blobBytes - 512);
    }
  });

  it('returns the running job for the same request again', async () => {
    const api = testApi();
    const container = await configureSite(api);
    const item = `${container}/replicationProtectedItems/vm-1`;
    const first = await api.call('PUT', item, enableBody(container));
    const second = await api.call('PUT', item, enableBody(container));
    expect(second.headers?.['location']).toBe(first.headers?.['location']);
  });

  it('lists every failed prerequisite on the job, and lets the machine be protected once they hold', async () => {
    const api = testApi();
    const container = await configureSite(api);
    const machine = { ...vmReport.machines[0]!, id: 'vm-2', generation: '1' };
    const disks = [
      { id: 'os', sizeBytes: 3 * 2 ** 40 },
      { id: 'odd', sizeBytes: 1000 },
      { id: 'huge', sizeBytes: 9 * 2 ** 40 },
    ];
    await api.call('PUT', '/agent/v1/sites/site1/inventory', {
      ...vmReport,
      machines: [{ ...machine, disks }],
    });
    const item = `${container}/replicationProtectedItems/vm-2`;
    const put = await api.call('PUT', item, enableBody(container, 'vm-2'));
    const status = body(await api.call('GET', pathOf(put.headers?.['azure-asyncoperation'])));
    expect(status['status']).toBe('Failed');
    const message = (status['error'] as { message: string }).message;
    for (const part of ['os', 'odd', 'huge']) expect(message).toContain(`Disk ${part} `);
    expect((await api.call('GET', pathOf(put.headers?.['location']))).status).toBe(400);
    expect(body(await api.call('GET', item)).properties['protectionState']).toBe('EnablingFailed');
    await api.call('PUT', '/agent/v1/sites/site1/inventory', {
      ...vmReport,
      machines: [{ ...machine, disks: [{ id: 'os', sizeBytes: 512 }] }],
    });
    await api.call('PUT', item, enableBody(container, 'vm-2'));
    expect(body(await api.call('GET', item)).properties['protectionState']).toBe(
      'InitialReplicationInProgress',
    );
  });

  it.each([
    ['an unknown machine', { protectableItemId: 'vm-9' }, 'ResourceNotFound', 'vm-9'],
    ['an unknown policy', { policyId: 'silver' }, 'ResourceNotFound', 'silver'],
    ['an unknown disk', { providerSpecificDetails: { disksToInclude: ['d9'] } }, 'InvalidRequest', 'd9'],
  ])('refuses %s by name', async (_what, change, code, name) => {
    const api = testApi();
    const container = await configureSite(api);
    const { properties } = enableBody(container);
    const put = await api.call('PUT', `${container}/replicationProtectedItems/vm-1`, {
      properties: { ...properties, ...change },
    });
    expect(errorOf(put)).toMatchObject({ code, message: expect.stringContaining(name) as string });
  });

  it('refuses names that blobs cannot carry, machines protected already, and policies that are not mapped', async () => {
    const api = testApi();
    const container = await configureSite(api);
    const put = (name: string, request: unknown) =>
      api.call('PUT', `${container}/replicationProtectedItems/${name}`, request);
    expect(errorOf(await put('vm_1', enableBody(container))).code).toBe('InvalidName');
    await put('vm-1', enableBody(container));
    expect(errorOf(await put('other', enableBody(container))).code).toBe('OperationNotSupportedInState');
    await api.call('PUT', `${vault}/replicationPolicies/silver`, {});
    const { properties } = enableBody(container);
    expect(
      errorOf(await put('vm-3', { properties: { ...properties, policyId: 'silver' } })).message,
    ).toContain('not mapped');
  });

  it('refuses a copy whose blob was made anew with another size, and takes it when it is right', async () => {
    const api = testApi();
    const container = await configureSite(api);
    await api.call('PUT', `${container}/replicationProtectedItems/vm-1`, enableBody(container));
    const { replicas } = api.context.replication.storage;
    await replicas.delete('vm-1/os.vhd');
    await replicas.create('vm-1/os.vhd', 4096);
    const complete = () => api.call('POST', '/agent/v1/items/vm-1/disks/os/initialReplication/complete');
    expect(errorOf(await complete())).toMatchObject({
      code: 'ReplicaSizeMismatch',
      message: expect.stringContaining('4096') as string,
    });
    await replicas.delete('vm-1/os.vhd');
    await replicas.create('vm-1/os.vhd', 1024 * 1024 + 512);
    expect((await complete()).status).toBe(200);
  });

  it('answers clearly to completions that make no sense', async () => {
    const api = testApi();
    const container = await configureSite(api);
    await api.call('PUT', `${container}/replicationProtectedItems/vm-1`, enableBody(container));
    const complete = (path: string, request?: unknown) =>
      api.call('POST', `/agent/v1/items/${path}/initialReplication/complete`, request);
    expect(errorOf(await complete('vm-1/disks/none')).message).toContain('os, data');
    expect(errorOf(await complete('vm-9/disks/os')).code).toBe('ResourceNotFound');
    expect(errorOf(await complete('vm-1/disks/os', { pointInTime: 'yesterday' })).target).toBe('pointInTime');
    const both = { pointInTime: '2026-01-01T00:00:00Z', consistentFromCycle: 2 };
    expect(errorOf(await complete('vm-1/disks/os', both)).target).toBe('consistentFromCycle');
  });
});

describe('the inventory', () => {
  it('forgets machines that their host reports no more, and keeps those of other hosts', async () => {
    const api = testApi();
    const container = await configureSite(api);
    const report = (host: string, ids: string[]) =>
      api.call('PUT', '/agent/v1/sites/site1/inventory', {
        host: { name: host },
        machines: ids.map((id) => ({ ...vmReport.machines[0]!, id })),
      });
    await report('hv2', ['vm-2', 'vm-3']);
    await report('hv1.contoso.local', ['vm-4']);
    const listed = values(await api.call('GET', `${container}/replicationProtectableItems`)) as {
      name: string;
    }[];
    expect(listed.map(({ name }) => name)).toEqual(['vm-2', 'vm-3', 'vm-4']);
  });

  it.each([
    ['an unknown site', '/agent/v1/sites/nowhere/inventory', vmReport, 'ResourceNotFound'],
    [
      'a disk without size',
      '/agent/v1/sites/site1/inventory',
      { host: { name: 'h' }, machines: [{ id: 'a', name: 'a', disks: [{ id: 'd' }] }] },
      'InvalidRequest',
    ],
    [
      'a machine twice',
      '/agent/v1/sites/site1/inventory',
      { ...vmReport, machines: [vmReport.machines[0], vmReport.machines[0]] },
      'InvalidRequest',
    ],
  ])('refuses %s', async (_what, path, report, code) => {
    const api = testApi();
    await configureSite(api);
    expect(errorOf(await api.call('PUT', path, report)).code).toBe(code);
  });
});
