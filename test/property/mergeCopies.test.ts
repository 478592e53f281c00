// Merges that let the service copy: the same disk and no more requests than merges that carry every byte, whatever the
// log holds and whenever the service stops copying. And what is read back must be what the log says.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../lib/disk/source.ts';
import { verifyHrl } from '../../lib/hrl/verify.ts';
import type { HrlWrite } from '../../lib/hrl/writer.ts';
import { applyMerge, type PageTarget } from '../../lib/merge/apply.ts';
import { runsWithin, ZeroRunRecorder } from '../../lib/merge/knownZeros.ts';
import { planMerge, type Segments } from '../../lib/merge/plan.ts';
import { readBack } from '../../lib/merge/readBack.ts';
import { minZeroRunBytes } from '../../lib/merge/zeroRuns.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import { logOf, replay } from '../merge/arbitraryWrites.ts';
import { memoryTarget } from '../merge/memoryTarget.ts';

const kib = 1024;
const diskBytes = 3 * 1024 * kib;
const oldDisk = (): Uint8Array => new Uint8Array(diskBytes).fill(0xee);

/** Writes up to the whole disk; each is a pattern with one stretch of zeros in it. */
const arbitraryWrite: fc.Arbitrary<HrlWrite> = fc
  .record({
    sector: fc.nat(diskBytes / 512 - 1),
    sectors: fc.integer({ min: 1, max: diskBytes / 512 }),
    zeroFrom: fc.nat(1500),
    zeroSectors: fc.oneof(fc.constant(0), fc.nat(2000)),
    value: fc.integer({ min: 1, max: 255 }),
  })
  .map(({ sector, sectors, zeroFrom, zeroSectors, value }) => {
    const data = new Uint8Array(Math.min(sectors * 512, diskBytes - sector * 512));
    for (let at = 0; at < data.length; at += 512) data[at + (at % 509)] = value;
    data.fill(0, zeroFrom * 512, (zeroFrom + zeroSectors) * 512);
    return { diskOffset: sector * 512, data };
  });
const arbitraryWrites = fc.array(arbitraryWrite, { minLength: 1, maxLength: 5 });

interface Planned {
  log: Uint8Array;
  segments: Segments;
  zeroRuns: ByteRange[];
}

async function plan(writes: readonly HrlWrite[]): Promise<Planned> {
  const log = logOf(writes);
  const zeros = new ZeroRunRecorder();
  const expected = { diskSizeBytes: diskBytes };
  const { log: read } = await verifyHrl(memorySource(log), expected, (at, bytes) => zeros.take(at, bytes));
  return { log, segments: planMerge(read.entries), zeroRuns: zeros.runs() };
}

/** Copies until `copiesLeft` is used up; from then on the service says that it does not. */
function copyingTarget(disk: Uint8Array, log: Uint8Array, copiesLeft: number) {
  const plain = memoryTarget(disk);
  const target: PageTarget = {
    ...plain,
    copyPages: async ({ offsetBytes, lengthBytes }, logOffsetBytes) => {
      if (copiesLeft-- <= 0) return false;
      await plain.writePages(offsetBytes, log.slice(logOffsetBytes, logOffsetBytes + lengthBytes));
      return true;
    },
  };
  return { target, plain };
}

describe('merging with copies', () => {
  it('gives the disk that replaying the writes gives, also when the service stops copying on the way', async () => {
    await fc.assert(
      fc.asyncProperty(
        arbitraryWrites,
        fc.oneof(fc.constant(Infinity), fc.nat(4)),
        fc.constantFrom(512 * kib, 32 * 1024 * kib),
        async (writes, copies, windowBytes) => {
          const { log, segments, zeroRuns } = await plan(writes);
          const { target, plain } = copyingTarget(oldDisk(), log, copies);
          await applyMerge({ source: memorySource(log), segments, target, zeroRuns, windowBytes });
          expect(Buffer.compare(plain.disk, replay(oldDisk(), writes))).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('sends as many requests and clears as many bytes as carrying does, and reads nothing that it copies', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryWrites, async (writes) => {
        const { log, segments, zeroRuns } = await plan(writes);
        const source = memorySource(log);
        const carried = await applyMerge({ source, segments, target: memoryTarget(oldDisk()) });
        const { target } = copyingTarget(oldDisk(), log, Infinity);
        const copied = await applyMerge({ source, segments, target, zeroRuns });
        expect(copied.writeRequests + copied.copyRequests + copied.clearRequests).toBe(
          carried.writeRequests + carried.clearRequests,
        );
        expect(copied.clearedBytes).toBe(carried.clearedBytes);
        if (copied.writeRequests === 0 && carried.clearRequests === 0) expect(copied.readBytes).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});

describe('zero runs', () => {
  it('are zeros, whole pages, and every long one is found in reads of any size', async () => {
    const arbitraryBytes = arbitraryWrite.map(({ data }) => data);
    fc.assert(
      fc.property(arbitraryBytes, fc.integer({ min: 1, max: 2048 }), (bytes, readSectors) => {
        const recorder = new ZeroRunRecorder();
        const readBytes = readSectors * 512;
        for (let at = 0; at < bytes.length; at += readBytes)
          recorder.take(at, bytes.subarray(at, at + readBytes));
        const runs = recorder.runs();
        for (const { offsetBytes, lengthBytes } of runs) {
          expect([offsetBytes % 512, lengthBytes % 512]).toEqual([0, 0]);
          expect(lengthBytes).toBeGreaterThanOrEqual(minZeroRunBytes);
          expect(bytes.subarray(offsetBytes, offsetBytes + lengthBytes).every((byte) => byte === 0)).toBe(
            true,
          );
        }
        const longest = longestZeroRun(bytes);
        const found = Math.max(0, ...runs.map(({ lengthBytes }) => lengthBytes));
        expect(found).toBe(longest >= minZeroRunBytes ? longest : 0);
      }),
      { numRuns: 60 },
    );
  });

  it('within a range are the parts of the runs that lie in it', () => {
    const runs = [
      { offsetBytes: 0, lengthBytes: 10 },
      { offsetBytes: 20, lengthBytes: 10 },
      { offsetBytes: 40, lengthBytes: 10 },
    ];
    expect([...runsWithin(runs, 5, 45)]).toEqual([
      { offsetBytes: 5, lengthBytes: 5 },
      { offsetBytes: 20, lengthBytes: 10 },
      { offsetBytes: 40, lengthBytes: 5 },
    ]);
    expect([...runsWithin(runs, 10, 20)]).toEqual([]);
    expect([...runsWithin([], 0, 100)]).toEqual([]);
  });
});

function longestZeroRun(bytes: Uint8Array): number {
  let longest = 0;
  let current = 0;
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    current = bytes.subarray(at, at + 512).every((byte) => byte === 0) ? current + 512 : 0;
    longest = Math.max(longest, current);
  }
  return longest;
}

describe('reading back', () => {
  const run = ({ log, segments }: Planned, disk: Uint8Array) =>
    readBack({
      source: memorySource(log),
      segments,
      targetName: 'Replica vm/os',
      readTarget: async ({ offsetBytes, lengthBytes }) => disk.slice(offsetBytes, offsetBytes + lengthBytes),
    });

  it('compares every byte of the plan, and finds any that differs and no other', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryWrites, fc.nat(diskBytes - 1), async (writes, at) => {
        const planned = await plan(writes);
        const disk = replay(oldDisk(), writes);
        const total = planned.segments.lengths.reduce((sum, length) => sum + length, 0);
        expect(await run(planned, disk)).toBe(total);
        disk[at]! ^= 0x10;
        const isWritten = writes.some(
          ({ diskOffset, data }) => at >= diskOffset && at < diskOffset + data.length,
        );
        const outcome = await run(planned, disk).catch((error: unknown) => error);
        if (!isWritten) expect(outcome).toBe(total);
        else {
          expect(outcome).toMatchObject({ code: 'ReplicaVerifyFailed', target: 'Replica vm/os' });
          expect((outcome as Error).message).toContain(`at offset ${at} `);
        }
      }),
      { numRuns: 60 },
    );
  });
});
