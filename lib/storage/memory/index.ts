// The whole storage in memory, for tests and simulations: deterministic, clock-free, gone with the process.
import type { Storage } from '../ports.ts';
import { memoryBlobAccount, memoryBlobs, readBlobVersion } from './blobs.ts';
import { memoryLocks } from './locks.ts';
import { memoryPageBlobs, type ReadCopySource } from './pageBlobs.ts';
import { memoryTable } from './tables.ts';

/** An empty storage of its own; two share nothing. */
export function memoryStorage(): Storage {
  const account = memoryBlobAccount(['deltas', 'quarantine', 'resync', 'recovered', 'evidence']);
  const readSource: ReadCopySource = (source, lengthBytes) => {
    if (!('snapshotId' in source)) return readBlobVersion(account, source, lengthBytes);
    const container = source.container === 'replicas' ? replicas : recovered;
    return container.readSnapshot(source, lengthBytes);
  };
  const replicas = memoryPageBlobs(readSource);
  const recovered = memoryPageBlobs(readSource);
  return {
    replicas,
    recovered,
    recoveredFiles: memoryBlobs(account, 'recovered'),
    evidence: memoryBlobs(account, 'evidence'),
    deltas: memoryBlobs(account, 'deltas'),
    quarantine: memoryBlobs(account, 'quarantine'),
    resync: memoryBlobs(account, 'resync'),
    locks: memoryLocks(),
    items: memoryTable(),
    jobs: memoryTable(),
    inventory: memoryTable(),
    vault: memoryTable(),
    access: memoryTable(),
  };
}
