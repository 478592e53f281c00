// Copies inside the service: the contract on the storage in memory and, over HTTP, on Azurite with the missing operation
// put in front of it; and what happens where the service does not offer them.
import { AnonymousCredential, BlobServiceClient } from '@azure/storage-blob';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LifeboatError } from '../../lib/errors.ts';
import { drainItem } from '../../lib/replication/drain.ts';
import { connect } from '../../lib/storage/azure/connection.ts';
import { azureStorage, type AzureStorage } from '../../lib/storage/azure/index.ts';
import { azurePageBlobs } from '../../lib/storage/azure/pageBlobs.ts';
import { pageCopier } from '../../lib/storage/azure/pageCopies.ts';
import { memoryStorage } from '../../lib/storage/memory/index.ts';
import type { ByteRange, Fence, PageBlobPort, PageCopySource, Storage } from '../../lib/storage/ports.ts';
import { startAzurite, type RunningAzurite } from '../support/azurite.ts';
import { copyingService, type CopyingService } from '../support/copyingService.ts';
import { ProtectedVm } from '../support/protectedVm.ts';
import { startStorageProxy, type StorageProxy } from '../support/storageProxy.ts';
import { codeOf, expectBytes, freshName, patternBytes } from './outcomes.ts';
import { answer, reset, startScriptedService, type Answer, type ScriptedService } from './scriptedService.ts';

const kib = 1024;
const mib = 1024 * kib;
const range = (offsetBytes: number, lengthBytes: number): ByteRange => ({ offsetBytes, lengthBytes });

let azurite: RunningAzurite;
let service: CopyingService;
let proxy: StorageProxy;
let copying: AzureStorage;
let plain: AzureStorage;

beforeAll(async () => {
  azurite = await startAzurite();
  service = copyingService(azurite);
  proxy = await startStorageProxy(azurite, service.intercept);
  copying = azureStorage({ connectionString: proxy.connectionString });
  plain = azureStorage({ connectionString: azurite.connectionString });
  await plain.ensureContainers();
});
afterAll(async () => {
  await proxy.stop();
  await azurite.stop();
});

/** A log of 6 MiB and a leased, empty replica of 8 MiB. */
async function prepare({ deltas, replicas }: Storage): Promise<{
  name: string;
  fence: Fence;
  log: Uint8Array;
  source: Omit<PageCopySource, 'offsetBytes'>;
}> {
  const [name, logName] = [freshName('disk'), `${freshName('log')} ä+`];
  const log = patternBytes(6 * mib, 1);
  await deltas.put(logName, log);
  await replicas.create(name, 8 * mib);
  const leaseId = crypto.randomUUID();
  await replicas.holdLease(name, leaseId);
  return {
    name,
    fence: { leaseId, sequenceNumber: await replicas.raiseSequenceNumber(name, leaseId) },
    log,
    source: { container: 'deltas', name: logName, etag: (await deltas.find(logName))!.etag },
  };
}

describe.each<[string, () => Storage]>([
  ['memory', memoryStorage],
  ['Azurite behind a strict Put Page From URL', () => copying],
])('copies (%s)', (_adapter, make) => {
  test('bring exactly the bytes of the source, at any offset of it', async () => {
    const storage = make();
    const { name, fence, log, source } = await prepare(storage);
    const copy = storage.replicas.copyPages!;
    expect(await copy(name, range(512, 4 * mib), { ...source, offsetBytes: 1000 }, fence)).toBe(true);
    expect(await copy(name, range(6 * mib, 512), { ...source, offsetBytes: 6 * mib - 512 }, fence)).toBe(
      true,
    );
    const expected = new Uint8Array(8 * mib);
    expected.set(log.subarray(1000, 1000 + 4 * mib), 512);
    expected.set(log.subarray(6 * mib - 512), 6 * mib);
    expectBytes(await storage.replicas.read(name, range(0, 8 * mib)), expected);
  });

  test('are refused under an older fence or another lease, and change nothing', async () => {
    const storage = make();
    const { name, fence, source } = await prepare(storage);
    await storage.replicas.raiseSequenceNumber(name, fence.leaseId);
    const attempt = (with_: Fence) =>
      codeOf(storage.replicas.copyPages!(name, range(0, mib), { ...source, offsetBytes: 0 }, with_));
    expect(await attempt(fence)).toBe('FenceLost');
    const stranger = { leaseId: crypto.randomUUID(), sequenceNumber: fence.sequenceNumber + 1 };
    expect(await attempt(stranger)).toBe('ReplicaLeaseLost');
    expect(await storage.replicas.listRanges(name, range(0, 8 * mib))).toEqual([]);
  });

  test('never take bytes of another version of the source', async () => {
    const storage = make();
    const { name, fence, source } = await prepare(storage);
    const attempt = (from: Omit<PageCopySource, 'offsetBytes'>) =>
      codeOf(storage.replicas.copyPages!(name, range(0, mib), { ...from, offsetBytes: 0 }, fence));
    await storage.deltas.put(source.name, patternBytes(6 * mib, 2));
    expect(await attempt(source)).toBe('LogChanged');
    // Services differ in which of the two they report.
    const gone = await attempt({ ...source, name: freshName('gone') });
    expect(['LogChanged', 'BlobNotFound']).toContain(gone);
    expect(await storage.replicas.listRanges(name, range(0, 8 * mib))).toEqual([]);
  });

  test('bring the bytes of a snapshot into another container, whatever happened to its blob since', async () => {
    const { replicas, recovered } = make();
    const [source, target] = [freshName('replica'), `${freshName('item')}/job/disk.vhd`];
    await replicas.create(source, 2 * mib);
    await replicas.writePages(source, 4096, patternBytes(64 * kib, 3));
    const snapshotId = await replicas.snapshot(source, {});
    await replicas.writePages(source, 0, patternBytes(mib, 4));
    await recovered.create(target, 2 * mib);
    const leaseId = crypto.randomUUID();
    await recovered.holdLease(target, leaseId);
    const fence = { leaseId, sequenceNumber: await recovered.raiseSequenceNumber(target, leaseId) };
    const from = { container: 'replicas', name: source, snapshotId };
    expect(await recovered.copyPages!(target, range(0, mib), { ...from, offsetBytes: 0 }, fence)).toBe(true);
    const expected = new Uint8Array(2 * mib);
    expected.set(patternBytes(64 * kib, 3), 4096);
    expectBytes(await recovered.read(target, range(0, 2 * mib)), expected);
    const stale = { ...fence, sequenceNumber: fence.sequenceNumber - 1 };
    const late = recovered.copyPages!(target, range(mib, mib), { ...from, offsetBytes: 0 }, stale);
    expect(await codeOf(late)).toBe('FenceLost');
  });

  test.each([
    ['unaligned', 100, 512],
    ['over 4 MiB', 0, 4 * mib + 512],
    ['past the end', 8 * mib - 512, kib],
    ['empty', 0, 0],
  ])('with a range that is %s are a RangeError', async (_why, offset, length) => {
    const storage = make();
    const { name, fence, source } = await prepare(storage);
    const outcome = storage.replicas.copyPages!(
      name,
      range(offset, length),
      { ...source, offsetBytes: 0 },
      fence,
    );
    expect(await codeOf(outcome)).toBe('RangeError');
  });

  test('merge whole cycles: every recovery point has the right bytes', async () => {
    const vm = new ProtectedVm({
      storage: make(),
      item: `vm-${freshName('copy').replaceAll(/[^a-z0-9]/g, '-')}`,
      diskSizes: [4 * mib, mib],
      longestWriteSectors: 2048,
    });
    await vm.protect();
    for (let cycle = 1; cycle <= 2; cycle++) {
      await vm.upload(...vm.cutCycle(4));
      await drainItem(vm.context, vm.item);
    }
    expect(await vm.verifiedCycles()).toEqual([1, 2]);
  });
});

describe('on the wire', () => {
  test('the cycles above were copied, not carried', () => {
    const logs = service.copies.filter(({ source }) => source.pathname.includes('/deltas/vm-'));
    expect(logs.length).toBeGreaterThan(0);
    expect(new Set(logs.map(({ status }) => status))).toEqual(new Set([201]));
  });

  test('the source is named by a URL that reads this one blob for an hour, the range and the version', async () => {
    const { name, fence, source } = await prepare(copying);
    service.copies.length = 0;
    await copying.replicas.copyPages!(name, range(mib, 4096), { ...source, offsetBytes: 8192 }, fence);
    const [copy] = service.copies;
    expect(copy).toMatchObject({
      status: 201,
      range: `bytes=${mib}-${mib + 4095}`,
      sourceRange: 'bytes=8192-12287',
    });
    expect(decodeURIComponent(copy!.source.pathname)).toBe(`/devstoreaccount1/deltas/${source.name}`);
    expect(Object.fromEntries(copy!.source.searchParams)).toMatchObject({ sp: 'r', sr: 'b' });
    const lifeMs = new Date(copy!.source.searchParams.get('se')!).getTime() - Date.now();
    expect(lifeMs).toBeGreaterThan(45 * 60_000);
    expect(lifeMs).toBeLessThanOrEqual(3_600_000);
  });
});

describe('answers to a copy', () => {
  const properties = answer(200, undefined, {
    'content-length': '4096',
    'x-ms-blob-type': 'PageBlob',
    etag: '"1"',
  });
  const fence: Fence = { leaseId: 'id', sequenceNumber: 7 };
  const log = { container: 'deltas', name: 'log', etag: '"5"', offsetBytes: 0 };
  const clock = { now: new Date() };
  let scripted: ScriptedService;
  let replicas: PageBlobPort;
  let recovered: PageBlobPort;

  beforeEach(async () => {
    scripted = await startScriptedService();
    const retry = { maxTries: 3, delayMs: 1, operationTimeoutMs: 5000 };
    const connection = connect({ connectionString: scripted.connectionString, retry });
    const copier = pageCopier(connection, () => clock.now);
    replicas = azurePageBlobs(connection, 'replicas', copier);
    recovered = azurePageBlobs(connection, 'recovered', copier);
    scripted.script(properties);
    await Promise.all([replicas.find('item/os'), recovered.find('item/os')]);
  });
  afterEach(() => scripted.stop());

  /** What one copy into a replica comes to: true, false, or the code of an error. */
  async function copyWith(...answers: Answer[]): Promise<boolean | string> {
    scripted.script(...answers);
    const copying = replicas.copyPages!('item/os', range(0, 512), log, fence);
    let isCopied: boolean | undefined;
    const code = await codeOf(copying.then((value) => (isCopied = value)));
    return isCopied ?? code;
  }

  test('done: once, with the fence, the range of the page blob, and that of the log', async () => {
    expect(await copyWith(answer(201, undefined, { etag: '"2"' }))).toBe(true);
    expect(scripted.received).toHaveLength(1);
    expect(scripted.received[0]!.headers).toMatchObject({
      ...{ 'x-ms-page-write': 'update', 'content-length': '0' },
      ...{ 'x-ms-range': 'bytes=0-511', 'x-ms-source-range': 'bytes=0-511' },
      ...{ 'x-ms-lease-id': 'id', 'x-ms-if-sequence-number-eq': '7', 'x-ms-source-if-match': '"5"' },
    });
  });

  test('busy: the service is asked again', async () => {
    const busy = answer(503, 'ServerBusy');
    expect(await copyWith(busy, busy, answer(201, undefined, { etag: '"2"' }))).toBe(true);
    expect(scripted.received).toHaveLength(3);
  });

  test.each([
    [412, 'SequenceNumberConditionNotMet', 'FenceLost'],
    [412, 'LeaseIdMismatchWithBlobOperation', 'ReplicaLeaseLost'],
    [412, 'LeaseLost', 'ReplicaLeaseLost'],
    [412, 'LeaseNotPresentWithBlobOperation', 'ReplicaLeaseLost'],
    [412, 'CannotVerifyCopySource', 'LogChanged'],
    [412, 'SourceConditionNotMet', 'LogChanged'],
    [404, 'CannotVerifyCopySource', 'BlobNotFound'],
    [404, 'BlobNotFound', 'BlobNotFound'],
    [416, 'InvalidPageRange', 'RangeError'],
  ])('%i %s is about target or source: %s, and copies go on', async (status, code, expected) => {
    expect(await copyWith(answer(status, code))).toBe(expected);
    expect(scripted.received).toHaveLength(1);
    expect(replicas.copyPages).toBeDefined();
  });

  test.each([
    [501, 'NotImplemented'],
    [405, 'UnsupportedHttpVerb'],
    [400, 'UnsupportedHeader'],
    [401, 'CannotVerifyCopySource'],
    [403, 'CannotVerifyCopySource'],
    [403, 'AuthorizationFailure'],
    [409, 'CannotVerifyCopySource'],
  ])('%i %s: the bytes are carried, and no copy is asked for until a while later', async (status, code) => {
    expect(await copyWith(answer(status, code))).toBe(false);
    expect(scripted.received).toHaveLength(1);
    expect(replicas.copyPages).toBeUndefined();
    clock.now = new Date(clock.now.getTime() + 10 * 60_000);
    expect(await copyWith(answer(201, undefined, { etag: '"2"' }))).toBe(true);
  });

  test.each<[string, Answer]>([
    ['500 CannotVerifyCopySource', answer(500, 'CannotVerifyCopySource')],
    ['500 OperationTimedOut', answer(500, 'OperationTimedOut')],
    ['503 CannotVerifyCopySource', answer(503, 'CannotVerifyCopySource')],
    ['a connection that breaks', reset],
  ])('%s may still be carried out: not sent again, and the next attempt carries', async (_what, given) => {
    expect(await copyWith(given)).toBe('StorageUnavailable');
    expect(scripted.received).toHaveLength(1);
    expect(replicas.copyPages).toBeUndefined();
  });

  test('a log that cannot be copied says nothing of snapshots', async () => {
    expect(await copyWith(answer(403, 'CannotVerifyCopySource'))).toBe(false);
    expect(replicas.copyPages).toBeUndefined();
    scripted.script(answer(201, undefined, { etag: '"2"' }));
    const from = { container: 'replicas', name: 'item/os', snapshotId: '2026-01-01T00:00:00.0000001Z' };
    const copying = recovered.copyPages!('item/os', range(0, 512), { ...from, offsetBytes: 0 }, fence);
    expect(await copying).toBe(true);
  });
});

describe('a service that does not copy', () => {
  test('is asked once, changes nothing, and the bytes are carried', async () => {
    const storage = azureStorage({ connectionString: azurite.connectionString });
    const { name, fence, source } = await prepare(storage);
    const copy = storage.replicas.copyPages!;
    expect(await copy(name, range(0, mib), { ...source, offsetBytes: 0 }, fence)).toBe(false);
    expect(await storage.replicas.listRanges(name, range(0, 8 * mib))).toEqual([]);
    expect(storage.replicas.copyPages).toBeUndefined();
  });

  test('gets its cycles merged all the same', async () => {
    const storage = azureStorage({ connectionString: azurite.connectionString });
    const vm = new ProtectedVm({
      storage,
      item: 'vm-carried',
      diskSizes: [8 * mib],
      longestWriteSectors: 8192,
    });
    await vm.protect();
    await vm.upload(...vm.cutCycle(6));
    await drainItem(vm.context, vm.item);
    expect(storage.replicas.copyPages).toBeUndefined();
    expect(await vm.verifiedCycles()).toEqual([1]);
  });
});

describe('the URL of the source', () => {
  const source = { container: 'deltas', name: 'item/log', etag: '"1"', offsetBytes: 0 };

  test('is used again, and renewed before it ends', async () => {
    const clock = { now: new Date() };
    const copier = pageCopier(connect({ connectionString: azurite.connectionString }), () => clock.now);
    const first = await copier.sourceUrl(source);
    clock.now = new Date(clock.now.getTime() + 40 * 60_000);
    expect(await copier.sourceUrl(source)).toBe(first);
    clock.now = new Date(clock.now.getTime() + 6 * 60_000);
    const renewed = new URL(await copier.sourceUrl(source));
    expect(new Date(renewed.searchParams.get('se')!).getTime() - clock.now.getTime()).toBeGreaterThan(
      59 * 60_000,
    );
  });

  test('is signed with a delegation key where the app has an identity', async () => {
    const credential = {
      getToken: async () => ({ token: 'unused', expiresOnTimestamp: Number.MAX_SAFE_INTEGER }),
    };
    const connection = connect({ accountName: 'account', credential });
    const blobs = new BlobServiceClient(connection.blobs.url, credential);
    const key = {
      ...{
        signedObjectId: 'object',
        signedTenantId: 'tenant',
        signedService: 'b',
        signedVersion: '2025-11-05',
      },
      ...{ signedStartsOn: new Date(), signedExpiresOn: new Date(Date.now() + 86_400_000) },
      value: Buffer.from('key').toString('base64'),
    };
    blobs.getUserDelegationKey = (async () => key) as unknown as typeof blobs.getUserDelegationKey;
    const url = new URL(await pageCopier({ ...connection, blobs }).sourceUrl(source));
    expect(url.origin + url.pathname).toBe('https://account.blob.core.windows.net/deltas/item/log');
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      sp: 'r',
      sr: 'b',
      spr: 'https',
      skoid: 'object',
    });
  });

  test('that nobody may sign costs the copy alone: nothing is sent, the bytes are carried', async () => {
    const scripted = await startScriptedService();
    const connection = connect({ connectionString: scripted.connectionString });
    const refusal = new LifeboatError('StorageDenied', 'get a user delegation key: refused');
    const copier = { now: () => new Date(), sourceUrl: () => Promise.reject(refusal) };
    const replicas = azurePageBlobs(connection, 'replicas', copier);
    scripted.script(
      answer(200, undefined, { 'content-length': '4096', 'x-ms-blob-type': 'PageBlob', etag: '"1"' }),
    );
    const copy = replicas.copyPages!;
    expect(await copy('item/os', range(0, 512), source, { leaseId: 'id', sequenceNumber: 1 })).toBe(false);
    expect(scripted.received.map(({ method }) => method)).toEqual(['HEAD']);
    expect(replicas.copyPages).toBeUndefined();
    await scripted.stop();
  });

  test('of a snapshot is a URL that reads this snapshot alone', async () => {
    const copier = pageCopier(connect({ connectionString: azurite.connectionString }));
    const from = { container: 'replicas', name: 'item/disk.vhd', offsetBytes: 0 };
    const url = (snapshotId: string) => copier.sourceUrl({ ...from, snapshotId });
    const [first, second] = ['2026-01-01T00:00:00.0000001Z', '2026-01-01T00:00:00.0000002Z'];
    const parameters = new URL(await url(first)).searchParams;
    expect(Object.fromEntries(parameters)).toMatchObject({ snapshot: first, sp: 'r', sr: 'bs' });
    expect(new URL(await url(second)).searchParams.get('snapshot')).toBe(second);
    expect(await url(first)).not.toBe(await url(second));
  });

  test('carries the SAS of a connection that has nothing else', async () => {
    const connectionString =
      'BlobEndpoint=http://127.0.0.1:1/account;TableEndpoint=http://127.0.0.1:1/account;SharedAccessSignature=sp=rw&sig=x';
    const connection = connect({ connectionString });
    expect(connection.blobs.credential).toBeInstanceOf(AnonymousCredential);
    expect(await pageCopier(connection).sourceUrl(source)).toBe(
      'http://127.0.0.1:1/account/deltas/item/log?sp=rw&sig=x',
    );
  });
});
