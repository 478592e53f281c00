// The merge plan: which bytes of the log end up on the disk. A sweep over the disk from its start: at every place
// the newest of the entries that cover it wins, all older ones are dropped unread. Pure: entries in, disjoint
// segments out. O(n log n) time; 12 bytes an entry for the sweep and 20 to 40 for the result.
import type { HrlEntries } from '../hrl/entries.ts';
import { MaxHeap } from './maxHeap.ts';
import { ascendingOrder } from './order.ts';
import { SegmentCollector, type Segments } from './segments.ts';

export type { Segments } from './segments.ts';
export { estimateMerge } from './estimate.ts';
export { planWindows } from './windows.ts';

/**
 * Plans one log. The segments cover exactly the union of the entries, and each byte comes from the last entry that
 * covers it. Applying them in any order, any number of times, equals replaying the log once.
 */
export function planMerge(entries: HrlEntries): Segments {
  const { count, diskOffsets, lengths, dataOffsets } = entries;
  const startOf = (entry: number): number => diskOffsets[entry] ?? 0;
  const endOf = (entry: number): number => (diskOffsets[entry] ?? 0) + (lengths[entry] ?? 0);
  const order = ascendingOrder(diskOffsets.subarray(0, count));
  const covering = new MaxHeap(count);
  const segments = new SegmentCollector(count);
  const emit = (entry: number, from: number, to: number): void => {
    segments.add(from, to - from, (dataOffsets[entry] ?? 0) + from - startOf(entry));
  };

  let position = 0;
  let next = 0;
  for (;;) {
    while (covering.size > 0 && endOf(covering.top) <= position) covering.pop();
    const upcoming = next < count ? order[next] : undefined;
    if (covering.size === 0) {
      if (upcoming === undefined) return segments.take();
      position = startOf(upcoming);
      covering.push(upcoming);
      next++;
      continue;
    }
    const newest = covering.top;
    const newestEnd = endOf(newest);
    if (upcoming === undefined || startOf(upcoming) >= newestEnd) {
      emit(newest, position, newestEnd);
      position = newestEnd;
      continue;
    }
    next++;
    if (upcoming > newest) {
      emit(newest, position, startOf(upcoming));
      position = startOf(upcoming);
      covering.push(upcoming);
    } else if (endOf(upcoming) > newestEnd) {
      // Older, but it reaches out from under the newest one. Those that do not are never seen.
      covering.push(upcoming);
    }
  }
}
