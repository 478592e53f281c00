// A recovery plan on the built app in the local host: two machines in two groups, a webhook whose signature the receiver checks, a
// person who answers, and a host that is killed while the plan waits for that person.
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startHost, temporaryFolder } from '../host/startHost.ts';
import { eventually } from '../support/protectedVm.ts';
import { SourceHost, type Service } from './client.ts';

const root = join(import.meta.dirname, '..', '..');
const diskBytes = 2 ** 20;
const items = ['db-1', 'web-1'];
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

interface Job {
  state: string;
  errors: unknown;
  allowedActions: string[];
  tasks: { state: string; groupTaskCustomDetails: { name: string; childTasks: Child[] } | null }[];
}

interface Child {
  friendlyName: string;
  state: string;
  customDetails: Record<string, unknown> & { jobTask?: { jobId: string } };
}

/** Takes webhooks and keeps what came. */
async function receiver() {
  const received: { body: string; headers: Record<string, unknown> }[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      received.push({ body, headers: request.headers });
      response.end('switched');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/dns`;
  return { received, url, close: () => server.close() };
}

it('runs group by group, waits for a person over the death of its host, and cleans up', async () => {
  const hooks = await receiver();
  const app = {
    ...{ app: root, dataDirectory: join(temporaryFolder(), 'data'), args: ['--strict'] },
    env: { LIFEBOAT_COMPUTE: 'vhd', LIFEBOAT_ACTION_HOSTS: '127.0.0.1' },
  };
  let host = await startHost(app);
  let source = new SourceHost(host.local as unknown as Service);
  const { vaultPath } = source.service;
  const disks = new Map(items.map((item) => [item, randomBytes(diskBytes)]));
  const paths: string[] = [];
  for (const item of items) {
    paths.push(await source.protect(item, { os: diskBytes }));
    await source.replicate(item, { os: disks.get(item)! });
    await source.putLog(`${item}/000000000001/os.hrl`, source.cutLog(item, 'os', []));
  }
  await source.call('PUT', '/agent/v1/sites/site1/inventory', {
    host: { name: 'hv1' },
    machines: items.map((id) => ({ id, name: id, disks: [{ id: 'os', sizeBytes: diskBytes }] })),
  });
  const action = (actionName: string, customDetails: object) => ({
    ...{ actionName, customDetails, failoverTypes: ['TestFailover'] },
    failoverDirections: ['PrimaryToRecovery'],
  });
  const plan = `${vaultPath}/replicationRecoveryPlans/shop`;
  await source.call('PUT', plan, {
    properties: {
      primaryFabricId: `${vaultPath}/replicationFabrics/site1`,
      recoveryFabricId: 'Microsoft Azure',
      groups: [
        { groupType: 'Boot', replicationProtectedItems: [{ id: paths[0] }] },
        {
          groupType: 'Boot',
          replicationProtectedItems: [{ id: paths[1] }],
          startGroupActions: [
            action('Switch the name', {
              ...{ instanceType: 'ScriptActionDetails', path: hooks.url },
              ...{ timeout: 'PT1M', fabricLocation: 'Recovery' },
            }),
            action('Look at the data', { instanceType: 'ManualActionDetails', description: 'Is it there?' }),
          ],
        },
      ],
    },
  });
  await eventually('the plan may be tested', async () => {
    const { body } = await source.call('GET', plan);
    const { allowedOperations } = (body as { properties: { allowedOperations: string[] } }).properties;
    return allowedOperations.includes('TestFailover') ? true : undefined;
  });
  const begun = await source.call('POST', `${plan}/testFailover`, {
    properties: { failoverDirection: 'PrimaryToRecovery', networkType: 'NoNetworkAttachAsInput' },
  });
  expect(begun.status, JSON.stringify(begun.body)).toBe(202);
  const jobId = /operationresults\/([^?]+)/.exec(begun.headers.get('location') ?? '')?.[1] ?? '';
  const job = async (id: string): Promise<Job> =>
    ((await source.call('GET', `${vaultPath}/replicationJobs/${id}`)).body as { properties: Job }).properties;
  const inState = (id: string, wanted: string) =>
    eventually(
      `job ${id} is ${wanted}`,
      async () => {
        const found = await job(id);
        if (found.state === 'Failed') throw new Error(JSON.stringify(found.errors));
        return found.state === wanted ? found : undefined;
      },
      90,
    );
  const waiting = await inState(jobId, 'Suspended');
  expect(waiting.allowedActions).toEqual(['Cancel', 'Resume']);
  const groups = waiting.tasks.flatMap(({ groupTaskCustomDetails: details }) => (details ? [details] : []));
  expect(groups.map(({ name }) => name)).toEqual(['Shutdown', 'Failover', 'Group 1', 'Group 2']);
  expect(groups[3]!.childTasks.map(({ state }) => state)).toEqual(['Succeeded', 'Suspended', 'NotStarted']);
  const { body: key } = await source.call('GET', '/lifeboat/v1/webhookKey');
  const [{ body, headers } = { body: '', headers: {} }] = hooks.received;
  const signature = createHmac('sha256', Buffer.from((key as { key: string }).key, 'base64url'))
    .update(`${String(headers['x-lifeboat-timestamp'])}.${body}`)
    .digest('hex');
  expect(headers['x-lifeboat-signature']).toBe(`sha256=${signature}`);
  expect(JSON.parse(body)).toMatchObject({ recoveryPlanName: 'shop', jobId, actionName: 'Switch the name' });

  await host.kill();
  host = await startHost(app);
  source = new SourceHost(host.local as unknown as Service);
  expect((await job(jobId)).state).toBe('Suspended');
  await source.call('POST', `${vaultPath}/replicationJobs/${jobId}/resume`, {
    properties: { comments: 'all there' },
  });
  const done = await inState(jobId, 'Succeeded');
  const children = done.tasks.flatMap(({ groupTaskCustomDetails: details }) => details?.childTasks ?? []);
  expect(
    children.find(({ friendlyName }) => friendlyName === 'Look at the data')?.customDetails,
  ).toMatchObject({
    ...{ instanceType: 'ManualActionTaskDetails', observation: 'all there' },
  });
  expect(hooks.received).toHaveLength(1);
  hooks.close();
  for (const item of items) {
    const memberJob = children.find(({ friendlyName }) => friendlyName === `Starting: ${item}`)!;
    const name = `${item}/${memberJob.customDetails.jobTask!.jobId}/os.vhd`;
    const blob = source.storage.getContainerClient('recovered').getPageBlobClient(name);
    expect(sha256(await blob.downloadToBuffer(0, diskBytes))).toBe(sha256(disks.get(item)!));
  }
  const cleanup = await source.call('POST', `${plan}/testFailoverCleanup`, {
    properties: { comments: 'ok' },
  });
  await inState(
    /operationresults\/([^?]+)/.exec(cleanup.headers.get('location') ?? '')?.[1] ?? '',
    'Succeeded',
  );
  const left: string[] = [];
  for await (const { name } of source.storage.getContainerClient('recovered').listBlobsFlat())
    left.push(name);
  expect(left).toEqual([]);
  expect(await host.stop()).toBe(0);
});
