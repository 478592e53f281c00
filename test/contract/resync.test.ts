// A resynchronization and a scrub over the Azure adapters, on Azurite: digests of the page blob and of a snapshot, manifests
// as block blobs, the merge of the log, and the same digests as over the memory ports.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { publishDigests } from '../../agent/resync/publishDigests.ts';
import { writeResyncLog } from '../../agent/resync/resyncLog.ts';
import { noFaults } from '../../lib/faults/points.ts';
import { advanceDigestChain, isDigested, startDigestChain } from '../../lib/resync/digestChain.ts';
import { acceptManifest, deleteManifests, findManifest } from '../../lib/resync/manifests.ts';
import { scrubScopes } from '../../lib/resync/names.ts';
import { digestSegment } from '../../lib/resync/replicaDigests.ts';
import { judgeScrub } from '../../lib/resync/scrub.ts';
import { azureStorage, type AzureStorage } from '../../lib/storage/azure/index.ts';
import { ComparedDisk, day, inFolder, replica, scope, type DiskWrite } from '../resync/comparedDisk.ts';
import { codeOfRejected } from '../resync/thrown.ts';
import { startAzurite, type RunningAzurite } from '../support/azurite.ts';

const gib = 1024 ** 3;
const diskSizeBytes = gib + 700 * 1024 + 512;
const same: DiskWrite[] = [
  { sector: 0, sectors: 2000, seed: 1 },
  { sector: 9000, sectors: 8192, seed: 2 },
  { sector: gib / 512 - 3, sectors: 9, seed: 3 },
];
const onlySource: DiskWrite[] = [
  { sector: 1990, sectors: 20, seed: 4 },
  { sector: 9100, sectors: 600, seed: 0 },
  { sector: diskSizeBytes / 512 - 1, sectors: 1, seed: 5 },
];
const onlyReplica: DiskWrite[] = [
  { sector: 500_000, sectors: 700, seed: 6 },
  { sector: 4, sectors: 4, seed: -1 },
];

let azurite: RunningAzurite;
let storage: AzureStorage;

beforeAll(async () => {
  azurite = await startAzurite();
  storage = azureStorage({ connectionString: azurite.connectionString });
  await storage.ensureContainers();
});
afterAll(() => azurite.stop());

async function differentDisks(target?: AzureStorage): Promise<ComparedDisk> {
  const disk = await ComparedDisk.create(diskSizeBytes, target);
  await disk.writeBoth(...same);
  await disk.writeSource(...onlySource);
  await disk.writeReplica(...onlyReplica);
  return disk;
}

test('resynchronization, then a scrub of the result', async () => {
  const disk = await differentDisks(storage);
  const inMemory = await differentDisks();
  const state = await disk.digest();
  expect(state).toEqual(await inMemory.digest());
  for (const segment of [0, 1]) {
    const manifest = await findManifest(storage.resync, { scope, segment });
    expect(manifest).toEqual(await findManifest(inMemory.storage.resync, { scope, segment }));
  }
  const comparison = await disk.compare();
  expect(comparison.segments.map(({ extents }) => extents)).toEqual(
    (await inMemory.compare()).segments.map(({ extents }) => extents),
  );
  const snapshotBefore = await storage.replicas.snapshot(replica, {});
  const view = disk.view({ knowsHoles: true });
  await inFolder(async (folder) => {
    const path = join(folder, 'resync.hrl');
    const uniqueId = 'aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb';
    await writeResyncLog(path, view, comparison, { uniqueId, createdAt: day });
    await disk.merge(path);
  });
  expect(await disk.differingFineBlocks()).toEqual([]);

  const scrub = async (scrubId: string, snapshotId: string) => {
    const scopes = scrubScopes(scope.item, scope.disk, scrubId);
    await publishDigests(view, {
      scope: scopes.source,
      put: (segment, manifest) =>
        acceptManifest(storage.resync, { scope: scopes.source, diskSizeBytes, segment }, manifest),
    });
    await disk.digest(startDigestChain(scopes.replica, diskSizeBytes, { snapshotId }, day));
    return judgeScrub(storage.resync, scopes, diskSizeBytes, day);
  };
  const snapshotAfter = await storage.replicas.snapshot(replica, {});
  expect(await scrub('after', snapshotAfter)).toMatchObject({ verdict: 'equal', blocksCompared: 4099 });
  const before = await scrub('before', snapshotBefore);
  expect(before.verdict).toBe('different');
  const size = 256 * 1024;
  expect(before.differingRanges).toEqual([
    { offsetBytes: 0, lengthBytes: size },
    { offsetBytes: 3 * size, lengthBytes: size },
    { offsetBytes: 17 * size, lengthBytes: 2 * size },
    { offsetBytes: 976 * size, lengthBytes: 2 * size },
    { offsetBytes: gib + 2 * size, lengthBytes: 188 * 1024 + 512 },
  ]);

  await deleteManifests(storage.resync, { item: scope.item });
  await deleteManifests(storage.resync, { item: scope.item });
  for await (const { name } of storage.resync.list('')) expect(name).toBe('nothing');
});

test('a raised fence ends the chain, a missing snapshot or replica is named', async () => {
  const name = 'vm-2/os.vhd';
  await storage.replicas.create(name, 1024 ** 2);
  const chainScope = { ...scope, item: 'vm-2' };
  const leaseId = '11111111-2222-3333-4444-555555555555';
  await storage.replicas.holdLease(name, leaseId);
  const sequenceNumber = await storage.replicas.raiseSequenceNumber(name, leaseId);
  const state = startDigestChain(chainScope, 1024 ** 2, { sequenceNumber }, day);
  const context = { storage, clock: { now: () => day }, fault: noFaults };
  expect(isDigested(await advanceDigestChain(context, state, { deadline: day }))).toBe(true);
  await storage.replicas.raiseSequenceNumber(name, leaseId);
  expect(await codeOfRejected(advanceDigestChain(context, state, { deadline: day }))).toBe('ReplicaChanged');
  const view = { blobName: name, diskSizeBytes: 1024 ** 2 };
  const snapshotId = '2020-01-01T00:00:00.0000000Z';
  expect(await codeOfRejected(digestSegment(storage.replicas, { ...view, snapshotId }, 0))).toBe(
    'BlobNotFound',
  );
  await storage.replicas.delete(name, leaseId);
  expect(await codeOfRejected(digestSegment(storage.replicas, view, 0))).toBe('ReplicaMissing');
});
