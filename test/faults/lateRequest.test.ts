// "A timed-out Put Page may still be applied", over HTTP: a proxy between the adapters and Azurite holds back one
// request that changes pages, the client gives up on it, and the request is delivered when the test says so.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drainItem } from '../../lib/replication/drain.ts';
import { azureStorage, type AzureStorage } from '../../lib/storage/azure/index.ts';
import { startAzurite, type RunningAzurite } from '../support/azurite.ts';
import { copyingService } from '../support/copyingService.ts';
import { ProtectedVm } from '../support/protectedVm.ts';
import {
  startStorageProxy,
  type ProxiedAnswer,
  type ProxiedRequest,
  type StorageProxy,
} from '../support/storageProxy.ts';

type Deliver = () => Promise<ProxiedAnswer>;

const isPut = ({ method, url }: ProxiedRequest): boolean =>
  method === 'PUT' && /[?&]comp=page(&|$)/.test(url);
/** What is held back, and why it is refused. A late copy does not even get to the fence: its log was merged and deleted. */
const requests: [string, string, (request: ProxiedRequest) => boolean][] = [
  [
    'Put Page',
    'SequenceNumberConditionNotMet',
    (request) =>
      isPut(request) &&
      request.headers['x-ms-page-write'] === 'update' &&
      !request.headers['x-ms-copy-source'],
  ],
  [
    'Clear Pages',
    'SequenceNumberConditionNotMet',
    (request) => isPut(request) && request.headers['x-ms-page-write'] === 'clear',
  ],
  [
    'Put Page From URL',
    'SourceConditionNotMet',
    (request) => isPut(request) && request.headers['x-ms-copy-source'] !== undefined,
  ],
];

let azurite: RunningAzurite;
let proxy: StorageProxy;
/** Which request is held back next. */
let wanted: ((request: ProxiedRequest) => boolean) | undefined;
let held: Deliver[] = [];

beforeAll(async () => {
  azurite = await startAzurite();
  const service = copyingService(azurite);
  proxy = await startStorageProxy(azurite, async (request, forward) => {
    if (wanted?.(request) !== true) return service.intercept(request, forward);
    wanted = undefined;
    held.push(
      async () => (await service.intercept(request, forward)) ?? Promise.reject(new Error('no answer')),
    );
    return undefined;
  });
  await storageOfProcess().ensureContainers();
});
afterAll(async () => {
  await proxy.stop();
  await azurite.stop();
});

/** The storage as a process finds it that was just started: nothing is known of copies that did not work. */
function storageOfProcess(): AzureStorage {
  const retry = { maxTries: 2, delayMs: 10, operationTimeoutMs: 1500 };
  return azureStorage({ connectionString: proxy.connectionString, retry });
}

/** A machine whose first drain has one request held back and ends without knowing its outcome. */
async function withHeldRequest(
  name: string,
  isWanted: (request: ProxiedRequest) => boolean,
): Promise<{ vm: ProtectedVm; deliver: Deliver }> {
  const item = `late-${name.toLowerCase().replaceAll(' ', '-')}`;
  const storage = storageOfProcess();
  const vm = await new ProtectedVm({ diskSizes: [2 ** 20, 2 ** 20], storage, item }).protect();
  const filled = (sectors: number, byte: number) => new Uint8Array(sectors * 512).fill(byte);
  // One to copy, one to carry, one to clear.
  const writes = [
    { diskOffset: 0, data: filled(600, 1) },
    { diskOffset: 2 ** 19, data: filled(3, 2) },
    { diskOffset: 2 ** 19 + 8192, data: filled(16, 0) },
  ];
  await vm.upload(...vm.cutCycle([[], writes]));
  held = [];
  wanted = isWanted;
  await expect(drainItem(vm.context, vm.item)).rejects.toMatchObject({ code: 'StorageUnavailable' });
  expect(held).toHaveLength(1);
  return { vm, deliver: held[0]! };
}

describe.each(requests)('a %s that arrives late', (name, refusal, isWanted) => {
  it('after a newer attempt committed, is refused, and no recovery point has its bytes', async () => {
    const { vm, deliver } = await withHeldRequest(`${name} refused`, isWanted);
    await drainItem(vm.context, vm.item);
    await vm.upload(...vm.cutCycle(8));
    await drainItem(vm.context, vm.item);
    expect(await deliver()).toMatchObject({ status: 412, headers: { 'x-ms-error-code': refusal } });
    await vm.upload(...vm.cutCycle(8));
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1, 2, 3]);
  });

  it('before the newer attempt begins, lands, and the newer attempt writes the same bytes', async () => {
    const { vm, deliver } = await withHeldRequest(`${name} lands`, isWanted);
    expect(await deliver()).toMatchObject({ status: 201 });
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1]);
  });
});
