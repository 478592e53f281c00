// The merge is what the product claims about a recovery point, so it is held against the plainest possible thing:
// an array of bytes on which the writes are replayed one after another.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../lib/disk/source.ts';
import type { HrlEntries } from '../../lib/hrl/entries.ts';
import { readHrl } from '../../lib/hrl/reader.ts';
import type { HrlWrite } from '../../lib/hrl/writer.ts';
import { applyMerge, type MergeResult } from '../../lib/merge/apply.ts';
import { ascendingOrder } from '../../lib/merge/order.ts';
import { estimateMerge, planMerge, planWindows, type Segments } from '../../lib/merge/plan.ts';
import {
  arbitraryOptions,
  arbitraryWrites,
  diskSectors,
  diskSizeBytes,
  logOf,
  replay,
} from '../merge/arbitraryWrites.ts';
import type { WindowOrder } from '../../lib/merge/windows.ts';
import { memoryTarget, type MemoryTarget } from '../merge/memoryTarget.ts';

const oldBytes = Uint8Array.from({ length: diskSizeBytes }, (_unused, at) => (at * 7 + (at >> 9)) % 256);
const oldDisk = (): Uint8Array => oldBytes.slice();

const arbitraryWindowBytes = fc.constantFrom(512, 1536, 4096, 65_536, 32 * 1024 * 1024);

const arbitraryOrder = fc.constantFrom<WindowOrder>('log', 'disk');

async function mergeLog(
  log: Uint8Array,
  target: MemoryTarget,
  windowBytes: number,
  order?: WindowOrder,
): Promise<MergeResult> {
  const source = memorySource(log);
  const { entries } = await readHrl(source);
  return applyMerge({ source, segments: planMerge(entries), target, windowBytes, ...(order && { order }) });
}

describe('apply', () => {
  it('any logs merged in turn equal the writes replayed one after another', async () => {
    const arbitraryLogs = fc.array(fc.tuple(arbitraryWrites, arbitraryOptions), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(
        arbitraryLogs,
        arbitraryWindowBytes,
        arbitraryOrder,
        async (logs, windowBytes, order) => {
          const target = memoryTarget(oldDisk());
          let expected = oldDisk();
          for (const [writes, options] of logs) {
            await mergeLog(logOf(writes, options), target, windowBytes, order);
            expected = replay(expected, writes);
          }
          expect(Buffer.compare(target.disk, expected)).toBe(0);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('a log merged twice, also after a merge that failed anywhere, equals the log merged once', async () => {
    await fc.assert(
      fc.asyncProperty(
        arbitraryWrites,
        fc.nat(30),
        arbitraryWindowBytes,
        async (writes, failAt, windowBytes) => {
          const log = logOf(writes);
          let calls = 0;
          const failing = memoryTarget(oldDisk(), {
            before: () => {
              if (calls++ === failAt) throw new Error('the storage went away');
            },
          });
          await mergeLog(log, failing, windowBytes).catch((error: unknown) => {
            expect(error).toMatchObject({ message: 'the storage went away' });
          });
          const target = memoryTarget(failing.disk);
          await mergeLog(log, target, windowBytes);
          expect(Buffer.compare(target.disk, replay(oldDisk(), writes))).toBe(0);
          await mergeLog(log, target, windowBytes);
          expect(Buffer.compare(target.disk, replay(oldDisk(), writes))).toBe(0);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('touches each dirty byte exactly once and no other, and counts what it did', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryWrites, arbitraryWindowBytes, async (writes, windowBytes) => {
        const target = memoryTarget(oldDisk());
        const result = await mergeLog(logOf(writes), target, windowBytes);
        const touched = new Uint8Array(diskSectors);
        for (const { offsetBytes, lengthBytes } of target.calls) {
          for (let at = offsetBytes; at < offsetBytes + lengthBytes; at += 512) touched[at / 512]! += 1;
        }
        expect([...touched]).toEqual([...dirtySectors(writes)]);
        const ofKind = (kind: string) => target.calls.filter((call) => call.kind === kind);
        const bytesOf = (kind: string) => ofKind(kind).reduce((sum, call) => sum + call.lengthBytes, 0);
        expect(result).toMatchObject({
          writeRequests: ofKind('write').length,
          clearRequests: ofKind('clear').length,
          writtenBytes: bytesOf('write'),
          clearedBytes: bytesOf('clear'),
        });
      }),
      { numRuns: 100 },
    );
  });
});

describe('plan', () => {
  it('is disjoint, ascending, aligned, and takes each sector from the last write that covers it', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryWrites, arbitraryOptions, async (writes, options) => {
        const { entries } = await readHrl(memorySource(logOf(writes, options)));
        expect(sectorsOfPlan(planMerge(entries))).toEqual(newestSectors(entries));
      }),
    );
  });

  it('windows hold the plan exactly, in bounded pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        arbitraryWrites,
        arbitraryWindowBytes,
        arbitraryOrder,
        async (writes, windowBytes, order) => {
          const { entries } = await readHrl(memorySource(logOf(writes)));
          const plan = planMerge(entries);
          const sectors = new Map<number, number>();
          let requests = 0;
          for (const window of planWindows(plan, windowBytes, order)) {
            expect(window.dataBytes).toBeLessThanOrEqual(windowBytes);
            expect(window.writes.reduce((sum, { length }) => sum + length, 0)).toBe(window.dataBytes);
            let end = -1;
            for (const write of window.writes) {
              // Two writes that touch were not joined only because the first is full.
              expect(write.diskOffset).toBeGreaterThan(end);
              end = write.diskOffset + write.length;
              requests++;
              let at = write.diskOffset;
              for (const piece of write.pieces) {
                for (let done = 0; done < piece.length; done += 512)
                  sectors.set((at + done) / 512, piece.dataOffset + done);
                at += piece.length;
              }
              expect(at).toBe(end);
            }
          }
          expect(new Map([...sectors].sort(([a], [b]) => a - b))).toEqual(sectorsOfPlan(plan));
          const estimate = estimateMerge(plan, windowBytes);
          expect(estimate.bytes).toBe(sectors.size * 512);
          if (estimate.order === order) expect(estimate.requests).toBe(requests);
        },
      ),
    );
  });

  it('order sorts like a comparator, equal keys in index order', () => {
    const arbitraryKeys = fc.array(fc.oneof(fc.nat(5), fc.nat(), fc.maxSafeNat()), { maxLength: 200 });
    fc.assert(
      fc.property(arbitraryKeys, (keys) => {
        const expected = keys.map((_key, index) => index).sort((a, b) => keys[a]! - keys[b]! || a - b);
        expect([...ascendingOrder(Float64Array.from(keys))]).toEqual(expected);
      }),
    );
  });
});

function dirtySectors(writes: readonly HrlWrite[]): Uint8Array {
  const dirty = new Uint8Array(diskSectors);
  for (const { diskOffset, data } of writes)
    dirty.fill(1, diskOffset / 512, (diskOffset + data.length) / 512);
  return dirty;
}

/** Disk sector → offset in the log, from the entries, by brute force. */
function newestSectors(entries: HrlEntries): Map<number, number> {
  const newest = new Map<number, number>();
  for (let index = 0; index < entries.count; index++) {
    for (let done = 0; done < entries.lengths[index]!; done += 512) {
      newest.set((entries.diskOffsets[index]! + done) / 512, entries.dataOffsets[index]! + done);
    }
  }
  return new Map([...newest].sort(([a], [b]) => a - b));
}

/** The same map from a plan; checks on the way that segments ascend and do not overlap. */
function sectorsOfPlan(plan: Segments): Map<number, number> {
  const sectors = new Map<number, number>();
  let end = 0;
  for (let index = 0; index < plan.count; index++) {
    const diskOffset = plan.diskOffsets[index]!;
    expect(diskOffset).toBeGreaterThanOrEqual(end);
    end = diskOffset + plan.lengths[index]!;
    for (let at = diskOffset; at < end; at += 512) {
      sectors.set(at / 512, plan.dataOffsets[index]! + at - diskOffset);
    }
  }
  return sectors;
}
