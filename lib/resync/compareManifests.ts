// Comparing two sets of coarse digests, and the one digest that stands for all of them: the evidence of a recovery point.
import { createHash } from 'node:crypto';
import type { ByteRange } from '../storage/ports.ts';
import { digestBytes, sameDigest } from './blockDigests.ts';
import { blockCount, coarseBlockBytes, spanRange, type BlockSpan } from './blocks.ts';

/** Where two lists of digests of the same blocks differ: indexes into them, ascending, neighbours joined. */
export function differingSpans(a: Uint8Array, b: Uint8Array): BlockSpan[] {
  if (a.length !== b.length) throw new RangeError(`${a.length} and ${b.length} bytes of digests`);
  const spans: BlockSpan[] = [];
  if (Buffer.compare(a, b) === 0) return spans;
  for (let index = 0; index < a.length / digestBytes; index++) {
    if (sameDigest(a, b, index)) continue;
    const last = spans.at(-1);
    if (last !== undefined && last.firstBlock + last.count === index) last.count++;
    else spans.push({ firstBlock: index, count: 1 });
  }
  return spans;
}

/**
 * SHA-256, lower-case hex, over the size of the disk (8 bytes, little-endian), the size of a block (4 bytes) and every
 * coarse digest in order. Two disks have the same root if and only if their bytes are the same.
 */
class RootDigest {
  readonly #hash = createHash('sha256');

  constructor(diskSizeBytes: number) {
    const sizes = Buffer.alloc(12);
    sizes.writeBigUInt64LE(BigInt(diskSizeBytes));
    sizes.writeUInt32LE(coarseBlockBytes, 8);
    this.#hash.update(sizes);
  }

  /** The next digests. */
  add(digests: Uint8Array): void {
    this.#hash.update(digests);
  }

  /** Once, after the last. */
  hex(): string {
    return this.#hash.digest('hex');
  }
}

/** The root of a whole generation, given its segments in order. */
export async function rootDigest(
  diskSizeBytes: number,
  segments: AsyncIterable<Uint8Array>,
): Promise<string> {
  const root = new RootDigest(diskSizeBytes);
  for await (const digests of segments) root.add(digests);
  return root.hex();
}

export interface ManifestComparison {
  blocksCompared: number;
  differingBlocks: number;
  /** Bytes of the disk, in whole coarse blocks; the first `maxRanges` of them. */
  differingRanges: ByteRange[];
  /** True when there are more ranges than are listed. */
  isTruncated: boolean;
  rootOfFirst: string;
  rootOfSecond: string;
}

/** Compares two generations of one disk, given their segments in order. Memory does not grow with the disk. */
export async function compareManifests(
  diskSizeBytes: number,
  first: AsyncIterable<Uint8Array>,
  second: AsyncIterable<Uint8Array>,
  maxRanges: number,
): Promise<ManifestComparison> {
  const roots = [new RootDigest(diskSizeBytes), new RootDigest(diskSizeBytes)] as const;
  const ranges = new RangeList(maxRanges);
  const others = second[Symbol.asyncIterator]();
  let blocksCompared = 0;
  let differingBlocks = 0;
  try {
    for await (const digests of first) {
      const other = await others.next();
      if (other.done === true) break;
      roots[0].add(digests);
      roots[1].add(other.value);
      for (const { firstBlock, count } of differingSpans(digests, other.value)) {
        differingBlocks += count;
        ranges.add(spanRange(diskSizeBytes, { firstBlock: blocksCompared + firstBlock, count }));
      }
      blocksCompared += digests.length / digestBytes;
    }
  } finally {
    await others.return?.();
  }
  const expected = blockCount(diskSizeBytes, coarseBlockBytes);
  if (blocksCompared !== expected)
    throw new RangeError(`${blocksCompared} blocks were compared; the disk has ${expected}`);
  const { differingRanges, isTruncated } = ranges;
  return {
    blocksCompared,
    differingBlocks,
    differingRanges,
    isTruncated,
    rootOfFirst: roots[0].hex(),
    rootOfSecond: roots[1].hex(),
  };
}

/** Ascending ranges, neighbours joined, no more than a limit. */
class RangeList {
  readonly differingRanges: ByteRange[] = [];
  readonly #limit: number;
  isTruncated = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(range: ByteRange): void {
    const last = this.differingRanges.at(-1);
    if (last !== undefined && last.offsetBytes + last.lengthBytes === range.offsetBytes && !this.isTruncated)
      last.lengthBytes += range.lengthBytes;
    else if (this.differingRanges.length < this.#limit) this.differingRanges.push(range);
    else this.isTruncated = true;
  }
}
