// Compares what two logs do to a disk, not how they say it: order, overwritten data and the cut into writes do not
// count. Both plans are swept once; only where both write are bytes read and compared, in bounded memory.
import type { RandomAccessSource } from '../disk/source.ts';
import { assertInvariant } from '../errors.ts';
import { sectorSizeBytes } from '../hrl/format.ts';
import { readSegments, type DiskData } from './segmentData.ts';
import { segmentAt, SegmentCollector, type Segment, type Segments } from './segments.ts';

/** What a log does, as planned, and where its data is. */
export interface LogEffect {
  source: RandomAccessSource;
  segments: Segments;
}

/** A range of the disk on which the logs differ; half-open, whole sectors, as long as possible for its kind. */
export interface LogDifference {
  /** Only one of them writes there, or both write other data. */
  kind: 'only first' | 'only second' | 'other data';
  diskOffset: number;
  length: number;
}

export interface DiffRun {
  signal?: AbortSignal;
  /** Called with the bytes compared so far, of those that both logs write. */
  onCompared?: (comparedBytes: number) => void;
}

/** Which log writes where; `both…` cover the same places with the data of either log. */
interface Coverage {
  onlyFirst: Segments;
  onlySecond: Segments;
  bothInFirst: Segments;
  bothInSecond: Segments;
}

/**
 * Yields the differences, each kind in disk order, first what one log alone writes. Nothing is yielded when the logs
 * have the same effect on every disk. Throws what the sources throw.
 */
export async function* diffLogs(
  first: LogEffect,
  second: LogEffect,
  options: DiffRun = {},
): AsyncGenerator<LogDifference, void, undefined> {
  const { signal, onCompared = () => undefined } = options;
  const { onlyFirst, onlySecond, bothInFirst, bothInSecond } = divide(first.segments, second.segments);
  yield* joinRanges('only first', rangesOf(onlyFirst));
  yield* joinRanges('only second', rangesOf(onlySecond));
  const inFirst = readSegments(first.source, bothInFirst, signal);
  const inSecond = readSegments(second.source, bothInSecond, signal);
  yield* joinRanges('other data', differingSectors(inFirst, inSecond, onCompared));
}

/** A sweep over both plans: each step takes the longest range on which the answer is the same. */
function divide(first: Segments, second: Segments): Coverage {
  const most = first.count + second.count;
  const onlyFirst = new SegmentCollector(first.count);
  const onlySecond = new SegmentCollector(second.count);
  const bothInFirst = new SegmentCollector(Math.min(most, first.count));
  const bothInSecond = new SegmentCollector(Math.min(most, second.count));
  const cursors = { first: new SegmentCursor(first), second: new SegmentCursor(second) };
  while (cursors.first.isInside || cursors.second.isInside) {
    const a = cursors.first;
    const b = cursors.second;
    const start = Math.min(a.start, b.start);
    if (a.start === b.start) {
      const length = Math.min(a.end, b.end) - start;
      bothInFirst.add(start, length, a.dataOffset);
      bothInSecond.add(start, length, b.dataOffset);
      a.skipTo(start + length);
      b.skipTo(start + length);
    } else if (a.start < b.start) {
      const end = Math.min(a.end, b.start);
      onlyFirst.add(start, end - start, a.dataOffset);
      a.skipTo(end);
    } else {
      const end = Math.min(b.end, a.start);
      onlySecond.add(start, end - start, b.dataOffset);
      b.skipTo(end);
    }
  }
  return {
    onlyFirst: onlyFirst.take(),
    onlySecond: onlySecond.take(),
    bothInFirst: bothInFirst.take(),
    bothInSecond: bothInSecond.take(),
  };
}

/** Where a cursor stands that has gone past the last segment: nothing begins later. */
const nothingLeft: Segment = { diskOffset: Number.POSITIVE_INFINITY, length: 0, dataOffset: 0 };

/** What is left of a plan from some place on: the rest [start, end) of a segment, Infinity when nothing is left. */
class SegmentCursor {
  readonly #segments: Segments;
  #index = -1;
  #segment = nothingLeft;
  #skipped = 0;

  constructor(segments: Segments) {
    this.#segments = segments;
    this.#takeNext();
  }

  get isInside(): boolean {
    return this.#segment !== nothingLeft;
  }

  get start(): number {
    return this.#segment.diskOffset + this.#skipped;
  }

  get end(): number {
    return this.#segment.diskOffset + this.#segment.length;
  }

  get dataOffset(): number {
    return this.#segment.dataOffset + this.#skipped;
  }

  /** To a place inside the current segment, or to its end. */
  skipTo(position: number): void {
    if (position >= this.end) this.#takeNext();
    else this.#skipped += position - this.start;
  }

  #takeNext(): void {
    this.#index++;
    this.#skipped = 0;
    const isLeft = this.#index < this.#segments.count;
    this.#segment = isLeft ? segmentAt(this.#segments, this.#index) : nothingLeft;
  }
}

interface DiskRange {
  diskOffset: number;
  length: number;
}

function* rangesOf(segments: Segments): Generator<DiskRange, void, undefined> {
  for (let index = 0; index < segments.count; index++) yield segmentAt(segments, index);
}

/** Sectors whose bytes differ in two readings of the same places. */
async function* differingSectors(
  first: AsyncGenerator<DiskData>,
  second: AsyncGenerator<DiskData>,
  onCompared: (comparedBytes: number) => void,
): AsyncGenerator<DiskRange, void, undefined> {
  let comparedBytes = 0;
  for await (const { diskOffset, data } of first) {
    const other = await second.next();
    const isSamePlace =
      other.done !== true && other.value.diskOffset === diskOffset && other.value.data.length === data.length;
    assertInvariant(
      isSamePlace,
      `two plans of the same places are read in the same pieces, at ${diskOffset}`,
    );
    onCompared((comparedBytes += data.length));
    if (Buffer.compare(data, other.value.data) === 0) continue;
    for (let at = 0; at < data.length; at += sectorSizeBytes) {
      const end = at + sectorSizeBytes;
      if (Buffer.compare(data.subarray(at, end), other.value.data.subarray(at, end)) !== 0)
        yield { diskOffset: diskOffset + at, length: sectorSizeBytes };
    }
  }
}

/** Joins ranges that touch. */
async function* joinRanges(
  kind: LogDifference['kind'],
  ranges: Iterable<DiskRange> | AsyncIterable<DiskRange>,
): AsyncGenerator<LogDifference, void, undefined> {
  let joined: LogDifference | undefined;
  for await (const { diskOffset, length } of ranges) {
    if (joined !== undefined && joined.diskOffset + joined.length === diskOffset) joined.length += length;
    else {
      if (joined !== undefined) yield joined;
      joined = { kind, diskOffset, length };
    }
  }
  if (joined !== undefined) yield joined;
}
