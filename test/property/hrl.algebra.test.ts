// What must hold whatever is in the logs: applying twice equals once, cutting a log in two or joining neighbours changes
// nothing, a chain merged into one log has the effect of the chain, and two logs differ exactly where their effects do.
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { memorySource } from '../../lib/disk/source.ts';
import { readHrl } from '../../lib/hrl/reader.ts';
import { verifyHrl } from '../../lib/hrl/verify.ts';
import { buildHrl, type HrlWrite } from '../../lib/hrl/writer.ts';
import { applyMerge } from '../../lib/merge/apply.ts';
import { diffLogs, type LogDifference } from '../../lib/merge/diffLogs.ts';
import { mergedHeader, readLogChain } from '../../lib/merge/logChain.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { countSegmentData, readSegments } from '../../lib/merge/segmentData.ts';
import { arbitraryOptions, arbitraryWrites, diskSizeBytes, logOf, replay } from '../merge/arbitraryWrites.ts';
import { memoryTarget } from '../merge/memoryTarget.ts';

const arbitraryOldDisk = fc
  .integer({ min: 0, max: 255 })
  .map((value) => new Uint8Array(diskSizeBytes).fill(value));

async function applied(disk: Uint8Array, ...logs: Uint8Array[]): Promise<Buffer> {
  const target = memoryTarget(disk.slice());
  for (const log of logs) {
    const source = memorySource(log);
    const { entries } = await readHrl(source);
    await applyMerge({ source, segments: planMerge(entries), target });
  }
  return Buffer.from(target.disk);
}

const idOf = (index: number): string => `5e1f0a77-0000-4000-8000-${String(index).padStart(12, '0')}`;

/** Logs that follow each other; the first follows log 0. */
function chainOf(lists: readonly (readonly HrlWrite[])[]): Uint8Array[] {
  return lists.map((writes, index) =>
    logOf(writes, { uniqueId: idOf(index + 1), previousUniqueId: idOf(index), metadataSizeBytes: 512 }),
  );
}

async function mergedLog(logs: readonly Uint8Array[]): Promise<Uint8Array> {
  const named = logs.map((log, index) => ({ name: `log ${index}`, source: memorySource(log) }));
  const chain = await readLogChain(named, { diskSizeBytes });
  const segments = planMerge(chain.entries);
  const { options, lastModifiedAt } = mergedHeader(chain);
  const writes: HrlWrite[] = [];
  for await (const { diskOffset, data } of readSegments(chain.source, segments))
    writes.push({ diskOffset, data: data.slice(), timestamp: lastModifiedAt });
  const { entryCount, dataBytes } = countSegmentData(segments);
  expect([writes.length, writes.reduce((sum, { data }) => sum + data.length, 0)]).toEqual([
    entryCount,
    dataBytes,
  ]);
  return buildHrl(writes, options);
}

it('a log applied twice equals the log applied once', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryWrites, arbitraryOptions, arbitraryOldDisk, async (writes, options, disk) => {
      const log = logOf(writes, options);
      expect((await applied(disk, log, log)).equals(await applied(disk, log))).toBe(true);
    }),
  );
});

it('a log cut in two anywhere, or two joined, have the same effect', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryWrites, fc.nat(40), arbitraryOldDisk, async (writes, at, disk) => {
      const parts = chainOf([writes.slice(0, at), writes.slice(at)]);
      const whole = await applied(disk, logOf(writes));
      expect((await applied(disk, ...parts)).equals(whole)).toBe(true);
      expect((await applied(disk, await mergedLog(parts))).equals(whole)).toBe(true);
    }),
  );
});

it('a chain merged into one log has its effect and its place, and writes each place once', async () => {
  const arbitraryLists = fc.array(arbitraryWrites, { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(arbitraryLists, arbitraryOldDisk, async (lists, disk) => {
      const logs = chainOf(lists);
      const merged = await mergedLog(logs);
      expect((await applied(disk, merged)).equals(await applied(disk, ...logs))).toBe(true);
      const { log, dataBytes } = await verifyHrl(memorySource(merged), {
        diskSizeBytes,
        previousUniqueId: idOf(0),
      });
      expect(log.header).toMatchObject({ uniqueId: idOf(lists.length), previousUniqueId: idOf(0) });
      const dirty = new Set(lists.flat().flatMap(sectorsOf));
      expect(dataBytes).toBe(dirty.size * 512);
    }),
  );
});

function sectorsOf({ diskOffset, data }: HrlWrite): number[] {
  return Array.from({ length: data.length / 512 }, (_unused, index) => diskOffset / 512 + index);
}

/** What a log does, sector by sector: its bytes, or nothing. */
function effectOf(writes: readonly HrlWrite[]): (string | undefined)[] {
  const disk = Buffer.from(replay(new Uint8Array(diskSizeBytes), writes));
  const dirty = new Set(writes.flatMap(sectorsOf));
  return Array.from({ length: diskSizeBytes / 512 }, (_unused, sector) =>
    dirty.has(sector) ? disk.toString('latin1', sector * 512, (sector + 1) * 512) : undefined,
  );
}

function kindOf(first: string | undefined, second: string | undefined): LogDifference['kind'] | 'same' {
  if (first === second) return 'same';
  if (second === undefined) return 'only first';
  return first === undefined ? 'only second' : 'other data';
}

it('a comparison finds exactly the sectors whose effect differs, each once, in ranges that cannot be longer', async () => {
  const planned = async (log: Uint8Array) => {
    const source = memorySource(log);
    return { source, segments: planMerge((await readHrl(source)).entries) };
  };
  await fc.assert(
    fc.asyncProperty(arbitraryWrites, arbitraryWrites, arbitraryWrites, async (common, inFirst, inSecond) => {
      const [first, second] = [
        [...common, ...inFirst],
        [...common, ...inSecond],
      ];
      const found = new Map<number, string>();
      let last: LogDifference | undefined;
      for await (const difference of diffLogs(await planned(logOf(first)), await planned(logOf(second)))) {
        const touches =
          last?.kind === difference.kind && last.diskOffset + last.length >= difference.diskOffset;
        expect(touches).toBe(false);
        for (let at = difference.diskOffset; at < difference.diskOffset + difference.length; at += 512) {
          expect(found.has(at / 512)).toBe(false);
          found.set(at / 512, difference.kind);
        }
        last = { ...difference };
      }
      const secondEffect = effectOf(second);
      effectOf(first).forEach((effect, sector) => {
        expect(found.get(sector) ?? 'same').toBe(kindOf(effect, secondEffect[sector]));
      });
    }),
  );
});
