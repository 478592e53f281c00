// The contract of PageBlobPort, sentence by sentence, for any adapter. Blob names are never reused, so the tests share
// one container.
import { beforeAll, describe, expect, test } from 'vitest';
import type { ByteRange, Fence, PageBlobPort } from '../../lib/storage/ports.ts';
import { codeOf, expectBytes, freshName, patternBytes } from './outcomes.ts';

const kib = 1024;
const mib = 1024 * kib;
const range = (offsetBytes: number, lengthBytes: number): ByteRange => ({ offsetBytes, lengthBytes });

export function pageBlobSuite(adapter: string, make: () => PageBlobPort): void {
  describe(`page blobs (${adapter})`, () => {
    let port: PageBlobPort;
    beforeAll(() => {
      port = make();
    });

    const created = async (sizeBytes = 64 * kib) => {
      const name = freshName('disk');
      await port.create(name, sizeBytes);
      return name;
    };
    /** A leased blob and the fence of its first writer. */
    const leased = async (): Promise<{ name: string; fence: Fence }> => {
      const name = await created();
      const leaseId = crypto.randomUUID();
      await port.holdLease(name, leaseId);
      return { name, fence: { leaseId, sequenceNumber: await port.raiseSequenceNumber(name, leaseId) } };
    };
    const all = async (name: string, snapshotId?: string) => {
      const info = await port.find(name);
      return port.read(name, range(0, info!.sizeBytes), snapshotId);
    };

    describe('create and find', () => {
      test('a new blob is zeros with sequence number 0 and no lease', async () => {
        const name = await created(4 * kib);
        expect(await port.find(name)).toEqual({ sizeBytes: 4 * kib, sequenceNumber: 0, isLeased: false });
        expectBytes(await all(name), new Uint8Array(4 * kib));
        expect(await port.listRanges(name, range(0, 4 * kib))).toEqual([]);
      });

      test('creating again throws BlobExists and leaves the blob', async () => {
        const name = await created(kib);
        await port.writePages(name, 0, patternBytes(kib, 1));
        expect(await codeOf(port.create(name, 2 * kib))).toBe('BlobExists');
        expectBytes(await all(name), patternBytes(kib, 1));
      });

      test('of 16 concurrent creations one wins', async () => {
        const name = freshName('disk');
        const codes = await Promise.all(Array.from({ length: 16 }, () => codeOf(port.create(name, kib))));
        expect(codes.filter((code) => code === 'ok')).toHaveLength(1);
        expect(codes.filter((code) => code === 'BlobExists')).toHaveLength(15);
      });

      test.each([513, -512, 0.5, 8 * 1024 ** 4 + 512, Number.NaN])(
        'size %d is a RangeError',
        async (sizeBytes) => {
          const name = freshName('disk');
          expect(await codeOf(port.create(name, sizeBytes))).toBe('RangeError');
          expect(await port.find(name)).toBeUndefined();
        },
      );

      test('methods on a missing blob throw BlobNotFound', async () => {
        const name = freshName('missing');
        const id = crypto.randomUUID();
        const page = new Uint8Array(512);
        expect(await port.find(name)).toBeUndefined();
        expect(await codeOf(port.read(name, range(0, 512)))).toBe('BlobNotFound');
        expect(await codeOf(port.listRanges(name, range(0, 512)))).toBe('BlobNotFound');
        expect(await codeOf(port.writePages(name, 0, page))).toBe('BlobNotFound');
        expect(await codeOf(port.writePages(name, 0, page, { leaseId: id, sequenceNumber: 1 }))).toBe(
          'BlobNotFound',
        );
        expect(await codeOf(port.clearPages(name, range(0, 512)))).toBe('BlobNotFound');
        expect(await codeOf(port.holdLease(name, id))).toBe('BlobNotFound');
        expect(await codeOf(port.raiseSequenceNumber(name, id))).toBe('BlobNotFound');
        expect(await codeOf(port.snapshot(name, {}))).toBe('BlobNotFound');
        expect(await codeOf(port.listSnapshots(name))).toBe('BlobNotFound');
      });
    });

    describe('pages', () => {
      const writes: [string, number, number][] = [
        ['unaligned offset', 1, 512],
        ['unaligned length', 0, 513],
        ['empty', 0, 0],
        ['negative offset', -512, 512],
        ['end past the blob', 63 * kib, 2 * kib],
        ['start past the blob', 128 * kib, 512],
        ['more than 4 MiB', 0, 4 * mib + 512],
      ];
      test.each(writes)(
        'a write with %s is a RangeError and changes nothing',
        async (_why, offset, length) => {
          const name = await created();
          expect(await codeOf(port.writePages(name, offset, new Uint8Array(length).fill(1)))).toBe(
            'RangeError',
          );
          expectBytes(await all(name), new Uint8Array(64 * kib));
          expect((await port.find(name))?.sizeBytes).toBe(64 * kib);
        },
      );

      test.each(writes.slice(0, 6))(
        'a clear with %s is a RangeError and changes nothing',
        async (_why, offset, length) => {
          const name = await created();
          await port.writePages(name, 0, patternBytes(64 * kib, 2));
          expect(await codeOf(port.clearPages(name, range(offset, length)))).toBe('RangeError');
          expectBytes(await all(name), patternBytes(64 * kib, 2));
        },
      );

      test('reads and listings past the end are RangeErrors', async () => {
        const name = await created(kib);
        expect(await codeOf(port.read(name, range(1, kib)))).toBe('RangeError');
        expect(await codeOf(port.read(name, range(-1, 1)))).toBe('RangeError');
        expect(await codeOf(port.listRanges(name, range(512, kib)))).toBe('RangeError');
      });

      test('reads any length at any offset, also none', async () => {
        const name = await created(kib);
        const bytes = patternBytes(kib, 3);
        await port.writePages(name, 0, bytes);
        expect(await port.read(name, range(511, 3))).toEqual(bytes.slice(511, 514));
        expect(await port.read(name, range(kib, 0))).toEqual(new Uint8Array(0));
      });

      test('writes of 4 MiB and reads of many pieces', async () => {
        const name = await created(20 * mib);
        const bytes = patternBytes(4 * mib, 4);
        await port.writePages(name, 6 * mib, bytes);
        await port.writePages(name, 16 * mib, bytes);
        const read = await port.read(name, range(mib - 7, 19 * mib));
        const expected = new Uint8Array(20 * mib);
        expected.set(bytes, 6 * mib);
        expected.set(bytes, 16 * mib);
        expectBytes(read, expected.subarray(mib - 7, 20 * mib - 7));
      });

      test('what a read returns is the caller’s, and what was written stays', async () => {
        const name = await created(kib);
        const given = patternBytes(kib, 5);
        await port.writePages(name, 0, given);
        given.fill(0);
        (await all(name)).fill(9);
        expectBytes(await all(name), patternBytes(kib, 5));
      });

      test('lists what was written and not cleared: joined, ascending, cut to the window', async () => {
        const name = await created(256 * kib);
        await port.writePages(name, 128 * kib, new Uint8Array(kib));
        await port.writePages(name, 512, patternBytes(512, 6));
        await port.writePages(name, kib, patternBytes(64 * kib, 6));
        await port.clearPages(name, range(2 * kib, 512));
        expect(await port.listRanges(name, range(0, 256 * kib))).toEqual([
          range(512, kib + 512),
          range(2 * kib + 512, 62 * kib + 512),
          range(128 * kib, kib),
        ]);
        expect(await port.listRanges(name, range(kib, 2 * kib))).toEqual([
          range(kib, kib),
          range(2 * kib + 512, 512),
        ]);
        expect(await port.listRanges(name, range(200 * kib, 0))).toEqual([]);
      });

      test('lists and clears across a terabyte', async () => {
        const tib = 1024 ** 4;
        const name = await created(tib);
        const marks = [0, 1024 * mib - 512, 1024 * mib, 3 * 1024 * mib, tib - 512];
        for (const offset of marks) await port.writePages(name, offset, patternBytes(512, 7));
        const expected = [range(0, 512), range(1024 * mib - 512, kib), range(3 * 1024 * mib, 512)];
        expect(await port.listRanges(name, range(0, 8 * 1024 * mib))).toEqual(expected);
        expect(await port.listRanges(name, range(tib - 4 * 1024 * mib, 4 * 1024 * mib))).toEqual([
          range(tib - 512, 512),
        ]);
        await port.clearPages(name, range(0, tib));
        expect(await port.listRanges(name, range(0, 4 * 1024 * mib))).toEqual([]);
        expect(await port.read(name, range(tib - 512, 512))).toEqual(new Uint8Array(512));
      });
    });

    describe('lease and fence', () => {
      test('taking the lease again with the same id changes nothing, with another id is refused', async () => {
        const { name, fence } = await leased();
        await port.holdLease(name, fence.leaseId);
        expect(await port.find(name)).toMatchObject({ isLeased: true, sequenceNumber: fence.sequenceNumber });
        expect(await codeOf(port.holdLease(name, crypto.randomUUID()))).toBe('ReplicaLeaseLost');
        await port.writePages(name, 0, patternBytes(512, 1), fence);
      });

      test('of 16 concurrent holders one wins', async () => {
        const name = await created();
        const ids = Array.from({ length: 16 }, () => crypto.randomUUID());
        const codes = await Promise.all(ids.map((id) => codeOf(port.holdLease(name, id))));
        expect(codes.filter((code) => code === 'ok')).toHaveLength(1);
        expect(codes.filter((code) => code === 'ReplicaLeaseLost')).toHaveLength(15);
        await port.raiseSequenceNumber(name, ids[codes.indexOf('ok')]!);
      });

      test('a leased blob refuses writes without fence or with another lease id', async () => {
        const { name, fence } = await leased();
        const stranger = { ...fence, leaseId: crypto.randomUUID() };
        const page = patternBytes(512, 1);
        expect(await codeOf(port.writePages(name, 0, page))).toBe('ReplicaLeaseLost');
        expect(await codeOf(port.writePages(name, 0, page, stranger))).toBe('ReplicaLeaseLost');
        expect(await codeOf(port.clearPages(name, range(0, 512)))).toBe('ReplicaLeaseLost');
        expect(await codeOf(port.clearPages(name, range(0, 512), stranger))).toBe('ReplicaLeaseLost');
        expect(await codeOf(port.raiseSequenceNumber(name, stranger.leaseId))).toBe('ReplicaLeaseLost');
        expectBytes(await all(name), new Uint8Array(64 * kib));
      });

      test('a fence is refused on a blob that is not leased', async () => {
        const name = await created();
        const fence = { leaseId: crypto.randomUUID(), sequenceNumber: 0 };
        expect(await codeOf(port.writePages(name, 0, patternBytes(512, 1), fence))).toBe('ReplicaLeaseLost');
        expect(await codeOf(port.raiseSequenceNumber(name, fence.leaseId))).toBe('ReplicaLeaseLost');
        expectBytes(await all(name), new Uint8Array(64 * kib));
      });

      test('a late write or clear of an older fence changes nothing', async () => {
        const { name, fence: older } = await leased();
        await port.writePages(name, 0, patternBytes(kib, 1), older);
        const newer = { ...older, sequenceNumber: await port.raiseSequenceNumber(name, older.leaseId) };
        expect(newer.sequenceNumber).toBe(older.sequenceNumber + 1);
        await port.writePages(name, 512, patternBytes(512, 2), newer);
        const before = await all(name);
        expect(await codeOf(port.writePages(name, 0, patternBytes(kib, 3), older))).toBe('FenceLost');
        expect(await codeOf(port.clearPages(name, range(0, kib), older))).toBe('FenceLost');
        expect(
          await codeOf(port.writePages(name, 0, patternBytes(kib, 3), { ...newer, sequenceNumber: 99 })),
        ).toBe('FenceLost');
        expectBytes(await all(name), before);
        expect(await port.listRanges(name, range(0, 64 * kib))).toEqual([range(0, kib)]);
      });

      test('32 concurrent raises return 32 numbers, and only the last fence writes', async () => {
        const { name, fence } = await leased();
        const raised = await Promise.all(
          Array.from({ length: 32 }, () => port.raiseSequenceNumber(name, fence.leaseId)),
        );
        expect(new Set(raised).size).toBe(32);
        const last = Math.max(...raised);
        expect((await port.find(name))?.sequenceNumber).toBe(last);
        const codes = await Promise.all(
          raised.map((sequenceNumber, index) =>
            codeOf(port.writePages(name, index * 512, patternBytes(512, 1), { ...fence, sequenceNumber })),
          ),
        );
        expect(codes.filter((code) => code === 'ok')).toHaveLength(1);
        expect(await port.listRanges(name, range(0, 64 * kib))).toEqual([
          range(raised.indexOf(last) * 512, 512),
        ]);
      });

      test('releasing frees the blob for everyone, and may be repeated', async () => {
        const { name, fence } = await leased();
        expect(await codeOf(port.releaseLease(name, crypto.randomUUID()))).toBe('ReplicaLeaseLost');
        expect((await port.find(name))?.isLeased).toBe(true);
        await port.releaseLease(name, fence.leaseId);
        await port.releaseLease(name, fence.leaseId);
        await port.releaseLease(freshName('missing'), fence.leaseId);
        expect(await port.find(name)).toMatchObject({
          isLeased: false,
          sequenceNumber: fence.sequenceNumber,
        });
        await port.writePages(name, 0, patternBytes(512, 1));
        await port.holdLease(name, crypto.randomUUID());
        expect(await codeOf(port.writePages(name, 0, patternBytes(512, 1), fence))).toBe('ReplicaLeaseLost');
      });
    });

    describe('snapshots', () => {
      test('a snapshot keeps bytes, ranges and metadata, whatever happens to the blob', async () => {
        const { name, fence } = await leased();
        await port.writePages(name, 0, patternBytes(8 * kib, 1), fence);
        const first = await port.snapshot(name, { cycle: '000000000001', consistency: 'crash' });
        await port.writePages(name, kib, patternBytes(kib, 2), fence);
        await port.clearPages(name, range(4 * kib, 4 * kib), fence);
        const second = await port.snapshot(name, { cycle: '000000000002' });
        await port.clearPages(name, range(0, 64 * kib), fence);

        const expected = new Uint8Array(64 * kib);
        expected.set(patternBytes(8 * kib, 1));
        expectBytes(await all(name, first), expected);
        expect(await port.listRanges(name, range(0, 64 * kib), first)).toEqual([range(0, 8 * kib)]);
        expected.set(patternBytes(kib, 2), kib);
        expected.fill(0, 4 * kib);
        expectBytes(await all(name, second), expected);
        expect(await port.listRanges(name, range(0, 64 * kib), second)).toEqual([range(0, 4 * kib)]);
        expectBytes(await all(name), new Uint8Array(64 * kib));
        expect(await port.listSnapshots(name)).toEqual([
          { id: first, metadata: { cycle: '000000000001', consistency: 'crash' } },
          { id: second, metadata: { cycle: '000000000002' } },
        ]);
      });

      test('deleting a snapshot leaves the others, and may be repeated', async () => {
        const { name } = await leased();
        const [first, second] = [await port.snapshot(name, {}), await port.snapshot(name, {})];
        await port.deleteSnapshot(name, first);
        await port.deleteSnapshot(name, first);
        expect((await port.listSnapshots(name)).map(({ id }) => id)).toEqual([second]);
        expect(await codeOf(port.read(name, range(0, 512), first))).toBe('BlobNotFound');
        expect(await codeOf(port.listRanges(name, range(0, 512), first))).toBe('BlobNotFound');
        await port.deleteSnapshot(freshName('missing'), first);
      });

      test('lists the snapshots of this blob only, not of those whose names begin with its name', async () => {
        const name = await created();
        await port.create(`${name}.other`, 512);
        await port.snapshot(`${name}.other`, {});
        expect(await port.listSnapshots(name)).toEqual([]);
      });

      test('300 snapshots in a row, a third of them at once, have 300 ids', async () => {
        const name = await created(kib);
        const ids: string[] = [];
        for (let count = 0; count < 200; count++) ids.push(await port.snapshot(name, {}));
        ids.push(...(await Promise.all(Array.from({ length: 100 }, () => port.snapshot(name, {})))));
        expect(new Set(ids).size).toBe(300);
        expect((await port.listSnapshots(name)).map(({ id }) => id)).toEqual([...ids].sort());
      });

      test.each([
        { Upper: 'x' },
        { 'with-dash': 'x' },
        { key: 'ü' },
        { key: 'a\nb' },
        { key: ' x' },
        { key: '' },
      ])('refuses metadata %j', async (metadata) => {
        const name = await created();
        expect(await codeOf(port.snapshot(name, metadata as unknown as Record<string, string>))).toBe(
          'InvalidRequest',
        );
        expect(await port.listSnapshots(name)).toEqual([]);
      });
    });

    describe('delete', () => {
      test('deletes the blob with its snapshots; the name is free for a blob of another size', async () => {
        const name = await created(4 * kib);
        await port.snapshot(name, {});
        await port.delete(name);
        await port.delete(name);
        expect(await port.find(name)).toBeUndefined();
        expect(await codeOf(port.writePages(name, 0, new Uint8Array(512)))).toBe('BlobNotFound');
        await port.create(name, 2 * kib);
        expect(await port.listSnapshots(name)).toEqual([]);
        expect(await codeOf(port.writePages(name, 2 * kib, new Uint8Array(512)))).toBe('RangeError');
      });

      test('needs the lease id while leased, and takes one that is not needed', async () => {
        const { name, fence } = await leased();
        expect(await codeOf(port.delete(name))).toBe('ReplicaLeaseLost');
        expect(await codeOf(port.delete(name, crypto.randomUUID()))).toBe('ReplicaLeaseLost');
        expect((await port.find(name))?.isLeased).toBe(true);
        await port.delete(name, fence.leaseId);
        expect(await port.find(name)).toBeUndefined();
        const free = await created();
        await port.delete(free, fence.leaseId);
        expect(await port.find(free)).toBeUndefined();
      });
    });
  });
}
