// What a merge plan is made of: disjoint pieces of the disk and where in the log their newest bytes are. A struct of
// arrays, because a plan may have millions of segments.

/** Disjoint segments, ascending by disk offset: arrays of `count` numbers, in bytes, multiples of 512; index i is segment i. */
export interface Segments {
  readonly count: number;
  readonly diskOffsets: Float64Array;
  readonly lengths: Uint32Array;
  /** Where the segment's bytes begin in the log file. */
  readonly dataOffsets: Float64Array;
}

/** One of them as a value. */
export interface Segment {
  diskOffset: number;
  length: number;
  dataOffset: number;
}

/** Segment `index`. RangeError when there is none. */
export function segmentAt({ diskOffsets, lengths, dataOffsets }: Segments, index: number): Segment {
  const diskOffset = diskOffsets[index];
  const length = lengths[index];
  const dataOffset = dataOffsets[index];
  if (diskOffset === undefined || length === undefined || dataOffset === undefined)
    throw new RangeError(`segment ${index} of ${lengths.length}`);
  return { diskOffset, length, dataOffset };
}

/** Sum of the lengths of all segments. */
export function totalLength({ lengths }: Segments): number {
  let total = 0;
  for (const length of lengths) total += length;
  return total;
}

const maxSegmentBytes = 0xffff_fe00;

/** Collects segments in ascending disk order; joins a segment to the last one when both disk and log continue. */
export class SegmentCollector {
  #count = 0;
  #diskOffsets: Float64Array;
  #lengths: Uint32Array;
  #dataOffsets: Float64Array;

  constructor(expectedCount: number) {
    const capacity = Math.max(1, expectedCount);
    this.#diskOffsets = new Float64Array(capacity);
    this.#lengths = new Uint32Array(capacity);
    this.#dataOffsets = new Float64Array(capacity);
  }

  /** An empty segment is nothing and is dropped. */
  add(diskOffset: number, length: number, dataOffset: number): void {
    if (length === 0) return;
    const last = this.#count - 1;
    const lastLength = this.#lengths[last] ?? 0;
    const continues =
      this.#count > 0 &&
      (this.#diskOffsets[last] ?? 0) + lastLength === diskOffset &&
      (this.#dataOffsets[last] ?? 0) + lastLength === dataOffset &&
      lastLength + length <= maxSegmentBytes;
    if (continues) {
      this.#lengths[last] = lastLength + length;
      return;
    }
    if (this.#count === this.#lengths.length) this.#grow();
    this.#diskOffsets[this.#count] = diskOffset;
    this.#lengths[this.#count] = length;
    this.#dataOffsets[this.#count] = dataOffset;
    this.#count++;
  }

  /** The segments so far; the collector is not used afterwards. */
  take(): Segments {
    return {
      count: this.#count,
      diskOffsets: this.#diskOffsets.subarray(0, this.#count),
      lengths: this.#lengths.subarray(0, this.#count),
      dataOffsets: this.#dataOffsets.subarray(0, this.#count),
    };
  }

  #grow(): void {
    const capacity = this.#lengths.length * 2;
    const diskOffsets = new Float64Array(capacity);
    diskOffsets.set(this.#diskOffsets);
    const lengths = new Uint32Array(capacity);
    lengths.set(this.#lengths);
    const dataOffsets = new Float64Array(capacity);
    dataOffsets.set(this.#dataOffsets);
    this.#diskOffsets = diskOffsets;
    this.#lengths = lengths;
    this.#dataOffsets = dataOffsets;
  }
}
