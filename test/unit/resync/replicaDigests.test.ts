// Digesting replicas: the digests are those of the bytes, whatever is allocated; nothing goes on when the replica changed;
// and a disk of a terabyte costs no more memory than a small one.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ByteBudget } from '../../../lib/merge/byteBudget.ts';
import { noFaults } from '../../../lib/faults/points.ts';
import {
  advanceDigestChain,
  digestChainState,
  isDigested,
  startDigestChain,
} from '../../../lib/resync/digestChain.ts';
import { parseCoarse, parseFine } from '../../../lib/resync/digestFormat.ts';
import { rootDigest } from '../../../lib/resync/compareManifests.ts';
import {
  acceptManifest,
  deleteManifests,
  findManifest,
  getManifest,
  readGeneration,
} from '../../../lib/resync/manifests.ts';
import { manifestName, scrubScopes } from '../../../lib/resync/names.ts';
import { progressOf } from '../../../lib/resync/progress.ts';
import { digestSegment, fineDigests } from '../../../lib/resync/replicaDigests.ts';
import { judgeScrub, scrubVerdict } from '../../../lib/resync/scrub.ts';
import { memoryStorage } from '../../../lib/storage/memory/index.ts';
import type { PageBlobPort } from '../../../lib/storage/ports.ts';
import { bytesOf, ComparedDisk, day, never, replica, scope } from '../../resync/comparedDisk.ts';
import { codeOfRejected, codeOfThrown } from '../../resync/thrown.ts';

const gib = 1024 ** 3;
const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** SHA-256 of every block of the bytes, by plain slicing. */
function plainDigests(bytes: Uint8Array, blockBytes: number): Buffer {
  const digests: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += blockBytes)
    digests.push(sha256(bytes.subarray(at, at + blockBytes)));
  return Buffer.concat(digests);
}

describe('digests of a replica', () => {
  const diskSizeBytes = 11 * 1024 * 1024 + 512;
  const view = { blobName: replica, diskSizeBytes };
  const filled = async (): Promise<ComparedDisk> => {
    const disk = await ComparedDisk.create(diskSizeBytes);
    await disk.writeReplica(
      { sector: 3, sectors: 700, seed: 1 },
      { sector: 5000, sectors: 1, seed: 2 },
      { sector: 5400, sectors: 2, seed: 3 },
      { sector: 9000, sectors: 4000, seed: 4 },
      { sector: 10_000, sectors: 1024, seed: 0 },
      { sector: diskSizeBytes / 512 - 1, sectors: 1, seed: 5 },
    );
    return disk;
  };
  const wholeOf = (disk: ComparedDisk): Promise<Uint8Array> =>
    disk.storage.replicas.read(replica, { offsetBytes: 0, lengthBytes: diskSizeBytes });

  it('are the SHA-256 of its blocks, coarse and fine, without the padding after the disk', async () => {
    const disk = await filled();
    const bytes = await wholeOf(disk);
    const { digests } = await digestSegment(disk.storage.replicas, view, 0);
    expect(Buffer.from(digests)).toEqual(plainDigests(bytes, 256 * 1024));
    const coarseBlocks = [0, 1, 5, 9, 17, 18, 44];
    const answer = await fineDigests(disk.storage.replicas, scope, view, coarseBlocks);
    const expected = coarseBlocks.map((block) =>
      plainDigests(bytes.subarray(block * 262_144, (block + 1) * 262_144), 4096),
    );
    const parsed = parseFine(answer, { scope, diskSizeBytes, coarseBlocks });
    expect(Buffer.from(parsed)).toEqual(Buffer.concat(expected));
  });

  it('of a snapshot are those of its moment', async () => {
    const disk = await filled();
    const { replicas } = disk.storage;
    const snapshotId = await replicas.snapshot(replica, {});
    const before = await digestSegment(replicas, view, 0);
    await disk.writeReplica({ sector: 100, sectors: 8000, seed: 9 });
    expect(await digestSegment(replicas, { ...view, snapshotId }, 0)).toEqual(before);
    expect((await digestSegment(replicas, view, 0)).digests).not.toEqual(before.digests);
  });

  it('are refused for a replica that is gone, too small, or under another fence', async () => {
    const disk = await filled();
    const { replicas } = disk.storage;
    const code = (change: object): Promise<string> =>
      codeOfRejected(digestSegment(replicas, { ...view, ...change }, 0));
    expect(await code({ blobName: 'vm-1/other.vhd' })).toBe('ReplicaMissing');
    expect(await code({ diskSizeBytes: 20 * 1024 * 1024 })).toBe('ReplicaSizeMismatch');
    expect(await code({ sequenceNumber: 0 })).toBe('ok');
    expect(await code({ sequenceNumber: 1 })).toBe('ReplicaChanged');
    expect(await codeOfRejected(digestSegment(replicas, view, 1))).toBe('InvalidRequest');
    expect(await codeOfRejected(fineDigests(replicas, scope, { ...view, sequenceNumber: 4 }, [0]))).toBe(
      'ReplicaChanged',
    );
    expect(await codeOfRejected(fineDigests(replicas, scope, view, [45]))).toBe('InvalidRequest');
  });

  it('are not stored when the fence was raised while they were read', async () => {
    const disk = await filled();
    const { storage } = disk;
    await storage.replicas.holdLease(replica, 'lease');
    const state = disk.start();
    const replicas: PageBlobPort = {
      ...storage.replicas,
      read: async (...args) => {
        const bytes = await storage.replicas.read(...args);
        await storage.replicas.raiseSequenceNumber(replica, 'lease');
        return bytes;
      },
    };
    const context = { storage: { ...storage, replicas }, clock: { now: () => day }, fault: noFaults };
    expect(await codeOfRejected(advanceDigestChain(context, state, { deadline: never }))).toBe(
      'ReplicaChanged',
    );
    expect(await findManifest(storage.resync, { scope, segment: 0 })).toBeUndefined();
  });

  it('wait for memory that others hold, and give it back', async () => {
    const disk = await filled();
    const memory = new ByteBudget(64 * 1024 * 1024);
    const release = await memory.take(memory.totalBytes);
    const digesting = digestSegment(disk.storage.replicas, view, 0, { memory });
    release();
    await digesting;
    await codeOfRejected(
      digestSegment(disk.storage.replicas, { ...view, blobName: 'vm-1/x.vhd' }, 0, { memory }),
    );
    expect(memory.takenBytes).toBe(0);
  });
});

describe('a digest chain', () => {
  const diskSizeBytes = 5 * gib + 512;

  it('does as many segments as fit before its deadline, and at least one', async () => {
    const disk = await ComparedDisk.create(diskSizeBytes);
    await disk.writeReplica({ sector: 7, sectors: 9, seed: 1 });
    let nowMs = day.getTime();
    // A segment takes 10 s by this clock.
    const clock = { now: () => new Date((nowMs += 10_000)) };
    const context = { storage: disk.storage, clock, fault: noFaults };
    const deadline = new Date(nowMs + 45_000);
    const first = await advanceDigestChain(context, disk.start(), { deadline });
    expect(first).toMatchObject({ nextSegment: 3, segmentCount: 6, activeMs: 30_000 });
    const second = await advanceDigestChain(context, first, { deadline });
    expect(second.nextSegment).toBe(4);
    const last = await advanceDigestChain(context, second, { deadline: never });
    expect(isDigested(last)).toBe(true);
    expect(last.bytesRead).toBe(9 * 512);
    expect(last.bytesSkipped).toBe(diskSizeBytes - 9 * 512);
    expect(await advanceDigestChain(context, last, { deadline: never })).toEqual(last);
    expect(digestChainState.parse(JSON.parse(JSON.stringify(last)))).toEqual(last);
  });

  it('shows how far it is and how long it takes at that pace', () => {
    const state = startDigestChain(scope, diskSizeBytes, { sequenceNumber: 3 }, day);
    const at = (done: number) => progressOf({ done, total: state.segmentCount, activeMs: 1000 * done });
    expect(at(0)).toEqual({ percent: 0, remainingMs: undefined });
    expect(at(2)).toEqual({ percent: 33, remainingMs: 4000 });
    expect(at(6)).toEqual({ percent: 100, remainingMs: 0 });
  });

  it('stays within 192 MiB over a terabyte with a dense gigabyte in it', async () => {
    const tib = 1024 ** 4;
    const piece = bytesOf({ sector: 0, sectors: 16_384, seed: 3 });
    const denseFrom = 700 * gib;
    let peakBytes = 0;
    let readBytes = 0;
    const storage = memoryStorage();
    /** A replica that nobody could keep in memory: its bytes are made when they are read. */
    const replicas: PageBlobPort = {
      ...storage.replicas,
      find: async () => ({ sizeBytes: tib + 1024 ** 2, sequenceNumber: 0, isLeased: true }),
      listRanges: async (_, window) =>
        window.offsetBytes === denseFrom ? [window] : [{ offsetBytes: window.offsetBytes, lengthBytes: 512 }],
      read: async (_, { lengthBytes }) => {
        readBytes += lengthBytes;
        peakBytes = Math.max(peakBytes, process.memoryUsage().arrayBuffers);
        return piece.slice(0, lengthBytes);
      },
    };
    const before = process.memoryUsage().arrayBuffers;
    const context = { storage: { ...storage, replicas }, clock: { now: () => day }, fault: noFaults };
    let state = startDigestChain(scope, tib, { sequenceNumber: 0 }, day);
    while (!isDigested(state)) state = await advanceDigestChain(context, state, { deadline: never });
    expect(readBytes).toBe(gib + 1023 * 512);
    expect(state.bytesRead).toBe(readBytes);
    expect((peakBytes - before) / 1024 ** 2).toBeLessThan(192);
    let stored = 0;
    for await (const { sizeBytes } of storage.resync.list('')) stored += sizeBytes;
    // One bit for a block of zeros: not the 128 MiB that a digest for each would take.
    expect(stored).toBeLessThan(1023 * (128 + 512 + 32) + 128 + 512 + 4096 * 32 + 1);
  });
});

describe('manifests in storage', () => {
  const diskSizeBytes = 2 * gib + 4096;
  const digested = async (): Promise<ComparedDisk> => {
    const disk = await ComparedDisk.create(diskSizeBytes);
    await disk.writeReplica(
      { sector: 9, sectors: 9, seed: 2 },
      { sector: (2 * gib) / 512, sectors: 8, seed: 3 },
    );
    await disk.digest();
    return disk;
  };

  it('have names of the contract', () => {
    expect(manifestName(scope, 12)).toBe('vm-1/os/g-1/coarse-000000000012.bin');
    expect(codeOfThrown(() => manifestName({ ...scope, generation: '../x' }, 0))).toBe('InvalidName');
    const { source, replica: scrubbed } = scrubScopes('vm-1', 'os', '42');
    expect([source.generation, scrubbed.generation]).toEqual(['scrub-42', 'scrubbed-42']);
    expect(codeOfThrown(() => scrubScopes('vm-1', 'os', 'x'.repeat(60)))).toBe('InvalidName');
  });

  it('have one root, which depends on the size of the disk', async () => {
    const { resync } = (await digested()).storage;
    const digests: Uint8Array[] = [];
    for await (const segment of readGeneration(resync, scope, diskSizeBytes)) digests.push(segment);
    expect(digests.map(({ length }) => length / 32)).toEqual([4096, 4096, 1]);
    const sizes = Buffer.alloc(12);
    sizes.writeBigUInt64LE(BigInt(diskSizeBytes));
    sizes.writeUInt32LE(262_144, 8);
    const expected = sha256(Buffer.concat([sizes, ...digests])).toString('hex');
    expect(await rootDigest(diskSizeBytes, readGeneration(resync, scope, diskSizeBytes))).toBe(expected);
  });

  it('are compared to the end when more ranges differ than a verdict names', async () => {
    const disk = await ComparedDisk.create(200 * 1024 ** 2);
    const { resync } = disk.storage;
    const empty = { ...scope, generation: 'empty' };
    await disk.digest(startDigestChain(empty, disk.diskSizeBytes, { sequenceNumber: 0 }, day));
    for (let block = 1; block < 200; block += 2)
      await disk.writeReplica({ sector: block * 512 + 9, sectors: 1, seed: 1 });
    await disk.digest();
    const verdict = await judgeScrub(resync, { source: empty, replica: scope }, disk.diskSizeBytes, day);
    expect(verdict).toMatchObject({ verdict: 'different', differingBlocks: 100, isTruncated: true });
    expect(verdict.differingRanges).toHaveLength(64);
    expect(verdict.differingRanges.at(-1)).toEqual({ offsetBytes: 127 * 262_144, lengthBytes: 262_144 });
    expect(scrubVerdict.parse(JSON.parse(JSON.stringify(verdict)))).toEqual(verdict);
  });

  it('that are missing or damaged end a scrub without a verdict', async () => {
    const disk = await digested();
    const { resync } = disk.storage;
    const other = { ...scope, generation: 'g-2' };
    const judge = () =>
      codeOfRejected(judgeScrub(resync, { source: other, replica: scope }, diskSizeBytes, day));
    expect(await judge()).toBe('DigestsMissing');
    for (const segment of [0, 1, 2]) {
      const bytes = (await findManifest(resync, { scope, segment }))!;
      await resync.put(manifestName(other, segment), bytes);
    }
    expect(await judge()).toBe('DigestsForeign');
    const damaged = (await findManifest(resync, { scope, segment: 1 }))!.slice();
    damaged[200] = (damaged[200] ?? 0) ^ 1;
    await resync.put(manifestName(scope, 1), damaged);
    expect(await codeOfRejected(getManifest(resync, { scope, diskSizeBytes, segment: 1 }))).toBe(
      'DigestsInvalid',
    );
  });

  it('from a source are stored only when they are what they should be', async () => {
    const disk = await digested();
    const { resync } = disk.storage;
    const manifest = (await findManifest(resync, { scope, segment: 2 }))!;
    const other = { scope: { ...scope, generation: 'g-9' }, diskSizeBytes, segment: 2 };
    expect(await codeOfRejected(acceptManifest(resync, other, manifest))).toBe('DigestsForeign');
    expect(await codeOfRejected(acceptManifest(resync, other, manifest.subarray(1)))).toBe('DigestsInvalid');
    expect(await findManifest(resync, other)).toBeUndefined();
    await acceptManifest(resync, { scope, diskSizeBytes, segment: 2 }, manifest);
    expect(
      parseCoarse((await findManifest(resync, { scope, segment: 2 }))!, { scope, diskSizeBytes, segment: 2 }),
    ).toHaveLength(32);
  });

  it('of one generation, disk or item are deleted, again and again', async () => {
    const disk = await digested();
    const { resync } = disk.storage;
    const names = async (): Promise<string[]> => {
      const found: string[] = [];
      for await (const { name } of resync.list('')) found.push(name);
      return found;
    };
    const keep = ['vm-1/os-2/g-1/coarse-000000000000.bin', 'vm-1/os/g-11/coarse-000000000000.bin'];
    for (const name of keep) await resync.put(name, new Uint8Array(1));
    await deleteManifests(resync, scope);
    await deleteManifests(resync, scope);
    expect(await names()).toEqual(keep);
    await deleteManifests(resync, { item: 'vm-1', disk: 'os' });
    expect(await names()).toEqual(keep.slice(0, 1));
    await deleteManifests(resync, { item: 'vm-1' });
    expect(await names()).toEqual([]);
  });

  it('are deleted also when they are written again at that moment', async () => {
    const { resync } = (await digested()).storage;
    let rewrites = 2;
    const busy = {
      ...resync,
      delete: async (name: string, etag: string): Promise<void> => {
        if (rewrites-- > 0) await resync.put(name, new Uint8Array(2));
        await resync.delete(name, etag);
      },
    };
    await deleteManifests(busy, scope);
    expect(await findManifest(resync, { scope, segment: 0 })).toBeUndefined();
  });
});
