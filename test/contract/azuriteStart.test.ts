// The emulator that other tests build on: it starts, keeps data when asked to, and two do not meet.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { TableClient } from '@azure/data-tables';
import { expect, test } from 'vitest';
import { startAzurite } from '../support/azurite.ts';

test('data in a directory survives stop and start', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'lifeboat-azurite-'));
  try {
    const first = await startAzurite({ dir });
    const container = BlobServiceClient.fromConnectionString(first.connectionString).getContainerClient(
      'kept',
    );
    await container.create();
    await container.getBlockBlobClient('b').upload('kept', 4);
    await TableClient.fromConnectionString(first.connectionString, 'kept', {
      allowInsecureConnection: true,
    }).createTable();
    await first.stop();
    await first.stop();

    const second = await startAzurite({ dir });
    const blob = BlobServiceClient.fromConnectionString(second.connectionString)
      .getContainerClient('kept')
      .getBlobClient('b');
    expect((await blob.downloadToBuffer()).toString()).toBe('kept');
    const table = TableClient.fromConnectionString(second.connectionString, 'kept', {
      allowInsecureConnection: true,
    });
    await table.createEntity({ partitionKey: 'p', rowKey: 'r' });
    await second.stop();
  } finally {
    await rm(dir, { recursive: true });
  }
});

test('two emulators in memory share nothing', async () => {
  const [one, two] = await Promise.all([startAzurite(), startAzurite()]);
  await BlobServiceClient.fromConnectionString(one.connectionString).createContainer('only-in-one');
  const inTwo = BlobServiceClient.fromConnectionString(two.connectionString).getContainerClient(
    'only-in-one',
  );
  expect(one.blobEndpoint).not.toBe(two.blobEndpoint);
  expect(await inTwo.exists()).toBe(false);
  await Promise.all([one.stop(), two.stop()]);
});
