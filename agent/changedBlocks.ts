// Finds what differs between two states of a disk by comparing them: for sources without change tracking. Sound only
// when both states are frozen; a copy that was made while the disk changed needs a tracker (extentTracker.ts).
import { readSequentially } from '../lib/disk/sequential.ts';
import type { RandomAccessSource } from '../lib/disk/source.ts';
import type { HrlWrite } from '../lib/hrl/writer.ts';
import { AgentError } from './agentError.ts';
import { maxEntryBytes } from './extentGroups.ts';

/** What file systems write at least; finer comparison makes more entries and hardly fewer bytes. */
const compareGranularityBytes = 4096;

function isSameAt(base: Uint8Array, changed: Uint8Array, start: number, end: number): boolean {
  return Buffer.compare(base.subarray(start, end), changed.subarray(start, end)) === 0;
}

/** The runs of differing blocks in two chunks of the same place. */
function* changedRuns(base: Uint8Array, changed: Uint8Array): Generator<[number, number], void, undefined> {
  if (isSameAt(base, changed, 0, changed.length)) return;
  let runStart: number | undefined;
  for (let start = 0; start < changed.length; start += compareGranularityBytes) {
    const end = Math.min(start + compareGranularityBytes, changed.length);
    if (!isSameAt(base, changed, start, end)) runStart ??= start;
    else if (runStart !== undefined) {
      yield [runStart, start];
      runStart = undefined;
    }
  }
  if (runStart !== undefined) yield [runStart, changed.length];
}

/**
 * Yields every 4 KiB block of `changed` that is not the same in `base`, neighbours joined up to 4 MiB, ascending.
 * Throws AgentError `DiskSizeMismatch` for disks of different sizes.
 */
export async function* findChangedBlocks(
  base: RandomAccessSource,
  changed: RandomAccessSource,
): AsyncGenerator<HrlWrite, void, undefined> {
  if (base.sizeBytes !== changed.sizeBytes) {
    const message = `The base has ${base.sizeBytes} bytes and the changed disk ${changed.sizeBytes}.`;
    const action = 'A log cannot resize a disk: protect a disk that grew anew.';
    throw new AgentError('DiskSizeMismatch', message, action);
  }
  const baseChunks = readSequentially(base, maxEntryBytes);
  try {
    for await (const { offsetBytes, bytes } of readSequentially(changed, maxEntryBytes)) {
      const other = await baseChunks.next();
      if (other.done === true) return;
      for (const [start, end] of changedRuns(other.value.bytes, bytes))
        yield { diskOffset: offsetBytes + start, data: bytes.subarray(start, end) };
    }
  } finally {
    await baseChunks.return();
  }
}
