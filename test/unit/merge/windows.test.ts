// How plans become requests: joining up to 4 MiB, cutting windows, long reads, runs of zeros.
import { describe, expect, it } from 'vitest';
import { SegmentCollector, type Segments } from '../../../lib/merge/segments.ts';
import { estimateMerge, planMerge, planWindows } from '../../../lib/merge/plan.ts';
import { planReads } from '../../../lib/merge/windowData.ts';
import { minZeroRunBytes, splitZeroRuns } from '../../../lib/merge/zeroRuns.ts';

const kib = 1024;
const mib = 1024 * kib;

function segmentsOf(...rows: [diskOffset: number, length: number, dataOffset: number][]): Segments {
  const collector = new SegmentCollector(1);
  for (const [diskOffset, length, dataOffset] of rows) collector.add(diskOffset, length, dataOffset);
  return collector.take();
}

describe('segments', () => {
  it('join when disk and log both continue, and only then', () => {
    const segments = segmentsOf([0, 512, 8192], [512, 512, 8704], [1024, 512, 20_480], [4096, 512, 20_992]);
    expect([...segments.lengths]).toEqual([1024, 512, 512]);
    expect([...segments.dataOffsets]).toEqual([8192, 20_480, 20_992]);
  });

  it('never grow beyond what a length can hold', () => {
    const half = 2 ** 31;
    expect(segmentsOf([0, half, 0], [half, half, half]).count).toBe(2);
  });
});

describe('planMerge', () => {
  it('cuts an old write in two around a newer one', () => {
    const entries = {
      count: 2,
      diskOffsets: Float64Array.of(0, 4096),
      lengths: Uint32Array.of(12_288, 4096),
      dataOffsets: Float64Array.of(8192, 20_480),
      timestamps: new Uint32Array(2),
      dataChecksums: new Uint32Array(2),
    };
    const { diskOffsets, lengths, dataOffsets } = planMerge(entries);
    expect([...diskOffsets]).toEqual([0, 4096, 8192]);
    expect([...lengths]).toEqual([4096, 4096, 4096]);
    expect([...dataOffsets]).toEqual([8192, 20_480, 16_384]);
  });
});

describe('planWindows', () => {
  it('fills page writes to 4 MiB from pieces that touch on the disk, wherever they are in the log', () => {
    // Twelve MiB of disk, logged backwards in pieces of 1.5 MiB.
    const rows = Array.from({ length: 8 }, (_unused, index): [number, number, number] => [
      index * 1.5 * mib,
      1.5 * mib,
      (8 - index) * 2 * mib,
    ]);
    const [window] = [...planWindows(segmentsOf(...rows))];
    expect(window?.writes.map(({ diskOffset, length }) => [diskOffset / mib, length / mib])).toEqual([
      [0, 4],
      [4, 4],
      [8, 4],
    ]);
  });

  it('takes the next bytes of the log into each window', () => {
    const segments = segmentsOf([0, 3 * mib, 10 * mib], [8 * mib, 3 * mib, 1 * mib]);
    const windows = [...planWindows(segments, 4 * mib)];
    expect(
      windows.map(({ writes }) => writes.map(({ diskOffset, length }) => [diskOffset / mib, length / mib])),
    ).toEqual([
      [
        [0, 1],
        [8, 3],
      ],
      [[1, 2]],
    ]);
  });

  it('refuses a window that is no whole number of pages', () => {
    expect(() => [...planWindows(segmentsOf(), 1000)]).toThrow(RangeError);
    expect(() => [...planWindows(segmentsOf(), 0)]).toThrow(RangeError);
  });

  it('estimates by requests when they are small, by bytes when they are large', () => {
    const scattered = segmentsOf(
      ...Array.from({ length: 5000 }, (_unused, index): [number, number, number] => [
        index * 8192,
        512,
        8192 + index * 512,
      ]),
    );
    expect(estimateMerge(scattered)).toMatchObject({
      requests: 5000,
      bytes: 5000 * 512,
      estimatedSeconds: 10,
    });
    const whole = segmentsOf([0, 600 * mib, 8192]);
    expect(estimateMerge(whole)).toMatchObject({ bytes: 600 * mib, estimatedSeconds: 10 });
    // Windows of 32 MiB are full of writes of 4 MiB.
    expect(estimateMerge(whole).requests).toBe(150);
  });
});

describe('order', () => {
  /** `count` pieces of 4 KiB that fill the disk without a gap, logged in a scattered order. */
  const permuted = (count: number): Segments =>
    segmentsOf(
      ...Array.from({ length: count }, (_unused, place): [number, number, number] => [
        place * 4096,
        4096,
        8192 + ((place * 7919) % count) * 4096,
      ]),
    );

  it('is that of the log when it fits in one window, or when disk order would join nothing', () => {
    expect(estimateMerge(permuted(1000)).order).toBe('log');
    const gaps = permuted(20_000);
    const apart = { ...gaps, diskOffsets: gaps.diskOffsets.map((offset) => offset * 2) };
    expect(estimateMerge(apart)).toMatchObject({ order: 'log', requests: 20_000 });
  });

  it('is that of the disk when the log has dense small writes in no order: few requests instead of thousands', () => {
    const segments = permuted(20_000);
    const inLogOrder = [...planWindows(segments)].reduce((sum, { writes }) => sum + writes.length, 0);
    expect(inLogOrder).toBeGreaterThan(5000);
    const optimum = Math.ceil((20_000 * 4096) / (4 * mib));
    expect(estimateMerge(segments)).toMatchObject({ order: 'disk', requests: optimum });
  });

  it('is that of the log when its data is as sequential as the disk', () => {
    expect(estimateMerge(segmentsOf([0, 600 * mib, 8192])).order).toBe('log');
  });
});

describe('planReads', () => {
  const readsOf = (...rows: [number, number, number][]): [number, number][] =>
    [...planWindows(segmentsOf(...rows))].flatMap((window) =>
      planReads(window.writes).map(({ start, end }): [number, number] => [start, end]),
    );

  it('reads across small superseded data and skips large', () => {
    expect(readsOf([0, 4096, 8192], [8192, 4096, 8192 + 4096 + 128 * kib])).toEqual([
      [8192, 8192 + 8192 + 128 * kib],
    ]);
    expect(readsOf([0, 4096, 8192], [8192, 4096, 8192 + 4096 + 129 * kib])).toHaveLength(2);
  });

  it('reads dense data in long ranges of at most 8 MiB', () => {
    const reads = readsOf([0, 32 * mib, 8192]);
    expect(reads.map(([start, end]) => (end - start) / mib)).toEqual([8, 8, 8, 8]);
  });
});

describe('splitZeroRuns', () => {
  const page = 512;
  const withData = (length: number, ...at: number[]): Uint8Array => {
    const data = new Uint8Array(length);
    for (const offset of at) data[offset] = 1;
    return data;
  };

  it('takes data of zeros whole, however short', () => {
    expect(splitZeroRuns(new Uint8Array(page))).toEqual([{ offset: 0, length: page, isZero: true }]);
  });

  it('leaves short runs in the write', () => {
    const data = withData(minZeroRunBytes + page, 300);
    expect(splitZeroRuns(data.subarray(0, minZeroRunBytes))).toEqual([
      { offset: 0, length: minZeroRunBytes, isZero: false },
    ]);
  });

  it('cuts out a run at the start, in the middle and at the end', () => {
    const run = minZeroRunBytes;
    // One byte at the very end of a page, one in the middle of the next data page.
    const data = withData(3 * run + 2 * page, run + page - 1, 2 * run + page + 77);
    expect(splitZeroRuns(data)).toEqual([
      { offset: 0, length: run, isZero: true },
      { offset: run, length: page, isZero: false },
      { offset: run + page, length: run, isZero: true },
      { offset: 2 * run + page, length: page, isZero: false },
      { offset: 2 * run + 2 * page, length: run, isZero: true },
    ]);
  });

  it('has nothing to say about no data', () => {
    expect(splitZeroRuns(new Uint8Array(0))).toEqual([]);
  });
});
