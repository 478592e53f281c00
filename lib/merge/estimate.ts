// What a merge costs on an Azure page blob, and from that in which order its windows take the data. The service
// allows one page blob 500 requests/s and 60 MiB/s, so a log of random small writes is bound by requests: joining
// those that touch on the disk is worth many short reads of the log, which has no such limit.
import { pageWriteLimitBytes } from '../storage/ports.ts';
import { segmentAt, totalLength, type Segments } from './segments.ts';
import { planReads } from './windowData.ts';
import { defaultWindowBytes, planWindows, type WindowOrder } from './windows.ts';

/** What applying a plan costs. Runs of zeros can make it cheaper; they are seen only when data is read. */
export interface PlanEstimate {
  order: WindowOrder;
  /** Page writes. */
  requests: number;
  /** Bytes that they carry. */
  bytes: number;
  /** Range reads of the log. */
  readRequests: number;
  estimatedSeconds: number;
}

const requestsPerSecond = 500;
const bytesPerSecond = 60 * 1024 * 1024;
// Reading a block blob with 16 requests in flight: about 8 ms each, and what one connection to the service carries.
const readRequestsPerSecond = 2000;
const readBytesPerSecond = 300 * 1024 * 1024;
/** Taking data in disk order must save this much: it costs more read transactions, and the rates are estimates. */
const worthwhileFraction = 0.8;

/** The cost of the plan in the order that `applyMerge` will take. */
export function estimateMerge(segments: Segments, windowBytes = defaultWindowBytes): PlanEstimate {
  return estimateIn(chooseOrder(segments, windowBytes), segments, windowBytes);
}

/** The order in which the plan is cheaper. */
export function chooseOrder(segments: Segments, windowBytes: number): WindowOrder {
  const bytes = totalLength(segments);
  if (bytes <= windowBytes) return 'log';
  // The counts are cheap to bound; only plans in which disk order could win are gone through.
  const { fewest, most } = boundRequests(segments, windowBytes);
  const bestSeconds = Math.max(fewest / requestsPerSecond, bytes / bytesPerSecond);
  if (bestSeconds >= worthwhileFraction * (most / requestsPerSecond)) return 'log';
  const inLogOrder = estimateIn('log', segments, windowBytes).estimatedSeconds;
  const inDiskOrder = estimateIn('disk', segments, windowBytes).estimatedSeconds;
  return inDiskOrder < worthwhileFraction * inLogOrder ? 'disk' : 'log';
}

/** The fewest page writes that any order needs, and the most that log order can need. */
function boundRequests(segments: Segments, windowBytes: number): { fewest: number; most: number } {
  let fewest = 0;
  let most = Math.ceil(totalLength(segments) / windowBytes);
  let runStart = 0;
  let runEnd = 0;
  for (let index = 0; index < segments.count; index++) {
    const { diskOffset: start, length } = segmentAt(segments, index);
    most += Math.ceil(length / pageWriteLimitBytes);
    if (start !== runEnd) {
      fewest += Math.ceil((runEnd - runStart) / pageWriteLimitBytes);
      runStart = start;
    }
    runEnd = start + length;
  }
  fewest += Math.ceil((runEnd - runStart) / pageWriteLimitBytes);
  return { fewest, most };
}

function estimateIn(order: WindowOrder, segments: Segments, windowBytes: number): PlanEstimate {
  let requests = 0;
  let readRequests = 0;
  let readBytes = 0;
  for (const window of planWindows(segments, windowBytes, order)) {
    requests += window.writes.length;
    for (const { start, end } of planReads(window.writes)) {
      readRequests++;
      readBytes += end - start;
    }
  }
  const bytes = totalLength(segments);
  // Reading ahead runs beside writing; the slower of the two is what one waits for.
  const readSeconds = readRequests / readRequestsPerSecond + readBytes / readBytesPerSecond;
  const estimatedSeconds = Math.max(requests / requestsPerSecond, bytes / bytesPerSecond, readSeconds);
  return { order, requests, bytes, readRequests, estimatedSeconds };
}
