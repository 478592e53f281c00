// Copies that are cut and go on, logs in blocks, and how fast: what lies in Azurite afterwards, and how much had to be sent.
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BandwidthLimiter, limitAt, type BandwidthSchedule } from '../../../agent/upload/bandwidth.ts';
import { CopyCursorFile, type CopyPlan } from '../../../agent/upload/copyCursor.ts';
import { streamLog } from '../../../agent/upload/streamLog.ts';
import { uploadLog } from '../../../agent/upload/uploadLog.ts';
import {
  copyChunkBytes,
  uploadReplica,
  type ReplicaUploadResult,
} from '../../../agent/upload/uploadReplica.ts';
import { memorySource, type RandomAccessSource } from '../../../lib/disk/source.ts';
import { buildHrl } from '../../../lib/hrl/writer.ts';
import { azureStorage } from '../../../lib/storage/azure/index.ts';
import { startAzurite, type RunningAzurite } from '../../support/azurite.ts';

const mib = 1024 * 1024;
const inAnHour = (): Date => new Date(Date.now() + 3_600_000);
let azurite: RunningAzurite;
let storage: ReturnType<typeof azureStorage>;
let folder: string;
let names = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shipping-'));
  azurite = await startAzurite();
  storage = azureStorage({ connectionString: azurite.connectionString });
  await storage.ensureContainers();
});
afterAll(async () => {
  await azurite.stop();
  await rm(folder, { recursive: true });
});

async function newCopy(diskSizeBytes: number) {
  const blobName = `item/disk-${++names}.vhd`;
  await storage.replicas.create(blobName, diskSizeBytes + 512);
  const plan: CopyPlan = { item: 'item', disk: 'disk', blobName, diskSizeBytes, chunkBytes: copyChunkBytes };
  return { plan, path: join(folder, `cursor-${names}`) };
}
type Copy = Awaited<ReturnType<typeof newCopy>>;

const readReplica = async ({ plan }: Copy): Promise<Buffer> =>
  Buffer.from(
    await storage.replicas.read(plan.blobName, { offsetBytes: 0, lengthBytes: plan.diskSizeBytes }),
  );

/** One run of the agent: opens the cursor, copies, and dies after `dieAfterChunks`. */
async function run(
  { plan, path }: Copy,
  disk: Uint8Array,
  viewId: string,
  dieAfterChunks = Number.POSITIVE_INFINITY,
): Promise<{ result?: ReplicaUploadResult; readBytes: number }> {
  await using cursor = await CopyCursorFile.open(path, plan);
  const controller = new AbortController();
  let chunks = 0;
  let readBytes = 0;
  const memory = memorySource(disk);
  const source: RandomAccessSource = {
    sizeBytes: disk.length,
    read: (offset, length) => {
      readBytes += length;
      return memory.read(offset, length);
    },
  };
  const getUploadUrl = async () => ({
    url: await storage.signer.replicaWriteUrl(plan.blobName, inAnHour()),
    expiresAt: inAnHour(),
  });
  try {
    const result = await uploadReplica({
      source,
      getUploadUrl,
      resume: { cursor, viewId },
      signal: controller.signal,
      onProgress: () => {
        if (++chunks >= dieAfterChunks) controller.abort(new Error('killed'));
      },
    });
    return { result, readBytes };
  } catch (error) {
    if (error instanceof Error && error.message === 'killed') return { readBytes };
    throw error;
  }
}

describe('a copy with a cursor', () => {
  it('goes on after two interruptions without reading or sending what had arrived', async () => {
    const disk = randomBytes(40 * mib);
    disk.fill(0, 9 * mib, 17 * mib);
    const copy = await newCopy(disk.length);
    await run(copy, disk, 'view', 3);
    await run(copy, disk, 'view', 7);
    await using known = await CopyCursorFile.open(copy.path, copy.plan);
    const arrived = known.chunks.size;
    expect(arrived).toBeGreaterThanOrEqual(6);
    await known.close();
    const { result, readBytes } = await run(copy, disk, 'view');
    expect(result?.resumedBytes).toBe(arrived * copyChunkBytes);
    expect(readBytes).toBe(disk.length - arrived * copyChunkBytes);
    expect((await readReplica(copy)).equals(disk)).toBe(true);
    // A run more has nothing to do.
    expect((await run(copy, disk, 'view')).result).toMatchObject({ writtenBytes: 0, resumedBytes: 40 * mib });
  });

  it('of another frozen view sends only the chunks that changed, zeros included', async () => {
    const disk = randomBytes(24 * mib);
    const copy = await newCopy(disk.length);
    await run(copy, disk, 'first', 4);
    disk.fill(0, mib, 3 * mib);
    disk.set(randomBytes(512), 21 * mib);
    await run(copy, disk, 'second');
    expect((await readReplica(copy)).equals(disk)).toBe(true);
    disk.fill(0, 4 * mib, 8 * mib);
    disk.set(randomBytes(4096), 13 * mib);
    const { result } = await run(copy, disk, 'third');
    expect(result?.writtenBytes).toBe(4 * mib);
    expect(result?.resumedBytes).toBe(16 * mib);
    expect((await readReplica(copy)).equals(disk)).toBe(true);
  });

  it('is not believed for a replica that was made anew, or that somebody else wrote', async () => {
    const disk = randomBytes(12 * mib);
    const copy = await newCopy(disk.length);
    await run(copy, disk, 'view');
    await storage.replicas.delete(copy.plan.blobName);
    await storage.replicas.create(copy.plan.blobName, disk.length + 512);
    expect((await run(copy, disk, 'view')).result?.writtenBytes).toBe(disk.length);
    const url = await storage.signer.replicaWriteUrl(copy.plan.blobName, inAnHour());
    await uploadReplica({
      source: memorySource(Buffer.alloc(disk.length, 9)),
      getUploadUrl: async () => ({ url, expiresAt: inAnHour() }),
    });
    expect((await run(copy, disk, 'view')).result?.writtenBytes).toBe(disk.length);
    expect((await readReplica(copy)).equals(disk)).toBe(true);
  });

  it('ends where its file is cut or damaged, wherever that is', async () => {
    const plan: CopyPlan = {
      ...{ item: 'item', disk: 'disk', blobName: 'b', diskSizeBytes: 64 * mib, chunkBytes: copyChunkBytes },
    };
    const path = join(folder, 'cut');
    {
      await using cursor = await CopyCursorFile.open(path, plan);
      await cursor.recordSequence(7);
      const digest = createHash('sha256').update('x').digest('hex');
      await Promise.all([0, 1, 2, 3].map((chunk) => cursor.record(chunk, { digest, viewId: 'v' })));
      await cursor.forget(2);
      await cursor.record(9, { digest: 'zero', viewId: 'w' });
    }
    const whole = await readFile(path);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), fc.boolean(), async (at, isFlip) => {
        const bytes = Buffer.from(whole);
        if (isFlip && at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ 1;
        await writeFile(path, bytes);
        if (!isFlip) await truncate(path, at);
        await using cursor = await CopyCursorFile.open(path, plan);
        const isWhole = !isFlip ? at === whole.length : at >= whole.length;
        const expected = isWhole ? [0, 1, 3, 9] : [0, 1, 2, 3, 9];
        for (const chunk of cursor.chunks.keys()) expect(expected).toContain(chunk);
        if (isWhole) expect([...cursor.chunks.keys()].sort()).toEqual(expected);
        // What is written now is read again.
        await cursor.record(5, { digest: 'zero', viewId: 'z' });
        await cursor.close();
        await using again = await CopyCursorFile.open(path, plan);
        expect(again.chunks.get(5)).toEqual({ digest: 'zero', viewId: 'z' });
      }),
      { numRuns: 60 },
    );
    await using other = await CopyCursorFile.open(path, { ...plan, blobName: 'c' });
    expect(other.chunks.size).toBe(0);
  });
});

describe('a log in blocks', () => {
  const urls = async (name: string) => ({
    uploadUrl: await storage.signer.deltaCreateUrl(name, inAnHour()),
    blocksUrl: await storage.signer.deltaWriteUrl(name, inAnHour()),
  });
  const stored = async (name: string) => {
    const info = (await storage.deltas.find(name))!;
    const range = { offsetBytes: 0, lengthBytes: info.sizeBytes };
    return { info, bytes: Buffer.from(await storage.deltas.read(name, range, info.etag)) };
  };
  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

  it('is the log, with its metadata, and does not replace one that is there', async () => {
    const name = 'item/000000000001/blocks.hrl';
    const bytes = randomBytes(27 * mib + 13);
    const statement = { sha256: sha256(bytes), demanded: { kind: 'resync', generation: '4' } };
    await uploadLog({ source: memorySource(bytes), ...(await urls(name)), statement });
    const blob = await stored(name);
    expect(blob.bytes.equals(bytes)).toBe(true);
    expect(blob.info.metadata).toEqual({ sha256: sha256(bytes), kind: 'resync', generation: '4' });
    const other = uploadLog({
      ...(await urls(name)),
      source: memorySource(randomBytes(20 * mib)),
      statement: { sha256: 'other' },
    });
    await expect(other).rejects.toMatchObject({ code: 'LogExists' });
    expect((await stored(name)).info.etag).toBe(blob.info.etag);
  });

  it('that is made while it is sent is the one that a file would hold', async () => {
    const name = 'item/000000000002/streamed.hrl';
    const data = randomBytes(22 * mib);
    const writes = Array.from({ length: 400 }, (_, index) => ({
      diskOffset: index * 1_048_576,
      data: data.subarray(index * 512 * 100, index * 512 * 100 + 512 * (1 + (index % 100))),
    }));
    const header = { uniqueId: crypto.randomUUID(), createdAt: new Date('2026-01-02T03:04:05Z') };
    const totals = { entryCount: 400, dataBytes: writes.reduce((sum, each) => sum + each.data.length, 0) };
    async function* generated() {
      yield* writes;
    }
    const { blocksUrl } = await urls(name);
    const sent = await streamLog({ writes: generated(), header, totals, blocksUrl, statement: {} });
    const blob = await stored(name);
    expect(blob.bytes.equals(Buffer.from(buildHrl(writes, header)))).toBe(true);
    expect(blob.info.metadata['sha256']).toBe(sha256(blob.bytes));
    expect(sent).toEqual({ sha256: sha256(blob.bytes), sizeBytes: blob.bytes.length });
    const short = streamLog({
      ...{ writes: generated(), header, totals: { ...totals, entryCount: 401 }, statement: {} },
      blocksUrl: (await urls('item/000000000003/streamed.hrl')).blocksUrl,
    });
    await expect(short).rejects.toThrow('holds what its header says');
    expect(await storage.deltas.find('item/000000000003/streamed.hrl')).toBeUndefined();
  });
});

describe('bandwidth', () => {
  const office: BandwidthSchedule = {
    timeZone: 'Europe/Berlin',
    bytesPerSecond: null,
    hours: [
      { days: [1, 2, 3, 4, 5], startMinute: 8 * 60, endMinute: 18 * 60, bytesPerSecond: 1000 },
      { days: [5], startMinute: 22 * 60, endMinute: 6 * 60, bytesPerSecond: 5 },
    ],
  };

  it.each([
    ['2026-11-24T07:00:00Z', 1000],
    ['2026-11-24T06:59:59Z', null],
    ['2026-11-24T17:00:00Z', null],
    ['2026-11-28T12:00:00Z', null],
    ['2026-11-27T21:00:00Z', 5],
    ['2026-11-28T04:59:00Z', 5],
    ['2026-11-28T05:00:00Z', null],
    ['2026-07-01T06:00:00Z', 1000],
  ])('at %s the limit is %s', (at, limit) => {
    expect(limitAt(office, new Date(at))).toBe(limit);
  });

  it('never sends more than the limit allows, and hardly less', async () => {
    const takes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 2, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(takes, fc.integer({ min: 100, max: 10_000 }), async (sizes, bytesPerSecond) => {
        let nowMs = 1_000_000;
        const limiter = new BandwidthLimiter(
          { timeZone: 'UTC', bytesPerSecond, hours: [] },
          { now: () => new Date(nowMs), sleep: async (ms) => void (nowMs += ms) },
        );
        const startMs = nowMs;
        for (const size of sizes) await limiter.take(size);
        const sent = sizes.slice(0, -1).reduce((sum, size) => sum + size, 0);
        const leastMs = (sent * 1000) / bytesPerSecond;
        expect(nowMs - startMs).toBeGreaterThanOrEqual(leastMs - sizes.length);
        expect(nowMs - startMs).toBeLessThanOrEqual(leastMs + 2 * sizes.length);
      }),
    );
  });

  it('lets go of who gives up, and of nobody else', async () => {
    const limiter = new BandwidthLimiter({ timeZone: 'UTC', bytesPerSecond: 1000, hours: [] });
    const controller = new AbortController();
    await limiter.take(100_000);
    const waiting = limiter.take(1, controller.signal);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow();
  });
});
