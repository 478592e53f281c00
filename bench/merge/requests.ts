// Random small writes: how many requests the merge sends, beside the fewest that any merge could send. On a page blob in
// Azure, 500 requests a second are what such a log waits for.
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import { allocateEntries } from '../../lib/hrl/entries.ts';
import { applyMerge } from '../../lib/merge/apply.ts';
import { estimateMerge, planMerge } from '../../lib/merge/plan.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import { randomChanges } from '../generatedChanges.ts';
import type { Measurement } from '../measurements.ts';

const gibibyte = 2 ** 30;
const pageWriteBytes = 4 * 2 ** 20;

export async function benchRequests(progress: (line: string) => void): Promise<Measurement[]> {
  const results: Measurement[] = [];
  for (const [what, diskBytes, logBytes] of [
    ['sparse', 64 * gibibyte, gibibyte / 2],
    ['dense', 2 * gibibyte, gibibyte],
  ] as const) {
    progress(`requests of ${what} random writes`);
    const changes = randomChanges(diskBytes, logBytes, 7);
    const segments = planMerge(entriesOf(changes));
    const { estimatedSeconds } = estimateMerge(segments);
    let requests = 0;
    const countRequest = async (): Promise<void> => {
      requests++;
    };
    const startedAt = performance.now();
    await applyMerge({
      source: nonZeroSource(logBytes),
      segments,
      target: { writePages: countRequest, clearPages: countRequest },
    });
    const seconds = (performance.now() - startedAt) / 1000;
    const fewest = fewestRequests(changes);
    const detail = `${requests} sent, ${fewest} at least; ${changes.length} writes of 4 to 64 KiB on ${diskBytes / gibibyte} GiB`;
    results.push(
      { what: `requests of ${what} random writes / optimum`, value: requests / fewest, unit: '×', detail },
      {
        what: `estimate of ${what} random writes on a page blob in Azure`,
        value: estimatedSeconds,
        unit: 's',
        detail: `${seconds.toFixed(1)} s here into a target that keeps nothing`,
      },
    );
  }
  return results;
}

function entriesOf(changes: readonly ByteRange[]) {
  const entries = allocateEntries(changes.length);
  let dataOffset = 8192;
  changes.forEach(({ offsetBytes, lengthBytes }, index) => {
    entries.diskOffsets[index] = offsetBytes;
    entries.lengths[index] = lengthBytes;
    entries.dataOffsets[index] = dataOffset;
    dataOffset += lengthBytes;
  });
  return entries;
}

/** A log whose bytes do not matter, except that none is zero. */
function nonZeroSource(logBytes: number): RandomAccessSource {
  const bytes = new Uint8Array(8 * 2 ** 20).fill(1);
  return { sizeBytes: logBytes, read: async (_offset, length) => bytes.subarray(0, length) };
}

/** Counted without a plan: the runs of changed bytes, cut at the limit of one page write. */
function fewestRequests(changes: readonly ByteRange[]): number {
  let requests = 0;
  let [start, end] = [0, 0];
  for (const { offsetBytes, lengthBytes } of [...changes].sort((a, b) => a.offsetBytes - b.offsetBytes)) {
    if (offsetBytes > end) {
      requests += Math.ceil((end - start) / pageWriteBytes);
      [start, end] = [offsetBytes, offsetBytes + lengthBytes];
    } else end = Math.max(end, offsetBytes + lengthBytes);
  }
  return requests + Math.ceil((end - start) / pageWriteBytes);
}
