// Recovered disks on Azurite: carried through the process, and copied inside the service.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { noFaults } from '../../lib/faults/points.ts';
import { recoveredDiskName } from '../../lib/recovery/names.ts';
import { deleteRecoveryDisk, makeRecoveryDisk } from '../../lib/recovery/recoveryDisk.ts';
import { azureStorage, type AzureStorage } from '../../lib/storage/azure/index.ts';
import { startAzurite, type RunningAzurite } from '../support/azurite.ts';
import { copyingService, type CopyingService } from '../support/copyingService.ts';
import { plainDiskDigest, snapshotDisk } from '../support/snapshotDisk.ts';
import { startStorageProxy, type StorageProxy } from '../support/storageProxy.ts';
import { patternBytes } from './outcomes.ts';

const mib = 1024 * 1024;

let azurite: RunningAzurite;
let service: CopyingService;
let proxy: StorageProxy;
let plain: AzureStorage;
let copying: AzureStorage;

beforeAll(async () => {
  azurite = await startAzurite();
  service = copyingService(azurite);
  proxy = await startStorageProxy(azurite, service.intercept);
  plain = azureStorage({ connectionString: azurite.connectionString });
  copying = azureStorage({ connectionString: proxy.connectionString });
  await plain.ensureContainers();
});
afterAll(async () => {
  await proxy.stop();
  await azurite.stop();
});

test.each<[string, () => AzureStorage, number]>([
  ['carried', () => plain, 0],
  ['copied inside the service', () => copying, 3],
])('a disk is made from a snapshot, %s, and removed', async (_how, make, copies) => {
  const storage = make();
  service.copies.length = 0;
  const { order, blobSizeBytes } = await snapshotDisk(storage, 40 * mib + 512, [
    { offsetBytes: 512, bytes: patternBytes(3 * mib, 1) },
    { offsetBytes: 39 * mib, bytes: patternBytes(mib, 2) },
  ]);
  const context = { storage, fault: noFaults, clock: { now: () => new Date() } };
  const made = await makeRecoveryDisk(context, order);
  const name = recoveredDiskName(order);
  const { replicas, recovered } = plain;
  expect(made.digest).toBe(await plainDiskDigest(recovered, name, blobSizeBytes));
  expect(made.digest).toBe(
    await plainDiskDigest(replicas, `${order.item}/os.vhd`, blobSizeBytes, order.snapshotId),
  );
  const span = { offsetBytes: 0, lengthBytes: blobSizeBytes };
  const ranges = await recovered.listRanges(name, span);
  expect(ranges.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)).toBe(4 * mib + 512);
  expect(service.copies.filter(({ status }) => status === 201)).toHaveLength(copies);
  // Writing the copy must not reach the recovery point: some services' own copies share pages with their source.
  await recovered.writePages(name, 512, patternBytes(512, 7));
  const page = { offsetBytes: 512, lengthBytes: 512 };
  expect(await replicas.read(`${order.item}/os.vhd`, page, order.snapshotId)).toEqual(
    patternBytes(3 * mib, 1).subarray(0, 512),
  );
  await deleteRecoveryDisk(context, order);
  expect(await recovered.find(name)).toBeUndefined();
});
