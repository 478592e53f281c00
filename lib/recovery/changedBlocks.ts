// Where a recovered disk differs from the replica, found by comparing what either side has allocated: blocks that neither
// side ever wrote are not read.
import { forEachBounded } from '../merge/bounded.ts';
import { pageSizeBytes, type ByteRange, type PageBlobPort } from '../storage/ports.ts';
import { blockBytes, blocksOf, spansOf } from './diskDigest.ts';

/** One side of the comparison. */
export interface ComparedDisk {
  port: PageBlobPort;
  name: string;
  snapshotId?: string;
}

/** Neighbours closer than this are one difference: an entry of a log, and a request, cost more than the bytes between. */
const joinBytes = 16 * 1024;
const blocksAtOnce = 4;

/** Differences of the first `sizeBytes`, ascending, in whole pages, cut at block borders. */
export async function differences(a: ComparedDisk, b: ComparedDisk, sizeBytes: number): Promise<ByteRange[]> {
  const found: ByteRange[] = [];
  for (const span of spansOf(sizeBytes)) {
    const ranges = await Promise.all(
      [a, b].map(({ port, name, snapshotId }) => port.listRanges(name, span, snapshotId)),
    );
    const touched = new Set(ranges.flat().flatMap((range) => blocksTouched(range, span)));
    const inSpan: ByteRange[][] = [];
    const blocks = [...blocksOf(span).entries()].filter(([index]) => touched.has(index));
    await forEachBounded(blocks, { concurrency: blocksAtOnce }, async ([index, block]) => {
      const [one, other] = await Promise.all(
        [a, b].map(({ port, name, snapshotId }) => port.read(name, block, snapshotId)),
      );
      inSpan[index] = pageDifferences(block.offsetBytes, one ?? new Uint8Array(), other ?? new Uint8Array());
    });
    found.push(...inSpan.flat());
  }
  return found;
}

function blocksTouched({ offsetBytes, lengthBytes }: ByteRange, span: ByteRange): number[] {
  const first = Math.floor((offsetBytes - span.offsetBytes) / blockBytes);
  const last = Math.floor((offsetBytes + lengthBytes - 1 - span.offsetBytes) / blockBytes);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function pageDifferences(start: number, one: Uint8Array, other: Uint8Array): ByteRange[] {
  const ranges: ByteRange[] = [];
  if (Buffer.compare(one, other) === 0) return ranges;
  for (let at = 0; at < one.length; at += pageSizeBytes) {
    const end = at + pageSizeBytes;
    if (Buffer.compare(one.subarray(at, end), other.subarray(at, end)) === 0) continue;
    const last = ranges.at(-1);
    const lastEnd = last === undefined ? -1 : last.offsetBytes + last.lengthBytes - start;
    if (last !== undefined && at - lastEnd <= joinBytes) last.lengthBytes = start + end - last.offsetBytes;
    else ranges.push({ offsetBytes: start + at, lengthBytes: pageSizeBytes });
  }
  return ranges;
}
