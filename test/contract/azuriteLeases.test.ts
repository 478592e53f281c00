// What leases do over time: holders that die, locks that are broken, an emulator that restarts. The 15 s of the lease
// are the service's minimum, so these tests wait; they run at the same time.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { azureStorage, type AzureStorage } from '../../lib/storage/azure/index.ts';
import { connect } from '../../lib/storage/azure/connection.ts';
import { azureLocks } from '../../lib/storage/azure/locks.ts';
import { startAzurite, type RunningAzurite } from '../support/azurite.ts';
import { codeOf, freshName, patternBytes } from './outcomes.ts';

let azurite: RunningAzurite;
let storage: AzureStorage;

beforeAll(async () => {
  azurite = await startAzurite();
  storage = azureStorage({ connectionString: azurite.connectionString });
  await storage.ensureContainers();
});
afterAll(() => azurite.stop());

const rawLock = (name: string) =>
  BlobServiceClient.fromConnectionString(azurite.connectionString)
    .getContainerClient('locks')
    .getBlockBlobClient(name);
const whenLost = (lost: AbortSignal) =>
  new Promise<unknown>((resolve) => {
    if (lost.aborted) resolve(lost.reason);
    lost.addEventListener('abort', () => resolve(lost.reason), { once: true });
  });

describe.concurrent('locks', () => {
  test('a lock stays held beyond the life of one lease', async () => {
    const name = freshName('long');
    const lock = await storage.locks.tryAcquire(name);
    await sleep(17_000);
    expect(lock?.lost.aborted).toBe(false);
    expect(await storage.locks.tryAcquire(name)).toBeUndefined();
    await lock?.release();
  });

  test('the lock of a holder that died frees itself', async () => {
    const name = freshName('dead');
    // A holder that takes the lock as we do and never renews.
    await rawLock(name).upload('', 0);
    await rawLock(name).getBlobLeaseClient(crypto.randomUUID()).acquireLease(15);
    expect(await storage.locks.tryAcquire(name)).toBeUndefined();
    let lock = undefined;
    while (lock === undefined) {
      await sleep(500);
      lock = await storage.locks.tryAcquire(name);
    }
    await lock.release();
  });

  test('a lock that somebody broke is lost at the next renewal', async () => {
    const name = freshName('broken');
    const connection = connect({ connectionString: azurite.connectionString });
    const locks = azureLocks(connection, 'locks', { leaseSeconds: 15, renewEveryMs: 100, marginMs: 1000 });
    const lock = (await locks.tryAcquire(name))!;
    await rawLock(name).getBlobLeaseClient(crypto.randomUUID()).breakLease(0);
    expect(await whenLost(lock.lost)).toMatchObject({ code: 'FenceLost' });
    await lock.release();
    expect(await storage.locks.tryAcquire(name)).toBeDefined();
  });

  test('a released lock is never reported lost', async () => {
    const connection = connect({ connectionString: azurite.connectionString });
    const locks = azureLocks(connection, 'locks', { leaseSeconds: 15, renewEveryMs: 50, marginMs: 10_000 });
    const lock = (await locks.tryAcquire(freshName('released')))!;
    await sleep(200);
    await lock.release();
    await sleep(6000);
    expect(lock.lost.aborted).toBe(false);
  });
});

describe.concurrent('a lock without the service', () => {
  test('is lost before its lease can end', async () => {
    const own = await startAzurite();
    const connection = connect({ connectionString: own.connectionString });
    await connection.blobs.getContainerClient('locks').create();
    const locks = azureLocks(connection, 'locks', { leaseSeconds: 15, renewEveryMs: 100, marginMs: 14_000 });
    const lock = (await locks.tryAcquire('alone'))!;
    expect(lock.lost.aborted).toBe(false);
    await own.stop();
    expect(await whenLost(lock.lost)).toMatchObject({ code: 'FenceLost' });
    await lock.release();
  });
});

describe.concurrent('an emulator that restarts', () => {
  test('the lease is taken again with the same id, and the fence still holds', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'lifeboat-leases-'));
    const first = await startAzurite({ dir });
    const before = azureStorage({ connectionString: first.connectionString });
    await before.ensureContainers();
    const leaseId = crypto.randomUUID();
    await before.replicas.create('item/os.vhd', 4096);
    await before.replicas.holdLease('item/os.vhd', leaseId);
    const sequenceNumber = await before.replicas.raiseSequenceNumber('item/os.vhd', leaseId);
    await first.stop();

    const second = await startAzurite({ dir });
    const after = azureStorage({ connectionString: second.connectionString }).replicas;
    const old = { leaseId, sequenceNumber };
    const page = patternBytes(512, 1);
    await after.holdLease('item/os.vhd', leaseId);
    await after.writePages('item/os.vhd', 0, page, old);
    expect(await after.raiseSequenceNumber('item/os.vhd', leaseId)).toBe(sequenceNumber + 1);
    expect(await codeOf(after.writePages('item/os.vhd', 0, patternBytes(512, 2), old))).toBe('FenceLost');
    expect(await after.read('item/os.vhd', { offsetBytes: 0, lengthBytes: 512 })).toEqual(page);
    await second.stop();
    await rm(dir, { recursive: true });
  });
});

describe.concurrent('two processes', () => {
  test('a blob that another one made anew with another size is seen as it is', async () => {
    const name = freshName('disk');
    const other = azureStorage({ connectionString: azurite.connectionString });
    await storage.replicas.create(name, 4096);
    await storage.replicas.writePages(name, 0, patternBytes(512, 1));
    await other.replicas.delete(name);
    await other.replicas.create(name, 8192);
    await storage.replicas.writePages(name, 7680, patternBytes(512, 2));
    expect((await other.replicas.read(name, { offsetBytes: 7680, lengthBytes: 512 }))[0]).toBe(
      patternBytes(512, 2)[0],
    );
    await other.replicas.delete(name);
    await other.replicas.create(name, 1024);
    await storage.replicas.holdLease(name, crypto.randomUUID());
    expect(await codeOf(storage.replicas.writePages(name, 512, new Uint8Array(1024)))).toBe('RangeError');
  });

  test('a block blob in the place of a replica is named as such', async () => {
    const container = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(
      'replicas',
    );
    await container.getBlockBlobClient('item/wrong.vhd').upload('x', 1);
    expect(await codeOf(storage.replicas.find('item/wrong.vhd'))).toBe('InvalidRequest');
  });
});
