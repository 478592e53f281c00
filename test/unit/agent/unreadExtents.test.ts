// A log whose writes are read to where they go is the log whose writes were read before, whatever the source can do.
import { createHash, randomFillSync } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeDeltaLog, type DeltaLogOptions } from '../../../agent/deltaLog.ts';
import { openDiskSource } from '../../../agent/diskSource.ts';
import { joinExtents, totalsOfExtents } from '../../../agent/extents.ts';
import { unreadExtents } from '../../../agent/unreadExtents.ts';
import { memorySource, type RandomAccessSource } from '../../../lib/disk/source.ts';
import { readHrl } from '../../../lib/hrl/reader.ts';
import { buildHrl } from '../../../lib/hrl/writer.ts';
import type { ByteRange } from '../../../lib/storage/ports.ts';

const mib = 1024 * 1024;
const disk = randomFillSync(new Uint8Array(24 * mib));
const header = {
  uniqueId: 'aaaaaaaa-0000-4000-8000-000000000001',
  createdAt: new Date('2026-05-01T10:00:00Z'),
};
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lifeboat-unread-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const abilities = ['read', 'readInto', 'readNow', 'sometimes readNow'] as const;

/** The disk as a source that can do so much, with reads that end late and in another order; and how many are under way. */
function sourceOf(ability: (typeof abilities)[number], failsAt = Infinity) {
  const state = { underWay: 0, asked: 0 };
  const ended = async (): Promise<void> => {
    const turns = ++state.asked % 4;
    state.underWay++;
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    state.underWay--;
    if (state.asked >= failsAt) throw new Error('the disk is broken');
  };
  const source: RandomAccessSource = {
    sizeBytes: disk.length,
    async read(offsetBytes, lengthBytes) {
      await ended();
      return disk.subarray(offsetBytes, offsetBytes + lengthBytes);
    },
  };
  if (ability !== 'read')
    source.readInto = async (offsetBytes, target) => {
      await ended();
      target.set(disk.subarray(offsetBytes, offsetBytes + target.length));
    };
  if (ability.endsWith('readNow'))
    source.readNow = (offsetBytes, target) => {
      if (ability !== 'readNow' && ++state.asked % 3 > 0) return false;
      target.set(disk.subarray(offsetBytes, offsetBytes + target.length));
      return true;
    };
  return { source, state };
}

/** What the log has to be, by an encoder that has all of it in memory. */
function expectedLog(extents: readonly ByteRange[], options: object = {}): Uint8Array {
  const writes = [...unreadExtents(memorySource(disk), extents)].map(({ diskOffset, lengthBytes }) => {
    return { diskOffset, data: disk.subarray(diskOffset, diskOffset + lengthBytes) };
  });
  return buildHrl(writes, { ...header, ...options });
}

async function writeLog(
  source: RandomAccessSource,
  extents: readonly ByteRange[],
  options: Partial<DeltaLogOptions> = {},
) {
  const path = join(folder, 'log.hrl');
  const log = await writeDeltaLog(path, unreadExtents(source, extents), {
    ...header,
    expected: totalsOfExtents(extents),
    replace: true,
    ...options,
  });
  return { log, bytes: await readFile(path) };
}

const sectors = (most: number) => fc.integer({ min: 1, max: most });
/** Gaps that are read over and gaps that are not; short extents, and such that fill several buffers. */
const arbitraryExtents = fc
  .array(
    fc.record({
      gap: fc.oneof(sectors(8), sectors(200)),
      length: fc.oneof({ arbitrary: sectors(64), weight: 8 }, sectors(3 * 2048), fc.constant(9000)),
    }),
    { maxLength: 40 },
  )
  .map((steps) => {
    let offsetBytes = 0;
    const extents = steps.map(({ gap, length }) => {
      const extent = { offsetBytes: offsetBytes + gap * 512, lengthBytes: length * 512 };
      offsetBytes = extent.offsetBytes + extent.lengthBytes;
      return extent;
    });
    return extents.filter((extent) => extent.offsetBytes + extent.lengthBytes <= disk.length);
  });

describe('unread extents', () => {
  it.each(abilities)('become the same log from a source with %s', async (ability) => {
    await fc.assert(
      fc.asyncProperty(arbitraryExtents, async (extents) => {
        const { bytes, log } = await writeLog(sourceOf(ability).source, extents);
        expect(Buffer.compare(bytes, expectedLog(extents))).toBe(0);
        expect(log.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
        expect(log.dataBytes).toBe(totalsOfExtents(extents).dataBytes);
      }),
      { numRuns: 20 },
    );
  });

  it('become the same log from a file, digested by a thread, and with checksums of the data', async () => {
    await writeFile(join(folder, 'disk'), disk);
    await using source = await openDiskSource(join(folder, 'disk'));
    const ranges = Array.from({ length: 900 }, (_, index) => {
      return { offsetBytes: index * 24_576, lengthBytes: index % 9 === 0 ? 300 * 512 : 4096 };
    });
    const extents = joinExtents(ranges).filter((each) => each.offsetBytes + each.lengthBytes <= disk.length);
    const expected = { entryCount: 1, dataBytes: 1024 * mib };
    for (const options of [{}, { expected }, { withDataChecksums: true }]) {
      const { bytes, log } = await writeLog(source, extents, options);
      expect(Buffer.compare(bytes, expectedLog(extents, options))).toBe(0);
      expect(log.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    }
  });

  it.each(['read', 'readInto', 'sometimes readNow'] as const)(
    'leave no log and no read behind when %s fails',
    async (ability) => {
      const extents = Array.from({ length: 300 }, (_, index) => {
        return { offsetBytes: index * 80_000 - ((index * 80_000) % 512), lengthBytes: 8192 };
      });
      for (const failsAt of [1, 2, 17, 290]) {
        const { source, state } = sourceOf(ability, failsAt);
        await expect(writeLog(source, extents)).rejects.toThrow('the disk is broken');
        expect(state.underWay).toBe(0);
        expect(await readdir(folder)).toEqual([]);
      }
    },
  );

  it('leave no log and no read behind when they are aborted', async () => {
    const { source, state } = sourceOf('readInto');
    const controller = new AbortController();
    const extents = [{ offsetBytes: 0, lengthBytes: disk.length }];
    const onProgress = (dataBytes: number): void => {
      if (dataBytes > 10 * mib) controller.abort(new Error('enough'));
    };
    const writing = writeLog(source, extents, { signal: controller.signal, onProgress });
    await expect(writing).rejects.toThrow('enough');
    expect(state.underWay).toBe(0);
    expect(await readdir(folder)).toEqual([]);
  });

  it('a file that was cut short meanwhile is an error, not a log of other bytes', async () => {
    const path = join(folder, 'disk');
    await writeFile(path, disk);
    await using source = await openDiskSource(path);
    await truncate(path, 8 * mib + 100);
    const writing = writeLog(source, [{ offsetBytes: 8 * mib - 4096, lengthBytes: 8192 }]);
    await expect(writing).rejects.toMatchObject({ code: 'FileUnreadable' });
    expect(await readdir(folder)).toEqual(['disk']);
  });

  it('are cut into writes that a page write takes', async () => {
    const { bytes } = await writeLog(memorySource(disk), [{ offsetBytes: 512, lengthBytes: 9 * mib }]);
    const { entries } = await readHrl(memorySource(bytes));
    expect(entries.count).toBe(3);
  });
});
