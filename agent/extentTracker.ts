// Remembers where a disk was written since the last look: what a change tracker gives to the writer of a log. A write
// that puts the old bytes back is still remembered, because a copy made meanwhile may hold the bytes in between.
import { joinExtents } from './extents.ts';
import type { ByteRange } from '../lib/storage/ports.ts';

/** Joined when this many were added, so that memory follows the extent of the changes and not their number. */
const joinThreshold = 4096;

export class ExtentTracker {
  readonly #granularityBytes: number;
  readonly #diskSizeBytes: number;
  #ranges: ByteRange[] = [];
  #joinAt = joinThreshold;

  /** Writes are widened to whole blocks of `granularityBytes`, but never past the disk. */
  constructor(diskSizeBytes: number, granularityBytes = 4096) {
    this.#diskSizeBytes = diskSizeBytes;
    this.#granularityBytes = granularityBytes;
  }

  /** Records a write. An empty one is nothing. */
  add({ offsetBytes, lengthBytes }: ByteRange): void {
    if (lengthBytes === 0) return;
    const block = this.#granularityBytes;
    const start = Math.floor(offsetBytes / block) * block;
    const end = Math.min(Math.ceil((offsetBytes + lengthBytes) / block) * block, this.#diskSizeBytes);
    this.#ranges.push({ offsetBytes: start, lengthBytes: end - start });
    if (this.#ranges.length < this.#joinAt) return;
    this.#ranges = joinExtents(this.#ranges);
    this.#joinAt = Math.max(joinThreshold, 2 * this.#ranges.length);
  }

  /** What was written since the last call: ascending, disjoint, joined. Call it at the moment the disk is frozen. */
  take(): ByteRange[] {
    const taken = joinExtents(this.#ranges);
    this.#ranges = [];
    this.#joinAt = joinThreshold;
    return taken;
  }
}
