// A plan as reads of the log from its front to its end, for targets on which the order of small writes does not matter.
import { networkReadBytes } from '../disk/source.ts';
import { ascendingOrder } from './order.ts';
import { segmentAt, type Segment, type Segments } from './segments.ts';

/** One read of the log, [start, end), and the newest data in it: ascending in the log, disjoint on the disk. */
export interface LogRead {
  start: number;
  end: number;
  segments: Segment[];
}

/** The reads cover the plan, each once and at most `maxReadBytes` long; a longer segment is cut. */
export function* planLogReads(segments: Segments, maxReadBytes: number): Generator<LogRead, void, undefined> {
  let read: LogRead | undefined;
  for (const index of ascendingOrder(segments.dataOffsets)) {
    const { diskOffset, dataOffset, length } = segmentAt(segments, index);
    for (let done = 0; done < length;) {
      const start = dataOffset + done;
      if (read !== undefined && (start - read.end > networkReadBytes || start - read.start >= maxReadBytes)) {
        yield read;
        read = undefined;
      }
      read ??= { start, end: start, segments: [] };
      const part = Math.min(length - done, read.start + maxReadBytes - start);
      read.segments.push({ diskOffset: diskOffset + done, dataOffset: start, length: part });
      read.end = start + part;
      done += part;
    }
  }
  if (read !== undefined) yield read;
}
