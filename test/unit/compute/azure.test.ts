// The provider `azure` and its client against a strict fake of Resource Manager.
import { describe, expect, it } from 'vitest';
import { armClient, type ArmClient, type ArmSettings } from '../../../lib/azure/arm.ts';
import { openExportedDisk } from '../../../lib/azure/exportedDisk.ts';
import { azureProvider } from '../../../lib/compute/azure/provider.ts';
import { machineName } from '../../../lib/compute/machineNames.ts';
import type { ComputeProgress, ComputeProvider, MachineOrder } from '../../../lib/compute/port.ts';
import { memoryStorage } from '../../../lib/storage/memory/index.ts';
import { codeOf } from '../../contract/outcomes.ts';
import { FakeArm, fakeEndpoint, fakeToken } from '../../support/fakeArm/fakeArm.ts';
import { machineOrder, networkId, resourceGroupId, testNetworkId } from '../../support/machineOrder.ts';

const [, , subscriptionId = ''] = resourceGroupId.split('/');

interface Bed {
  fake: FakeArm;
  arm: ArmClient;
  provider: ComputeProvider;
  order: MachineOrder;
  slept: number[];
}

async function bed(change: Partial<MachineOrder> = {}, settings: Partial<ArmSettings> = {}): Promise<Bed> {
  const fake = new FakeArm({
    resourceGroups: ['dr'],
    subnets: [`${networkId}/subnets/front`, `${testNetworkId}/subnets/front`],
  });
  const slept: number[] = [];
  const arm = armClient({
    endpoint: fakeEndpoint,
    tokens: { getToken: async () => fakeToken },
    fetch: fake.fetch,
    sleep: async (milliseconds) => void slept.push(milliseconds),
    ...settings,
  });
  const storage = memoryStorage();
  const order = machineOrder(change);
  for (const { blobName, blobSizeBytes } of order.disks)
    await storage.recovered.create(blobName, blobSizeBytes);
  const provider = azureProvider(
    {
      arm,
      storage,
      openExportedDisk,
      download: async (url) => {
        expect(url).toBe('https://console.test/serial?sig=secret');
        return new TextEncoder().encode(fake.consoleText);
      },
    },
    {
      subscriptionId,
      location: 'westeurope',
      storageAccountId: `${resourceGroupId}/providers/Microsoft.Storage/storageAccounts/lifeboat`,
      recoveredUrl: 'https://lifeboat.blob.core.windows.net/recovered',
    },
  );
  return { fake, arm, provider, order, slept };
}

/** Calls again until it is done, as an orchestration does. */
async function finish(step: () => Promise<ComputeProgress>, between = () => {}): Promise<void> {
  for (let calls = 0; calls < 50; calls++) {
    if ((await step()).isDone) return;
    between();
  }
  throw new Error('never done');
}

const types = ({ fake }: Bed): string[] =>
  [...fake.resources.values()].map(({ type, state }) => `${type.split('/')[1] ?? ''} ${state}`).sort();
const whole = [
  'disks Succeeded',
  'disks Succeeded',
  'networkInterfaces Succeeded',
  'networkSecurityGroups Succeeded',
  'virtualMachines Succeeded',
];

async function make({ provider, order, fake }: Bed): Promise<void> {
  await finish(
    () => provider.prepareDisks(order),
    () => fake.settle(),
  );
  await finish(
    () => provider.createMachine(order),
    () => fake.settle(),
  );
}

describe('a machine in Azure', () => {
  it('is made in the order that the service asks for, runs, is seen booting, and goes away whole', async () => {
    const it_ = await bed({
      nics: [
        { nic: 'a', networkId, subnet: 'front', staticIp: '10.0.1.9', isPrimary: true },
        { nic: 'b', networkId, subnet: 'front', staticIp: null, isPrimary: false },
      ],
    });
    const { fake, provider, order } = it_;
    await make(it_);
    expect(types(it_)).toEqual([...whole.slice(0, 3), ...whole.slice(2)]);
    expect(await provider.powerState(order)).toBe('running');
    fake.consoleText = '\u001b[0mstarting\r\nweb01 login: ';
    expect(await provider.observeBoot(order, null)).toMatchObject({
      verdict: 'booted',
      evidenceLine: 'web01 login:',
    });
    expect((await provider.observeBoot(order, 'marker')).verdict).toBe('pending');
    const before = fake.requests.length;
    await make(it_);
    expect(fake.requests.slice(before).filter((request) => !request.startsWith('GET'))).toEqual([]);
    await finish(() => provider.stopMachine(order));
    expect(await provider.powerState(order)).toBe('stopped');
    expect((await provider.observeBoot(order, 'marker')).verdict).toBe('ended');
    await finish(() => provider.startMachine(order));
    expect(await provider.powerState(order)).toBe('running');
    const leftovers: string[] = [];
    for await (const { item, jobId, what } of provider.listLeftovers())
      leftovers.push(`${item} ${jobId} ${what}`);
    expect(leftovers).toHaveLength(6);
    expect(leftovers.every((text) => text.startsWith(`${order.item} ${order.jobId} Microsoft.`))).toBe(true);
    await finish(
      () => provider.deleteAll(order),
      () => fake.settle(),
    );
    expect(types(it_)).toEqual([]);
    expect(await provider.deleteAll(order)).toEqual({ isDone: true });
    expect(await provider.powerState(order)).toBe('absent');
  });

  it('survives lost answers, throttling and conflicts at every request, without making anything twice', async () => {
    const clean = await bed();
    await make(clean);
    const count = clean.fake.requests.length;
    expect(count).toBeGreaterThan(15);
    for (let n = 0; n < count; n++) {
      for (const kind of ['lost', 'busy', 'throttled'] as const) {
        const it_ = await bed({}, { maxTries: 2 });
        const { fetch: inner } = it_.fake;
        let requests = 0;
        const fetchWithTrouble: typeof fetch = async (url, init) => {
          if (requests++ !== n) return inner(url, init);
          if (kind === 'busy')
            return Response.json({ error: { code: 'RetryableError', message: 'later' } }, { status: 409 });
          if (kind === 'throttled')
            return Response.json(
              { error: { code: 'TooManyRequests' } },
              { status: 429, headers: { 'retry-after': '17' } },
            );
          await inner(url, init);
          throw new TypeError('fetch failed');
        };
        const arm = armClient({
          ...{ endpoint: fakeEndpoint, tokens: { getToken: async () => fakeToken }, fetch: fetchWithTrouble },
          sleep: async (milliseconds) => void it_.slept.push(milliseconds),
        });
        Object.assign(it_.arm, arm);
        await make(it_);
        expect(types(it_), `${kind} at request ${n}`).toEqual(whole);
        if (kind === 'throttled') expect(it_.slept).toContain(17_000);
      }
    }
  });

  it('goes on after a death at any request: the next process finds what is there', async () => {
    const clean = await bed();
    await make(clean);
    for (let n = 1; n <= clean.fake.requests.length; n++) {
      const it_ = await bed();
      const { fetch: inner } = it_.fake;
      let requests = 0;
      const dying = armClient({
        ...{
          endpoint: fakeEndpoint,
          tokens: { getToken: async () => fakeToken },
          sleep: async () => {},
          maxTries: 1,
        },
        fetch: async (url, init) => {
          if (++requests > n) throw new TypeError('dead');
          return inner(url, init);
        },
      });
      const alive = { ...it_.arm };
      Object.assign(it_.arm, dying);
      await make(it_).catch(() => undefined);
      Object.assign(it_.arm, alive);
      if (n % 2 === 0) it_.fake.settle();
      await make(it_);
      expect(types(it_), `after a death at request ${n}`).toEqual(whole);
      await finish(
        () => it_.provider.deleteAll(it_.order),
        () => it_.fake.settle(),
      );
      expect(types(it_)).toEqual([]);
    }
  });

  it('says what the target said when an operation fails, and tries that resource again when asked again', async () => {
    const it_ = await bed();
    const { fake, provider, order } = it_;
    fake.troubles.push({
      method: 'PUT',
      path: 'virtualMachines',
      what: { operationFails: 'AllocationFailed' },
    });
    await finish(() => provider.prepareDisks(order));
    await expect(finish(() => provider.createMachine(order))).rejects.toThrow(/AllocationFailed/);
    await make(it_);
    expect(types(it_)).toEqual(whole);
  });

  it.each<[string, number, string, string]>([
    ['a quota', 409, 'OperationNotAllowed', 'ComputeFailed'],
    ['a missing role', 403, 'AuthorizationFailed', 'ComputeDenied'],
    ['a policy', 403, 'RequestDisallowedByPolicy', 'ComputeDenied'],
    ['an outage', 503, 'ServiceUnavailable', 'ComputeUnavailable'],
  ])('reports %s with the code that decides what happens next', async (_what, status, code, expected) => {
    const it_ = await bed();
    for (let tries = 0; tries < 5; tries++)
      it_.fake.troubles.push({ method: 'PUT', path: 'disks/web01-os', what: { status, code } });
    expect(await codeOf(finish(() => it_.provider.prepareDisks(it_.order)))).toBe(expected);
  });

  it('never touches a machine or disk that is not its own', async () => {
    const it_ = await bed();
    await make(it_);
    const other = { ...it_.order, jobId: '7e000000-0000-8000-a000-0000feedbeef' };
    await finish(() => it_.provider.prepareDisks(other));
    expect(await codeOf(finish(() => it_.provider.createMachine(other)))).toBe('TargetNameTaken');
    await finish(
      () => it_.provider.deleteAll(other),
      () => it_.fake.settle(),
    );
    expect(types(it_)).toEqual(whole);
    // A test has names of its own, so it may stand beside the real machine.
    const test = machineOrder({
      ...other,
      purpose: 'test',
      nics: [{ ...it_.order.nics[0]!, networkId: testNetworkId }],
    });
    expect(machineName(test)).toBe('web01-test');
    await finish(() => it_.provider.prepareDisks(test));
    await finish(() => it_.provider.createMachine(test));
    expect(types(it_)).toHaveLength(10);
  });

  it('needs a resource group, a network, and a token', async () => {
    const { provider, order } = await bed({
      nics: [{ nic: 'a', networkId, subnet: null, staticIp: null, isPrimary: true }],
    });
    expect(await codeOf(provider.prepareDisks(order))).toBe('ComputeFailed');
    const placement = { ...machineOrder().placement, resourceGroupId: null };
    const homeless = await bed({ placement });
    expect(await codeOf(homeless.provider.prepareDisks(homeless.order))).toBe('ComputeFailed');
    const stranger = await bed({}, { tokens: { getToken: async () => 'bad' } });
    expect(await codeOf(stranger.provider.prepareDisks(stranger.order))).toBe('ComputeDenied');
  });
});

describe('the client', () => {
  it('gives its token to nobody but the endpoint', async () => {
    const seen: string[] = [];
    const arm = armClient({
      ...{ endpoint: fakeEndpoint, tokens: { getToken: async () => fakeToken }, sleep: async () => {} },
      fetch: async (url) => {
        seen.push(url as string);
        return Response.json({ value: [], nextLink: 'https://evil.test/next?sig=1' });
      },
    });
    const listing = async () => {
      for await (const { name } of arm.list('/subscriptions/s/resources', '2021-04-01')) seen.push(name);
    };
    await expect(listing()).rejects.toThrow('another host: https://evil.test/next');
    expect(seen).toHaveLength(1);
  });

  it('tells that an operation still runs when it takes longer than a caller may wait', async () => {
    const { arm, order } = await bed({}, { waitMs: 1500 });
    const id = `${order.placement.resourceGroupId!}/providers/Microsoft.Network/networkSecurityGroups/g`;
    const body = { location: 'x', tags: {}, properties: { securityRules: [] } };
    expect(await arm.put(id, '2024-05-01', body)).toEqual({ state: 'running', retryAfterSeconds: 1 });
    expect((await arm.find(id, '2024-05-01'))?.properties?.provisioningState).toBe('Creating');
  });

  it.each([
    ['no api-version', '/subscriptions/s/resources', ''],
    [
      'a version that the type does not know',
      `${resourceGroupId}/providers/Microsoft.Compute/disks/d`,
      '2015-01-01',
    ],
  ])('meets a fake that refuses %s', async (_what, path, version) => {
    const { arm } = await bed();
    expect(await codeOf(version === '' ? arm.find(path, '') : arm.find(path, version))).toBe('ComputeFailed');
  });
});
