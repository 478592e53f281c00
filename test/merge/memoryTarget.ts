// A disk in memory that takes page writes like a page blob does: it refuses what a page blob would refuse, and
// checks what applyMerge promises about its calls: no two of them overlap while in flight.
import type { PageTarget } from '../../lib/merge/apply.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';

export interface MemoryTarget extends PageTarget {
  readonly disk: Uint8Array;
  /** What was asked for, in the order in which it was asked. */
  readonly calls: ({ kind: 'write' | 'clear' } & ByteRange)[];
  readonly mostInFlight: () => number;
}

export interface MemoryTargetOptions {
  /** Runs before a call takes effect; throws to make it fail. */
  before?: (call: { kind: 'write' | 'clear' } & ByteRange) => Promise<void> | void;
}

/** A target over `disk`, which it changes in place. */
export function memoryTarget(disk: Uint8Array, { before }: MemoryTargetOptions = {}): MemoryTarget {
  const calls: MemoryTarget['calls'] = [];
  const inFlight = new Set<ByteRange>();
  let most = 0;
  const run = async (kind: 'write' | 'clear', range: ByteRange, change: () => void): Promise<void> => {
    const end = range.offsetBytes + range.lengthBytes;
    if (
      range.offsetBytes % 512 !== 0 ||
      range.lengthBytes % 512 !== 0 ||
      range.lengthBytes === 0 ||
      end > disk.length
    ) {
      throw new RangeError(`${kind} [${range.offsetBytes}, ${end}) of ${disk.length} bytes`);
    }
    for (const other of inFlight) {
      if (range.offsetBytes < other.offsetBytes + other.lengthBytes && other.offsetBytes < end) {
        throw new Error(`${kind} at ${range.offsetBytes} overlaps a call in flight`);
      }
    }
    calls.push({ kind, ...range });
    inFlight.add(range);
    most = Math.max(most, inFlight.size);
    try {
      await before?.({ kind, ...range });
      // Takes the data late, as a real upload does: a caller that reuses its buffer too early is found out.
      await Promise.resolve();
      change();
    } finally {
      inFlight.delete(range);
    }
  };
  return {
    disk,
    calls,
    mostInFlight: () => most,
    writePages: (offsetBytes, data) => {
      if (data.length > 4 * 1024 * 1024) throw new RangeError(`one write of ${data.length} bytes`);
      return run('write', { offsetBytes, lengthBytes: data.length }, () => disk.set(data, offsetBytes));
    },
    clearPages: (range) =>
      run('clear', range, () => disk.fill(0, range.offsetBytes, range.offsetBytes + range.lengthBytes)),
  };
}
