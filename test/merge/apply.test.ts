// Applying plans: what is in flight, how it stops, what it sends, and that it works through the page-blob port.
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../lib/disk/source.ts';
import { readHrl } from '../../lib/hrl/reader.ts';
import type { HrlWrite } from '../../lib/hrl/writer.ts';
import { applyMerge, type MergeInput, type PageTarget } from '../../lib/merge/apply.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { memoryStorage } from '../../lib/storage/memory/index.ts';
import { logOf } from './arbitraryWrites.ts';
import { memoryTarget } from './memoryTarget.ts';

const mib = 1024 * 1024;
const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

/** Forty scattered writes of 4 KiB. */
const scattered: HrlWrite[] = Array.from({ length: 40 }, (_unused, index) => ({
  diskOffset: index * 16_384,
  data: filled(4096, index + 1),
}));

async function merge(writes: HrlWrite[], target: PageTarget, options: Partial<MergeInput> = {}) {
  const source = memorySource(logOf(writes));
  const { entries } = await readHrl(source);
  return applyMerge({ source, segments: planMerge(entries), target, ...options });
}

describe('in flight', () => {
  it.each([1, 4, 7])('at most %i writes at once, and that many', async (concurrency) => {
    const target = memoryTarget(new Uint8Array(mib), {
      before: () => new Promise((resolve) => setImmediate(resolve)),
    });
    await merge(scattered, target, { concurrency });
    expect(target.mostInFlight()).toBe(concurrency);
  });

  it('after an error nothing is started, and nothing is in flight any more when it is thrown', async () => {
    let running = 0;
    const target = memoryTarget(new Uint8Array(mib), {
      before: async ({ offsetBytes }) => {
        running++;
        await new Promise((resolve) => setImmediate(resolve));
        if (offsetBytes === 5 * 16_384) {
          running--;
          throw new Error('refused');
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
        running--;
      },
    });
    await expect(merge(scattered, target, { concurrency: 4 })).rejects.toThrow('refused');
    expect(running).toBe(0);
    const started = target.calls.length;
    expect(started).toBeLessThan(12);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(target.calls).toHaveLength(started);
  });

  it('the next window begins beside the last write of the one before, which keeps its data', async () => {
    const [windowBytes, windowCount] = [4096, 6];
    const data = Uint8Array.from({ length: windowBytes * windowCount }, (_, index) => 1 + (index >> 9));
    // Every other sector, so that each is a write of its own: four a window, in the order of the log.
    const writes = Array.from({ length: data.length / 1024 }, (_, index) => {
      return { diskOffset: index * 1024, data: data.subarray(index * 1024, index * 1024 + 512) };
    });
    const log = logOf(writes);
    const { entries } = await readHrl(memorySource(log));
    let started = 0;
    const disk = new Uint8Array(data.length);
    const lateWrites: PageTarget = {
      async writePages(offsetBytes, part) {
        const turn = started++;
        // The first write waits until none of the others makes progress any more.
        for (let round = 0; round < (turn === 0 ? 200 : 2); round++)
          await new Promise((resolve) => setImmediate(resolve));
        if (turn === 0) startedBesideFirst = started;
        disk.set(part, offsetBytes);
      },
      clearPages: () => Promise.reject(new Error('nothing is zero')),
    };
    let startedBesideFirst = 0;
    await applyMerge({
      source: memorySource(log),
      segments: planMerge(entries),
      target: lateWrites,
      windowBytes: 2048,
      concurrency: 3,
      order: 'log',
    });
    // Both windows whose data is in memory, and not a third over the data of the first.
    expect(startedBesideFirst).toBe(8);
    for (const { diskOffset, data: part } of writes)
      expect(Buffer.compare(disk.subarray(diskOffset, diskOffset + 512), part)).toBe(0);
  });

  it('a merge that failed does not leave its buffers to the next: a write that was given up may still be reading them', async () => {
    const mergeAll = async (value: number, target: PageTarget) =>
      merge([{ diskOffset: 0, data: filled(25 * mib, value) }], target);
    const parts: Uint8Array[] = [];
    const keeping: PageTarget = {
      async writePages(_offset, part) {
        parts.push(part);
        throw new Error('refused');
      },
      clearPages: () => Promise.reject(new Error('nothing is zero')),
    };
    const disk = new Uint8Array(25 * mib);
    // Twice, so that the second begins with buffers of the first.
    for (const value of [1, 2]) await mergeAll(value, memoryTarget(disk));
    await expect(mergeAll(3, keeping)).rejects.toThrow('refused');
    for (const value of [4, 5]) await mergeAll(value, memoryTarget(disk));
    expect(Buffer.compare(disk, filled(disk.length, 5))).toBe(0);
    expect(parts.length).toBeGreaterThan(0);
    for (const part of parts) expect(Buffer.compare(part, filled(part.length, 3))).toBe(0);
  });

  it('a failed read is thrown, also when it was the one ahead', async () => {
    const log = memorySource(logOf(scattered));
    const { entries } = await readHrl(log);
    let reads = 0;
    const source = {
      sizeBytes: log.sizeBytes,
      read: async (offsetBytes: number, lengthBytes: number) => {
        if (++reads === 2) throw new Error('log is gone');
        return log.read(offsetBytes, lengthBytes);
      },
    };
    const target = memoryTarget(new Uint8Array(mib), {
      before: () => new Promise((resolve) => setImmediate(resolve)),
    });
    const merging = applyMerge({ source, segments: planMerge(entries), target, windowBytes: 8192 });
    await expect(merging).rejects.toThrow('log is gone');
    // The window that had been read was still written whole.
    expect(target.calls).toHaveLength(2);
  });
});

describe('abort', () => {
  it('before the start changes nothing', async () => {
    const target = memoryTarget(new Uint8Array(mib));
    await expect(merge(scattered, target, { signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow(
      'stop',
    );
    expect(target.calls).toHaveLength(0);
  });

  it('in the middle lets the writes in flight finish and throws the reason', async () => {
    const controller = new AbortController();
    const target = memoryTarget(new Uint8Array(mib), {
      before: ({ offsetBytes }) => {
        if (offsetBytes === 10 * 16_384) controller.abort(new Error('lock lost'));
      },
    });
    await expect(merge(scattered, target, { signal: controller.signal })).rejects.toThrow('lock lost');
    expect(target.calls.length).toBeGreaterThanOrEqual(11);
    expect(target.calls.length).toBeLessThan(16);
    for (const { offsetBytes } of target.calls)
      expect(target.disk[offsetBytes]).toBe(offsetBytes / 16_384 + 1);
  });
});

describe('requests', () => {
  it('an empty log needs none', async () => {
    const target = memoryTarget(new Uint8Array(mib));
    await expect(merge([], target)).resolves.toEqual({
      writeRequests: 0,
      copyRequests: 0,
      clearRequests: 0,
      writtenBytes: 0,
      copiedBytes: 0,
      clearedBytes: 0,
      readBytes: 0,
    });
  });

  it('zeros are cleared, across writes in one request', async () => {
    const target = memoryTarget(filled(16 * mib, 0xee));
    const writes = [
      { diskOffset: 0, data: filled(512, 3) },
      { diskOffset: 512, data: new Uint8Array(10 * mib - 512) },
      { diskOffset: 10 * mib, data: filled(512, 4) },
      { diskOffset: 12 * mib, data: new Uint8Array(512) },
    ];
    await expect(merge(writes, target)).resolves.toMatchObject({
      writeRequests: 2,
      clearRequests: 2,
      writtenBytes: 1024,
    });
    expect(target.calls.filter(({ kind }) => kind === 'clear')).toEqual([
      { kind: 'clear', offsetBytes: 512, lengthBytes: 10 * mib - 512 },
      { kind: 'clear', offsetBytes: 12 * mib, lengthBytes: 512 },
    ]);
    const expected = filled(16 * mib, 0xee);
    for (const { diskOffset, data } of writes) expected.set(data, diskOffset);
    expect(Buffer.compare(target.disk, expected)).toBe(0);
  });

  it('data that was superseded is not read when there is much of it', async () => {
    const overwritten = { diskOffset: 0, data: filled(6 * mib, 1) };
    const target = memoryTarget(new Uint8Array(8 * mib));
    const result = await merge(
      [
        overwritten,
        { diskOffset: 7 * mib, data: filled(4096, 2) },
        { ...overwritten, data: filled(6 * mib, 3) },
      ],
      target,
    );
    expect(result).toMatchObject({ writeRequests: 3, writtenBytes: 6 * mib + 4096 });
    expect(result.readBytes).toBeLessThan(6 * mib + 64 * 1024);
  });
});

describe('through the page-blob port', () => {
  it('lands under the fence, and not after the fence was raised', async () => {
    const { replicas } = memoryStorage();
    await replicas.create('vm/disk.vhd', 2 * mib);
    await replicas.holdLease('vm/disk.vhd', 'lease-1');
    const boundTo = async (): Promise<PageTarget> => {
      const fence = {
        leaseId: 'lease-1',
        sequenceNumber: await replicas.raiseSequenceNumber('vm/disk.vhd', 'lease-1'),
      };
      return {
        writePages: (offsetBytes, data) => replicas.writePages('vm/disk.vhd', offsetBytes, data, fence),
        clearPages: (range) => replicas.clearPages('vm/disk.vhd', range, fence),
      };
    };
    const older = await boundTo();
    const newer = await boundTo();
    await expect(merge(scattered, older)).rejects.toMatchObject({ code: 'FenceLost' });
    const whole = { offsetBytes: 0, lengthBytes: 2 * mib };
    expect(await replicas.listRanges('vm/disk.vhd', whole)).toEqual([]);

    const writes = [...scattered, { diskOffset: 16_384, data: new Uint8Array(4096) }];
    await merge(writes, newer);
    const expected = new Uint8Array(2 * mib);
    for (const { diskOffset, data } of writes) expected.set(data, diskOffset);
    expect(Buffer.compare(await replicas.read('vm/disk.vhd', whole), expected)).toBe(0);
    // The zeros take no space.
    expect(await replicas.listRanges('vm/disk.vhd', whole)).toHaveLength(39);
  });
});
