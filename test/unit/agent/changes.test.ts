// Properties of finding and reading changes: on a small disk, against a byte array.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findChangedBlocks } from '../../../agent/changedBlocks.ts';
import { maxEntryBytes } from '../../../agent/extentGroups.ts';
import { joinExtents, parseExtents, readExtents } from '../../../agent/extents.ts';
import { ExtentTracker } from '../../../agent/extentTracker.ts';
import { memorySource } from '../../../lib/disk/source.ts';
import type { HrlWrite } from '../../../lib/hrl/writer.ts';
import type { ByteRange } from '../../../lib/storage/ports.ts';
import { arbitraryWrites, diskSizeBytes } from '../../merge/arbitraryWrites.ts';

const arbitraryRanges = fc.array(
  fc
    .record({ start: fc.nat(200), length: fc.integer({ min: 1, max: 60 }) })
    .map(({ start, length }): ByteRange => ({ offsetBytes: start * 512, lengthBytes: length * 512 })),
  { maxLength: 30 },
);

/** Which sectors the ranges cover. */
function sectorsOf(ranges: Iterable<ByteRange>): Set<number> {
  const sectors = new Set<number>();
  for (const { offsetBytes, lengthBytes } of ranges) {
    for (let offset = offsetBytes; offset < offsetBytes + lengthBytes; offset += 512)
      sectors.add(offset / 512);
  }
  return sectors;
}

const ascending = (a: number, b: number): number => a - b;
const sorted = (sectors: Set<number>): number[] => [...sectors].sort(ascending);

function expectDisjoint(ranges: readonly ByteRange[]): void {
  for (const [index, { offsetBytes }] of ranges.entries()) {
    const before = ranges[index - 1];
    // Touching ranges would have been joined.
    if (before) expect(offsetBytes).toBeGreaterThan(before.offsetBytes + before.lengthBytes);
  }
}

async function collect(writes: AsyncIterable<HrlWrite>): Promise<HrlWrite[]> {
  const all: HrlWrite[] = [];
  for await (const { diskOffset, data } of writes) all.push({ diskOffset, data: Uint8Array.from(data) });
  return all;
}

describe('extents', () => {
  it('joining keeps exactly the covered sectors', () => {
    fc.assert(
      fc.property(arbitraryRanges, (ranges) => {
        const joined = joinExtents(ranges);
        expect(sorted(sectorsOf(joined))).toEqual(sorted(sectorsOf(ranges)));
        expectDisjoint(joined);
      }),
    );
  });

  it.each([
    ['{}', 'not a JSON array'],
    ['[', 'not JSON'],
    ['[null]', 'Extent 0: offset'],
    ['[{"offset":0}]', 'Extent 0: length must be a multiple of 512 from 512; found nothing'],
    ['[{"offset":0,"length":512},{"offset":"0","length":512}]', 'Extent 1: offset'],
    ['[{"offset":-512,"length":512}]', 'Extent 0: offset'],
    ['[{"offset":1,"length":512}]', 'Extent 0: offset'],
    ['[{"offset":0,"length":0}]', 'Extent 0: length'],
    ['[{"offset":512,"length":1024}]', 'Extent 0 is [512, 1536), but the disk has 1024 bytes'],
    ['[{"offset":1e300,"length":512}]', 'Extent 0: offset'],
  ])('%s is refused: %s', (text, message) => {
    expect(() => parseExtents(text, 1024)).toThrow(message);
  });

  it('an extent larger than a page write is read in parts', async () => {
    const disk = new Uint8Array(2 * maxEntryBytes + 512).map((_, index) => (index / 512) % 251);
    const writes = await collect(
      readExtents(memorySource(disk), [{ offsetBytes: 0, lengthBytes: disk.length }]),
    );
    expect(writes.map(({ data }) => data.length)).toEqual([maxEntryBytes, maxEntryBytes, 512]);
    expect(Buffer.concat(writes.map(({ data }) => data)).equals(disk)).toBe(true);
  });
});

describe('tracker', () => {
  it('gives every written block once, and nothing twice', () => {
    fc.assert(
      fc.property(arbitraryRanges, arbitraryRanges, (first, second) => {
        const tracker = new ExtentTracker(260 * 512, 512);
        for (const ranges of [first, second]) {
          for (const range of ranges) tracker.add(range);
          const taken = tracker.take();
          expect(sorted(sectorsOf(taken))).toEqual(sorted(sectorsOf(ranges)));
          expectDisjoint(taken);
        }
        expect(tracker.take()).toEqual([]);
      }),
    );
  });

  it('widens writes to whole blocks, never past the disk', () => {
    const tracker = new ExtentTracker(10_000 - (10_000 % 512), 4096);
    tracker.add({ offsetBytes: 4095, lengthBytes: 2 });
    tracker.add({ offsetBytes: 9000, lengthBytes: 700 });
    tracker.add({ offsetBytes: 5, lengthBytes: 0 });
    expect(tracker.take()).toEqual([{ offsetBytes: 0, lengthBytes: 9728 }]);
  });

  it('stays correct when it joins on the way', () => {
    const tracker = new ExtentTracker(2 ** 40);
    for (let index = 0; index < 20_000; index++)
      tracker.add({ offsetBytes: (index % 5000) * 8192, lengthBytes: 4096 });
    expect(tracker.take()).toHaveLength(5000);
  });
});

describe('comparing disks', () => {
  it('applying what differs to the base gives the changed disk', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryWrites, async (writes) => {
        const base = Buffer.alloc(diskSizeBytes, 3);
        const changed = Buffer.from(base);
        for (const { diskOffset, data } of writes) changed.set(data, diskOffset);
        for (const { diskOffset, data } of await collect(
          findChangedBlocks(memorySource(base), memorySource(changed)),
        )) {
          expect(diskOffset % 4096).toBe(0);
          base.set(data, diskOffset);
        }
        expect(base.equals(changed)).toBe(true);
      }),
    );
  });

  it('finds differences on both sides of a chunk, and in a last block that is short', async () => {
    const sizeBytes = maxEntryBytes + 4096 + 512;
    const base = Buffer.alloc(sizeBytes);
    const changed = Buffer.alloc(sizeBytes);
    changed[maxEntryBytes - 1] = 1;
    changed[maxEntryBytes] = 1;
    changed[sizeBytes - 1] = 1;
    const found = await collect(findChangedBlocks(memorySource(base), memorySource(changed)));
    expect(found.map(({ diskOffset, data }) => [diskOffset, data.length])).toEqual([
      [maxEntryBytes - 4096, 4096],
      [maxEntryBytes, 4608],
    ]);
  });

  it('refuses disks of different sizes', async () => {
    const [small, large] = [memorySource(Buffer.alloc(512)), memorySource(Buffer.alloc(1024))];
    await expect(collect(findChangedBlocks(small, large))).rejects.toThrow(
      '512 bytes and the changed disk 1024',
    );
  });
});
