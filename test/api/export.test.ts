// The export of jobs, and what else answers with something other than a resource.
import { describe, expect, it } from 'vitest';
import type { ApiResponse } from '../../lib/api/http.ts';
import { publicUrl, testApi, vault } from '../support/api.ts';
import type { TestApi } from '../support/api.ts';
import { values } from '../support/apiWorld.ts';
import { ManualClock, hourMs } from '../support/manualClock.ts';
import { testContext } from '../support/protectedVm.ts';

interface Details {
  blobUri: string;
  sasToken: string;
}

async function exportJobs(api: TestApi, query: object): Promise<Details> {
  const answer = await api.call('POST', `${vault}/replicationJobs/export`, query);
  expect(answer.status).toBe(202);
  const result = await api.call('GET', (answer.headers?.['location'] ?? '').slice(publicUrl.length));
  return (result.body as { properties: { customDetails: Details } }).properties.customDetails;
}

const fetchExport = (api: TestApi, { blobUri, sasToken }: Details): Promise<ApiResponse> =>
  api.call('GET', (blobUri + sasToken).slice(publicUrl.length), undefined, {});

function timedApi() {
  const clock = new ManualClock('2026-01-15T10:00:00Z');
  return { api: testApi({ ...testContext(), clock }), clock };
}

describe('an export of jobs', () => {
  it('is fetched with its token and nothing else, for an hour', async () => {
    const { api, clock } = timedApi();
    await api.call('PUT', `${vault}/replicationPolicies/gold`, {});
    const details = await exportJobs(api, {});
    const file = await fetchExport(api, details);
    expect(file.headers?.['content-type']).toContain('application/json');
    expect((JSON.parse(file.body as string) as unknown[]).length).toBeGreaterThanOrEqual(1);
    for (const sasToken of ['', '?token=', `${details.sasToken.slice(0, -2)}xx`])
      expect((await fetchExport(api, { ...details, sasToken })).status).toBe(401);
    clock.advance(hourMs);
    expect((await fetchExport(api, details)).status).toBe(401);
  });

  it('has what was asked for, as XML and as CSV in which no cell is a formula', async () => {
    const { api, clock } = timedApi();
    await api.call('PUT', `${vault}/replicationFabrics/site1`, {});
    clock.advance(hourMs);
    await api.call('PUT', `${vault}/replicationPolicies/gold`, {});
    const { jobs } = api.context.replication.storage;
    for await (const row of jobs.list('jobs', { limit: 1 })) {
      const value = { ...(row.value as object), targetName: '=cmd|"/c calc"!A1&<x>' };
      await jobs.transact('jobs', [{ kind: 'replace', key: row.key, value, etag: row.etag }]);
    }
    const query = {
      jobName: 'AddProtectionProfile',
      startTime: '2026-01-15T10:30:00Z',
      jobStatus: 'Succeeded, Failed',
    };
    const csv = (await fetchExport(api, await exportJobs(api, { ...query, jobOutputType: 'Excel' })))
      .body as string;
    expect(csv.split('\r\n')).toHaveLength(2);
    expect(csv).toContain(`"'=cmd|""/c calc""!A1&<x>"`);
    const xml = (await fetchExport(api, await exportJobs(api, { ...query, jobOutputType: 'Xml' })))
      .body as string;
    expect(xml).toContain('=cmd|&quot;/c calc&quot;!A1&amp;&lt;x&gt;');
    expect(xml.match(/<Job>/g)).toHaveLength(1);
    const none = await fetchExport(api, await exportJobs(api, { ...query, endTime: '2026-01-15T10:40:00Z' }));
    expect(none.body).toBe('[]');
  });
});

describe('a VMM server', () => {
  it('has a container for each cloud that its hosts report', async () => {
    const { api } = timedApi();
    const fabric = `${vault}/replicationFabrics/vmm1`;
    await api.call('PUT', fabric, { properties: { customDetails: { instanceType: 'VMM' } } });
    expect(values(await api.call('GET', `${fabric}/replicationProtectionContainers`))).toEqual([]);
    const clouds = ['Gold', 'Silver'].map((name, index) => ({
      id: `0000000${index}-0000-4000-8000-000000000000`,
      name,
    }));
    expect((await api.call('PUT', '/agent/v1/sites/vmm1/topology', { clouds })).status).toBe(200);
    const containers = values(await api.call('GET', `${fabric}/replicationProtectionContainers`));
    expect(containers.map(({ properties }) => (properties as { friendlyName: string }).friendlyName)).toEqual(
      ['Gold', 'Silver'],
    );
    const machine = (id: string, cloud: string) => ({
      id,
      name: id,
      cloud,
      disks: [{ id: 'os', sizeBytes: 512 }],
    });
    const machines = [
      machine('vm-1', 'gold'),
      machine('vm-2', 'Silver'),
      { ...machine('vm-3', 'x'), cloud: undefined },
    ];
    const reported = await api.call('PUT', '/agent/v1/sites/vmm1/inventory', {
      ...{ host: { name: 'vmm' }, machines },
    });
    expect(reported.body).toMatchObject({ container: null, containers: containers.map(({ name }) => name) });
    const inCloud = async (index: number) =>
      values(await api.call('GET', `${String(containers[index]?.['id'])}/replicationProtectableItems`)).map(
        ({ name }) => name,
      );
    expect([await inCloud(0), await inCloud(1)]).toEqual([['vm-1'], ['vm-2']]);
    await api.call('PUT', `${vault}/replicationPolicies/gold`, {});
    const container = String(containers[0]?.['id']);
    const mapping = { properties: { policyId: `${vault}/replicationPolicies/gold` } };
    const path = `${container}/replicationProtectionContainerMappings/map`;
    expect((await api.call('PUT', path, mapping)).status).toBe(202);
    expect((await api.call('GET', path)).body).toMatchObject({
      properties: { sourceProtectionContainerFriendlyName: 'Gold', sourceFabricFriendlyName: 'vmm1' },
    });
  });
});
