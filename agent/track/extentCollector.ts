// Collects extents in bounded memory: when there are too many, near ones are joined. Unchanged bytes in between are then
// shipped too, which costs bytes and never a change.
import type { ByteRange } from '../../lib/storage/ports.ts';

const defaultMaxExtents = 1_000_000;
const firstGapBytes = 4096;

/** Takes ranges in ascending order. */
export class ExtentCollector {
  readonly #maxExtents: number;
  #extents: ByteRange[] = [];
  #gapBytes = 0;

  constructor(maxExtents = defaultMaxExtents) {
    this.#maxExtents = maxExtents;
  }

  add(range: ByteRange): void {
    append(this.#extents, range, this.#gapBytes);
    while (this.#extents.length > this.#maxExtents) {
      this.#gapBytes = Math.max(firstGapBytes, this.#gapBytes * 2);
      const joined: ByteRange[] = [];
      for (const extent of this.#extents) append(joined, extent, this.#gapBytes);
      this.#extents = joined;
    }
  }

  take(): ByteRange[] {
    const taken = this.#extents;
    this.#extents = [];
    return taken;
  }
}

function append(extents: ByteRange[], { offsetBytes, lengthBytes }: ByteRange, gapBytes: number): void {
  const last = extents.at(-1);
  if (last && offsetBytes - (last.offsetBytes + last.lengthBytes) <= gapBytes)
    last.lengthBytes = offsetBytes + lengthBytes - last.offsetBytes;
  else extents.push({ offsetBytes, lengthBytes });
}
