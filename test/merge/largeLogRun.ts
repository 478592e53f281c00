// The program of largeLog.test.ts, run alone in a process so that its memory is its own: verifies, plans and applies
// a 3 GiB log into a target that checks every sector and keeps none, then plans a million overlapping writes; or, with
// the argument `many`, merges several logs at once.
import { tmpdir } from 'node:os';
import { scratchFolder } from '../../functions/scratchFolder.ts';
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import { allocateEntries } from '../../lib/hrl/entries.ts';
import { verifyHrl } from '../../lib/hrl/verify.ts';
import { applyMerge, type PageTarget } from '../../lib/merge/apply.ts';
import { mergeMemory } from '../../lib/merge/byteBudget.ts';
import { KeptLog } from '../../lib/merge/keptLog.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { totalLength } from '../../lib/merge/segments.ts';
import { generatedLog, readStamp } from './generatedLog.ts';

const mib = 1024 * 1024;
/** As the product has it, but less, to spare the disk. */
const scratch = scratchFolder(tmpdir(), 256 * mib);
const entryBytes = 16_384;
const blockCount = 1548;
const entryCount = blockCount * 127;
// Fewer places than entries: about a quarter of the log is superseded. The step scatters them over the disk.
const placeCount = 150_001;
const diskOffsetOf = (entry: number): number => ((entry * 48_271) % placeCount) * entryBytes;

let peakBytes = 0;
const startBytes = process.memoryUsage.rss();
const sample = (): void => {
  peakBytes = Math.max(peakBytes, process.memoryUsage.rss() - startBytes);
};

/** Samples memory at every read: that is when the buffers of both sides are alive. */
function sampled(source: RandomAccessSource): RandomAccessSource {
  return {
    sizeBytes: source.sizeBytes,
    read: async (offsetBytes, lengthBytes) => {
      const bytes = await source.read(offsetBytes, lengthBytes);
      sample();
      return bytes;
    },
  };
}

/** Checks that each sector that arrives is the newest for its place, and counts. */
function checkingTarget(): { target: PageTarget; landed: () => number } {
  const newest = new Uint32Array(placeCount);
  for (let entry = 0; entry < entryCount; entry++) newest[diskOffsetOf(entry) / entryBytes] = entry;
  let landedBytes = 0;
  const target: PageTarget = {
    writePages: async (offsetBytes, data) => {
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      for (let at = 0; at < data.length; at += 512) {
        const place = Math.floor((offsetBytes + at) / entryBytes);
        const { entry, sector } = readStamp(view, at);
        if (entry !== newest[place] || sector !== ((offsetBytes + at) % entryBytes) / 512) {
          throw new Error(
            `sector at ${offsetBytes + at} has sector ${sector} of entry ${entry}, not of ${newest[place] ?? -1}`,
          );
        }
      }
      landedBytes += data.length;
    },
    clearPages: async ({ offsetBytes }) => {
      throw new Error(`nothing in this log is zero, but ${offsetBytes} is cleared`);
    },
  };
  return { target, landed: () => landedBytes };
}

async function mergeLargeLog(): Promise<object> {
  const source = sampled(generatedLog({ blockCount, entryBytes, diskOffsetOf }));
  const { target, landed } = checkingTarget();
  const startedAt = performance.now();
  const disk = { diskSizeBytes: placeCount * entryBytes };
  using kept = new KeptLog(source.sizeBytes, { scratch });
  const { log, sha256, dataBytes } = await verifyHrl(source, disk, (at, bytes) => kept.take(at, bytes));
  const verifiedAt = performance.now();
  const segments = planMerge(log.entries);
  const plannedAt = performance.now();
  const { keptBytes, spooledBytes } = kept;
  const result = await applyMerge({ source: kept.over(source), segments, target });
  sample();
  const seconds = (from: number, to: number): number => Math.round(to - from) / 1000;
  return {
    sizeBytes: source.sizeBytes,
    sha256,
    dataBytes,
    keptBytes,
    spooledBytes,
    liveBytes: totalLength(segments),
    landedBytes: landed(),
    result,
    verifySeconds: seconds(startedAt, verifiedAt),
    planSeconds: seconds(verifiedAt, plannedAt),
    applySeconds: seconds(plannedAt, performance.now()),
    peakMiB: Math.round(peakBytes / mib),
  };
}

/** Six merges at once, of a quarter GiB each: together they must not hold more than one may. */
async function mergeManyLogs(): Promise<object> {
  const manyBlocks = 130;
  const inDiskOrder = (entry: number): number => entry * entryBytes;
  let writtenBytes = 0;
  const mergeOne = async (): Promise<void> => {
    const log = generatedLog({ blockCount: manyBlocks, entryBytes, diskOffsetOf: inDiskOrder });
    const source = sampled(log);
    // As the check of a cycle does: a log that is being read counts too.
    using kept = new KeptLog(source.sizeBytes, { scratch });
    const release = await mergeMemory.take(16 * mib);
    const disk = { diskSizeBytes: manyBlocks * 127 * entryBytes };
    const { log: read } = await verifyHrl(source, disk, (at, bytes) => kept.take(at, bytes));
    release();
    const target: PageTarget = {
      writePages: async (_offsetBytes, data) => {
        await new Promise((resolve) => setImmediate(resolve));
        writtenBytes += data.length;
        sample();
      },
      clearPages: async () => undefined,
    };
    await applyMerge({ source: kept.over(source), segments: planMerge(read.entries), target });
  };
  await Promise.all(Array.from({ length: 6 }, mergeOne));
  return { manyWrittenBytes: writtenBytes, manyPeakMiB: Math.round(peakBytes / mib) };
}

/** A million writes of 512 bytes to 64 KiB all over 64 GiB, from a fixed seed. */
function planMillion(): object {
  const count = 1_000_000;
  const entries = allocateEntries(count);
  let state = 12_345;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  let dataOffset = 8192;
  for (let index = 0; index < count; index++) {
    entries.diskOffsets[index] = random(2 ** 27) * 512;
    entries.lengths[index] = (1 + random(128)) * 512;
    entries.dataOffsets[index] = dataOffset;
    dataOffset += entries.lengths[index] ?? 0;
  }
  const before = process.memoryUsage.rss();
  const startedAt = performance.now();
  const segments = planMerge(entries);
  return {
    planMillionSeconds: Math.round(performance.now() - startedAt) / 1000,
    planMillionMiB: Math.round((process.memoryUsage.rss() - before) / mib),
    planMillionSegments: segments.count,
  };
}

// One kind of run a process: what the other left uncollected would count as its own.
const report =
  process.argv[2] === 'many' ? await mergeManyLogs() : { ...(await mergeLargeLog()), ...planMillion() };
console.log(JSON.stringify(report));
