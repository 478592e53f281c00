// A merge of a log that was kept since its check: the disk that replaying the writes gives, whatever part of the log is in
// memory, in scratch space or nowhere, whatever the scratch space does, and whether short pieces or long runs are read.
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { concatenatedSource } from '../../lib/disk/concatenated.ts';
import { memorySource, type RandomAccessSource } from '../../lib/disk/source.ts';
import { verifyHrl } from '../../lib/hrl/verify.ts';
import type { HrlWrite } from '../../lib/hrl/writer.ts';
import { applyMerge } from '../../lib/merge/apply.ts';
import { ByteBudget } from '../../lib/merge/byteBudget.ts';
import { KeptLog } from '../../lib/merge/keptLog.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { totalLength } from '../../lib/merge/segments.ts';
import { logOf, replay } from '../merge/arbitraryWrites.ts';
import { scratchOf, type Damage } from '../merge/memoryScratch.ts';
import { memoryTarget } from '../merge/memoryTarget.ts';

const mib = 1024 * 1024;
const diskBytes = 6 * mib;

/** Sectors that are all different, in one long write or many short ones that follow each other, or do not. */
const arbitraryWrites: fc.Arbitrary<HrlWrite[]> = fc
  .array(
    fc.record({
      sector: fc.nat(diskBytes / 512 - 1),
      sectors: fc.oneof(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1024, max: 6144 })),
      pieceSectors: fc.constantFrom(8, 1024, 8192),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((runs) =>
    runs.flatMap(({ sector, sectors, pieceSectors }, run) => {
      const lastSector = Math.min(sector + sectors, diskBytes / 512);
      const writes: HrlWrite[] = [];
      for (let start = sector; start < lastSector; start += pieceSectors) {
        const count = Math.min(pieceSectors, lastSector - start);
        const data = new Uint8Array(count * 512);
        for (let at = 0; at < count; at++)
          data.fill(1 + ((run * 89 + start + at) % 251), at * 512, at * 512 + 512);
        writes.push({ diskOffset: start * 512, data });
      }
      return writes;
    }),
  );

/** A source that fills arrays of the caller, as files do. */
function fillingSource(bytes: Uint8Array): RandomAccessSource {
  const source = memorySource(bytes);
  const { sizeBytes } = source;
  return {
    sizeBytes,
    read: (offsetBytes, lengthBytes) => source.read(offsetBytes, lengthBytes),
    async readInto(offsetBytes, target) {
      target.set(await source.read(offsetBytes, target.length));
    },
  };
}

async function mergedDisk(source: RandomAccessSource, log: Uint8Array): Promise<Uint8Array> {
  const target = memoryTarget(new Uint8Array(diskBytes).fill(0xee));
  const { log: read } = await verifyHrl(memorySource(log), { diskSizeBytes: diskBytes });
  await applyMerge({ source, segments: planMerge(read.entries), target, windowBytes: 2 * mib });
  return target.disk;
}

const damages = ['none', 'write fails', 'read fails', 'byte changes', 'no room', 'open fails'] as const;

it('gives the disk that replaying the writes gives, kept in part, in scratch space that may be bad', async () => {
  await fc.assert(
    fc.asyncProperty(
      arbitraryWrites,
      fc.record({ memoryBytes: fc.nat(4 * mib), scratchBytes: fc.nat(8 * mib) }),
      fc.constantFrom<Damage>(...damages),
      fc.boolean(),
      async (writes, { memoryBytes, scratchBytes }, damage, isGivenUp) => {
        const log = logOf(writes);
        const memory = new ByteBudget(64 * mib, 64 * mib - memoryBytes);
        using kept = new KeptLog(log.length, { memory, scratch: scratchOf(scratchBytes, damage) });
        await verifyHrl(memorySource(log), { diskSizeBytes: diskBytes }, (at, bytes) => kept.take(at, bytes));
        if (isGivenUp) (await memory.take(64 * mib))();
        const disk = await mergedDisk(kept.over(memorySource(log)), log);
        expect(Buffer.compare(disk, replay(new Uint8Array(diskBytes).fill(0xee), writes))).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});

it('reads of a log what the disk will hold and nothing else, where reads cost nothing beside their bytes', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryWrites, async (writes) => {
      const log = logOf(writes);
      const { log: read } = await verifyHrl(memorySource(log), { diskSizeBytes: diskBytes });
      const segments = planMerge(read.entries);
      const run = async (readCostBytes: number) => {
        // Two files end to end cost as much as the dearer of them.
        const source = concatenatedSource([
          { ...memorySource(log), readCostBytes },
          { ...memorySource(new Uint8Array(0)), readCostBytes: 0 },
        ]);
        const target = memoryTarget(new Uint8Array(diskBytes).fill(0xee));
        const { readBytes } = await applyMerge({ source, segments, target, windowBytes: 2 * mib });
        expect(Buffer.compare(target.disk, replay(new Uint8Array(diskBytes).fill(0xee), writes))).toBe(0);
        return readBytes;
      };
      const liveBytes = totalLength(segments);
      expect(await run(0)).toBe(liveBytes);
      expect(await run(64 * 1024)).toBeGreaterThanOrEqual(liveBytes);
    }),
    { numRuns: 30 },
  );
});

it('gives it too when the log fills arrays by itself, as a file does', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryWrites, async (writes) => {
      const log = logOf(writes);
      const disk = await mergedDisk(fillingSource(log), log);
      expect(Buffer.compare(disk, replay(new Uint8Array(diskBytes).fill(0xee), writes))).toBe(0);
    }),
    { numRuns: 30 },
  );
});
