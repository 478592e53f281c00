// Where two disks differ, found by comparing what either side has allocated: blocks that neither side ever wrote are not
// read. The comparison stops as soon as enough was found, and can go on from there.
import { pageSizeBytes, type ByteRange, type PageBlobPort } from '../storage/ports.ts';
import { blockBytes, blocksOf, spansOf } from './diskDigest.ts';

/** A disk that holds still, as far as it can be read. */
export interface DiskView {
  /** Nothing can be read past it. */
  sizeBytes: number;
  /** Ranges inside the window that may hold something else than zeros: ascending, disjoint. */
  listRanges(window: ByteRange): Promise<ByteRange[]>;
  read(range: ByteRange): Promise<Uint8Array>;
}

/** A page blob, or one of its snapshots. */
export function pageBlobView(
  port: PageBlobPort,
  name: string,
  { sizeBytes, snapshotId }: { sizeBytes: number; snapshotId?: string },
): DiskView {
  return {
    sizeBytes,
    listRanges: (window) => port.listRanges(name, window, snapshotId),
    read: (range) => port.read(name, range, snapshotId),
  };
}

export interface Comparison {
  /** The disk as it must be, and as it is elsewhere. */
  wanted: DiskView;
  present: DiskView;
  /** Where the two may differ inside a window, when that is known; undefined = wherever either has bytes. */
  candidates?: (window: ByteRange) => Promise<ByteRange[] | undefined>;
  /** What is compared: half-open, in whole pages. */
  from: number;
  to: number;
  /** Enough of differences for one call; at least this much is found if there is as much. */
  enoughBytes: number;
  /** No further span is begun after this time. */
  hasTime: () => boolean;
}

export interface Differences {
  /** Ascending, in whole pages, cut at block borders. */
  ranges: ByteRange[];
  /** Everything before it was compared. */
  comparedTo: number;
}

/** Neighbours closer than this are one difference: an entry of a log, and a request, cost more than the bytes between. */
const joinBytes = 16 * 1024;
const blocksAtOnce = 4;

/** The differences from `from` on, until there are enough, the time is up, or `to` is reached. */
export async function findDifferences(comparison: Comparison): Promise<Differences> {
  const { from, to, enoughBytes, hasTime } = comparison;
  const found: Differences = { ranges: [], comparedTo: from };
  let foundBytes = 0;
  for (const span of spansOf(to)) {
    const end = span.offsetBytes + span.lengthBytes;
    if (end <= found.comparedTo) continue;
    if (found.comparedTo > from && !hasTime()) return found;
    const blocks = (await blocksToCompare(comparison, span)).filter(
      ({ offsetBytes, lengthBytes }) => offsetBytes + lengthBytes > found.comparedTo,
    );
    for (let at = 0; at < blocks.length; at += blocksAtOnce) {
      const batch = blocks.slice(at, at + blocksAtOnce);
      const inBatch = await Promise.all(batch.map((block) => compareBlock(comparison, block)));
      const last = batch.at(-1);
      if (last) found.comparedTo = last.offsetBytes + last.lengthBytes;
      for (const range of inBatch.flat()) {
        found.ranges.push(range);
        foundBytes += range.lengthBytes;
      }
      if (foundBytes >= enoughBytes) return found;
    }
    found.comparedTo = end;
  }
  return found;
}

async function blocksToCompare(
  { wanted, present, candidates }: Comparison,
  span: ByteRange,
): Promise<ByteRange[]> {
  const known = await candidates?.(span);
  const ranges = known ?? (await Promise.all([wanted.listRanges(span), present.listRanges(span)])).flat();
  const touched = new Set(ranges.flatMap((range) => blocksTouched(range, span)));
  return blocksOf(span).filter((_, index) => touched.has(index));
}

async function compareBlock({ wanted, present }: Comparison, block: ByteRange): Promise<ByteRange[]> {
  const [one, other] = await Promise.all([wanted.read(block), present.read(block)]);
  return pageDifferences(block.offsetBytes, one, other);
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

/** Where the disk holds something else than zeros in [from, its end); undefined when nowhere. */
export async function findBytesFrom(disk: DiskView, from: number): Promise<number | undefined> {
  for (const span of spansOf(disk.sizeBytes)) {
    const start = Math.max(from, span.offsetBytes);
    const end = span.offsetBytes + span.lengthBytes;
    if (start >= end) continue;
    for (const range of await disk.listRanges({ offsetBytes: start, lengthBytes: end - start })) {
      for (let at = range.offsetBytes; at < range.offsetBytes + range.lengthBytes; at += blockBytes) {
        const lengthBytes = Math.min(blockBytes, range.offsetBytes + range.lengthBytes - at);
        const index = (await disk.read({ offsetBytes: at, lengthBytes })).findIndex((byte) => byte !== 0);
        if (index >= 0) return at + index;
      }
    }
  }
  return undefined;
}
