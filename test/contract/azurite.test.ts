// The Azure adapters against the contracts, on Azurite.
import { afterAll, beforeAll } from 'vitest';
import { azureStorage, type AzureStorage } from '../../lib/storage/azure/index.ts';
import { startAzurite, type RunningAzurite } from '../support/azurite.ts';
import { blobSuite } from './blobSuite.ts';
import { lockSuite } from './lockSuite.ts';
import { pageBlobFuzz } from './pageBlobFuzz.ts';
import { pageBlobGrowthSuite } from './pageBlobGrowthSuite.ts';
import { pageBlobSuite } from './pageBlobSuite.ts';
import { pageNameSuite } from './pageNameSuite.ts';
import { tableSuite } from './tableSuite.ts';

let azurite: RunningAzurite;
let storage: AzureStorage;

beforeAll(async () => {
  azurite = await startAzurite();
  storage = azureStorage({ connectionString: azurite.connectionString });
  await Promise.all([storage.ensureContainers(), storage.ensureContainers()]);
  await storage.ensureContainers();
});
afterAll(() => azurite.stop());

pageBlobSuite('azurite', () => storage.replicas);
pageBlobGrowthSuite('azurite', () => storage.replicas);
pageNameSuite('azurite', () => storage.recovered);
pageBlobSuite('azurite, recovered disks', () => storage.recovered);
pageBlobGrowthSuite('azurite, recovered disks', () => storage.recovered);
pageBlobFuzz('azurite', () => storage.replicas);
blobSuite('azurite', () => ({
  source: storage.deltas,
  target: storage.quarantine,
  targetName: 'quarantine',
}));
lockSuite('azurite', () => storage.locks);
tableSuite('azurite', () => storage.items);
