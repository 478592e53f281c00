// Recovered disks over the storage in memory: bytes, sparseness, proof, resumption, deaths, clean-up.
import { describe, expect, it } from 'vitest';
import { noFaults } from '../../../lib/faults/points.ts';
import { recoveredDiskName } from '../../../lib/recovery/names.ts';
import { deleteRecoveryDisk, makeRecoveryDisk } from '../../../lib/recovery/recoveryDisk.ts';
import { listRecoveryDisks } from '../../../lib/recovery/recoveryDiskRecord.ts';
import { replicaName } from '../../../lib/replication/names.ts';
import { memoryStorage } from '../../../lib/storage/memory/index.ts';
import type { PageBlobPort, Storage } from '../../../lib/storage/ports.ts';
import { parseVhdFooter } from '../../../lib/vhd/fixed.ts';
import { codeOf, patternBytes } from '../../contract/outcomes.ts';
import { deathAt, survive } from '../../support/deaths.ts';
import { plainDiskDigest, snapshotDisk, type SnapshotDisk } from '../../support/snapshotDisk.ts';

const kib = 1024;
const mib = 1024 * kib;
const gib = 1024 * mib;

const contextOf = (storage: Storage, fault = noFaults) => ({
  storage,
  fault,
  clock: { now: () => new Date('2026-01-02T00:00:00Z') },
});

/** More than one span, with bytes at their edges, a block of zeros and a piece over a block's border. */
const spreadPieces = [
  { offsetBytes: 0, bytes: patternBytes(4096, 1) },
  { offsetBytes: 4 * mib - 512, bytes: patternBytes(64 * kib, 2) },
  { offsetBytes: 16 * mib, bytes: new Uint8Array(mib) },
  { offsetBytes: gib - 512, bytes: patternBytes(1024, 3) },
  { offsetBytes: gib + 3 * mib, bytes: patternBytes(512, 4) },
];
const spreadSize = gib + 3 * mib + 512;

async function listNames(port: PageBlobPort): Promise<string[]> {
  const names: string[] = [];
  for await (const name of port.listNames('')) names.push(name);
  return names;
}

async function rowsOf(storage: Storage, item: string): Promise<unknown[]> {
  const rows: unknown[] = [];
  for await (const row of listRecoveryDisks(storage.items, item)) rows.push(row);
  return rows;
}

/** The made disk equals the snapshot, is a VHD, is free to be written, and its digest is true of both. */
async function expectWhole(
  storage: Storage,
  { order, blobSizeBytes }: SnapshotDisk,
  digest: string | null,
): Promise<void> {
  const name = recoveredDiskName(order);
  const source = replicaName(order.item, order.disk);
  const span = { offsetBytes: 0, lengthBytes: blobSizeBytes };
  for (const range of await storage.replicas.listRanges(source, span, order.snapshotId)) {
    const expected = await storage.replicas.read(source, range, order.snapshotId);
    expect(Buffer.compare(await storage.recovered.read(name, range), expected)).toBe(0);
  }
  const tail = { offsetBytes: blobSizeBytes - 512, lengthBytes: 512 };
  expect(parseVhdFooter(await storage.recovered.read(name, tail)).sizeBytes).toBe(blobSizeBytes - 512);
  expect(await storage.recovered.find(name)).toMatchObject({ sizeBytes: blobSizeBytes, isLeased: false });
  expect(digest).toBe(await plainDiskDigest(storage.recovered, name, blobSizeBytes));
}

describe('a recovered disk', () => {
  it('has the bytes of the snapshot, only them, and a digest that anyone can compute again', async () => {
    const storage = memoryStorage();
    const disk = await snapshotDisk(storage, spreadSize, spreadPieces);
    const made = await makeRecoveryDisk(contextOf(storage), disk.order);
    await expectWhole(storage, disk, made.digest);
    const source = replicaName(disk.order.item, 'os');
    const { snapshotId } = disk.order;
    expect(made.digest).toBe(await plainDiskDigest(storage.replicas, source, disk.blobSizeBytes, snapshotId));
    const ranges = await storage.recovered.listRanges(recoveredDiskName(disk.order), {
      offsetBytes: 0,
      lengthBytes: disk.blobSizeBytes,
    });
    const allocated = ranges.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    expect(made.allocatedBytes).toBe(4096 + 64 * kib + mib + 1024 + 512 + 512);
    // The zeros that the source wrote take no space here.
    expect(allocated).toBe(made.allocatedBytes - mib);
    expect(await makeRecoveryDisk(contextOf(storage), disk.order)).toEqual(made);
  });

  it('is carried on when time runs out: one span a call, none copied twice', async () => {
    const storage = memoryStorage();
    const disk = await snapshotDisk(storage, spreadSize, spreadPieces);
    const written: number[] = [];
    const { recovered } = storage;
    const watched = {
      ...recovered,
      copyPages: undefined,
      writePages: async (...[name, offsetBytes, data, fence]: Parameters<PageBlobPort['writePages']>) => {
        written.push(offsetBytes);
        await recovered.writePages(name, offsetBytes, data, fence);
      },
    };
    let ticks = 0;
    const context = {
      ...contextOf({ ...storage, recovered: watched }),
      clock: { now: () => new Date(Date.UTC(2026, 0, 2, 0, 0, ticks++)) },
    };
    let made = await makeRecoveryDisk(context, disk.order, {
      stopAt: new Date(Date.UTC(2026, 0, 2, 0, 0, ticks + 2)),
    });
    expect(made.madeAt).toBeNull();
    expect(made.spans).toHaveLength(1);
    for (let calls = 0; made.madeAt === null && calls < 9; calls++)
      made = await makeRecoveryDisk(context, disk.order, {
        stopAt: new Date(Date.UTC(2026, 0, 2, 0, 0, ticks + 1)),
      });
    await expectWhole(storage, disk, made.digest);
    expect(new Set(written).size).toBe(written.length);
  });

  it('survives death at every fault point, with and without copies inside the service', async () => {
    for (const copies of [true, false]) {
      for (let n = 0, points = 1; n <= points; n++) {
        const storage = memoryStorage();
        const recovered = copies ? storage.recovered : { ...storage.recovered, copyPages: undefined };
        const disk = await snapshotDisk(storage, 12 * mib, [
          { offsetBytes: 0, bytes: patternBytes(mib, 1) },
          { offsetBytes: 5 * mib, bytes: patternBytes(4 * mib, 2) },
        ]);
        const { fault, passed } = deathAt(n);
        const context = contextOf({ ...storage, recovered }, fault);
        const made = await survive(() => makeRecoveryDisk(context, disk.order));
        if (n === 0) {
          points = passed.length;
          expect(new Set(passed)).toEqual(
            new Set([
              ...['recovery.afterRow', 'recovery.afterFence', 'recovery.afterBlock', 'recovery.afterSpan'],
              ...['recovery.beforeRelease', 'recovery.afterRelease'],
            ]),
          );
        }
        await expectWhole(storage, disk, made.digest);
        // Whatever died when, the clean-up leaves nothing, wherever it dies itself.
        const cleaning = deathAt(n % 3);
        await survive(() => deleteRecoveryDisk(contextOf(storage, cleaning.fault), disk.order));
        expect(await listNames(storage.recovered)).toEqual([]);
        expect(await rowsOf(storage, disk.order.item)).toEqual([]);
      }
    }
  });

  it('is removed whole from any state of its making', async () => {
    for (let n = 1, passed = ['']; passed.length >= n; n++) {
      const storage = memoryStorage();
      const disk = await snapshotDisk(storage, mib, [{ offsetBytes: 0, bytes: patternBytes(mib, 1) }]);
      const death = deathAt(n);
      passed = death.passed;
      await makeRecoveryDisk(contextOf(storage, death.fault), disk.order).catch(() => undefined);
      await deleteRecoveryDisk(contextOf(storage), disk.order);
      await deleteRecoveryDisk(contextOf(storage), disk.order);
      expect(await listNames(storage.recovered)).toEqual([]);
      expect(await rowsOf(storage, disk.order.item)).toEqual([]);
      // The replica and its recovery point are as before.
      const page = { offsetBytes: 0, lengthBytes: mib };
      const name = replicaName(disk.order.item, 'os');
      expect(await storage.replicas.read(name, page, disk.order.snapshotId)).toEqual(patternBytes(mib, 1));
    }
  });

  it('never takes a late write of a dead attempt once it is made', async () => {
    const storage = memoryStorage();
    const disk = await snapshotDisk(storage, mib, [{ offsetBytes: 0, bytes: patternBytes(mib, 1) }]);
    const late: (() => Promise<void>)[] = [];
    let isLosing = true;
    const recovered: PageBlobPort = {
      ...storage.recovered,
      copyPages: undefined,
      writePages: async (...write) => {
        if (!isLosing) return storage.recovered.writePages(...write);
        isLosing = false;
        late.push(() => storage.recovered.writePages(...write));
        throw new Error('the answer was lost');
      },
    };
    const context = contextOf({ ...storage, recovered });
    await expect(makeRecoveryDisk(context, disk.order)).rejects.toThrow('lost');
    const made = await makeRecoveryDisk(context, disk.order);
    await expectWhole(storage, disk, made.digest);
    // Now the machine runs and writes.
    await storage.recovered.writePages(recoveredDiskName(disk.order), 0, patternBytes(512, 9));
    expect(['FenceLost', 'ReplicaLeaseLost']).toContain(await codeOf(late[0]!()));
    const page = { offsetBytes: 0, lengthBytes: 512 };
    expect(await storage.recovered.read(recoveredDiskName(disk.order), page)).toEqual(patternBytes(512, 9));
  });

  it('is not made when the service lost a byte; the next attempt puts it right', async () => {
    const storage = memoryStorage();
    const disk = await snapshotDisk(storage, mib, [{ offsetBytes: 0, bytes: patternBytes(mib, 1) }]);
    let isDamaging = true;
    const recovered: PageBlobPort = {
      ...storage.recovered,
      copyPages: undefined,
      writePages: async (name, offsetBytes, data, fence) => {
        const sent = data.slice();
        if (isDamaging) sent[700] = (sent[700] ?? 0) ^ 1;
        isDamaging = false;
        await storage.recovered.writePages(name, offsetBytes, sent, fence);
      },
    };
    const context = contextOf({ ...storage, recovered });
    expect(await codeOf(makeRecoveryDisk(context, disk.order))).toBe('RecoveryDiskMismatch');
    expect((await makeRecoveryDisk(context, disk.order)).digest).not.toBeNull();
    await expectWhole(storage, disk, (await makeRecoveryDisk(context, disk.order)).digest);
  });

  it('of a snapshot that is gone is refused by name', async () => {
    const storage = memoryStorage();
    const disk = await snapshotDisk(storage, mib, [{ offsetBytes: 0, bytes: patternBytes(512, 1) }]);
    await storage.replicas.deleteSnapshot(replicaName(disk.order.item, 'os'), disk.order.snapshotId);
    const making = makeRecoveryDisk(contextOf(storage), disk.order);
    await expect(making).rejects.toThrow(new RegExp(`${disk.order.snapshotId}.*does not exist any more`));
    expect(await codeOf(makeRecoveryDisk(contextOf(storage), disk.order))).toBe('RecoveryPointMissing');
  });

  it('deleted by somebody in the middle is made anew from the start', async () => {
    const storage = memoryStorage();
    const disk = await snapshotDisk(storage, spreadSize, spreadPieces);
    const death = deathAt(9);
    await makeRecoveryDisk(contextOf(storage, death.fault), disk.order).catch(() => undefined);
    const [row] = await rowsOf(storage, disk.order.item);
    expect(row).toMatchObject({ madeAt: null });
    const { recovered } = storage;
    const name = recoveredDiskName(disk.order);
    // An administrator with the portal, who breaks the lease.
    await deleteRecoveryDisk(
      contextOf({ ...storage, items: { ...storage.items, find: async () => undefined } }),
      disk.order,
    );
    expect(await recovered.find(name)).toBeUndefined();
    const made = await makeRecoveryDisk(contextOf(storage), disk.order);
    await expectWhole(storage, disk, made.digest);
  });
});
