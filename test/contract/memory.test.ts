// The storage in memory against the contracts.
import { memoryStorage } from '../../lib/storage/memory/index.ts';
import { blobSuite } from './blobSuite.ts';
import { lockSuite } from './lockSuite.ts';
import { pageBlobFuzz } from './pageBlobFuzz.ts';
import { pageBlobGrowthSuite } from './pageBlobGrowthSuite.ts';
import { pageBlobSuite } from './pageBlobSuite.ts';
import { pageNameSuite } from './pageNameSuite.ts';
import { tableSuite } from './tableSuite.ts';

const storage = memoryStorage();

pageBlobSuite('memory', () => storage.replicas);
pageBlobGrowthSuite('memory', () => storage.replicas);
pageNameSuite('memory', () => storage.recovered);
pageBlobSuite('memory, recovered disks', () => storage.recovered);
pageBlobGrowthSuite('memory, recovered disks', () => storage.recovered);
pageBlobFuzz('memory', () => storage.replicas);
blobSuite('memory', () => ({ source: storage.deltas, target: storage.quarantine, targetName: 'quarantine' }));
blobSuite('memory, resync', () => ({
  source: storage.resync,
  target: storage.quarantine,
  targetName: 'quarantine',
}));
lockSuite('memory', () => storage.locks);
tableSuite('memory', () => storage.items);
