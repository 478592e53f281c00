// Where the log is known to hold only zeros. A copy inside the service sees no bytes, so zeros can be cleared instead of
// copied only if somebody who read the log before remembered them: the check of the log reads every byte of it.
// Invariant: what is recorded was read as zeros, and every long run of what was read is recorded whole.
import { pageSizeBytes, type ByteRange } from '../storage/ports.ts';
import { isZeroPage, minZeroRunBytes } from './zeroRuns.ts';

/** A run worth recording has several of these, so probing one page in each finds it. */
const probeDistanceBytes = minZeroRunBytes / 4;

/** Collects zero runs of the bytes that it is shown. */
export class ZeroRunRecorder {
  #runs: ByteRange[] = [];

  /** Looks at bytes that lie at `offsetBytes` of the log. Any order; ranges may overlap. */
  take(offsetBytes: number, bytes: Uint8Array): void {
    const first = (pageSizeBytes - (offsetBytes % pageSizeBytes)) % pageSizeBytes;
    const end = bytes.length - ((bytes.length - first) % pageSizeBytes);
    let searched = first;
    // The first and the last page are always probed: a run that goes on in another read is cut there.
    for (let probe = first; probe < end; probe = nextProbe(probe, searched, end)) {
      if (!isZeroPage(bytes, probe)) continue;
      let runStart = probe;
      while (runStart > searched && isZeroPage(bytes, runStart - pageSizeBytes)) runStart -= pageSizeBytes;
      let runEnd = probe + pageSizeBytes;
      while (runEnd < end && isZeroPage(bytes, runEnd)) runEnd += pageSizeBytes;
      searched = runEnd;
      // A short run is kept where it may go on in the read before or after this one.
      const isOpen = runStart === first || runEnd === end;
      if (isOpen || runEnd - runStart >= minZeroRunBytes)
        this.#runs.push({ offsetBytes: offsetBytes + runStart, lengthBytes: runEnd - runStart });
    }
  }

  /** The runs of at least `minZeroRunBytes`: ascending, disjoint, whole pages. */
  runs(): ByteRange[] {
    const joined: ByteRange[] = [];
    for (const run of this.#runs.sort((a, b) => a.offsetBytes - b.offsetBytes)) {
      const last = joined.at(-1);
      const lastEnd = last === undefined ? -1 : last.offsetBytes + last.lengthBytes;
      if (last === undefined || run.offsetBytes > lastEnd) joined.push({ ...run });
      else last.lengthBytes = Math.max(lastEnd, run.offsetBytes + run.lengthBytes) - last.offsetBytes;
    }
    return joined.filter(({ lengthBytes }) => lengthBytes >= minZeroRunBytes);
  }
}

function nextProbe(probe: number, searched: number, end: number): number {
  const next = Math.max(probe + probeDistanceBytes, searched);
  const last = end - pageSizeBytes;
  return next > last && last > probe && last >= searched ? last : next;
}

/** The part of the ascending, disjoint `runs` that lies in [start, end), cut to it. */
export function* runsWithin(
  runs: readonly ByteRange[],
  start: number,
  end: number,
): Generator<ByteRange, void, undefined> {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const run = runs[middle];
    if (run !== undefined && run.offsetBytes + run.lengthBytes <= start) low = middle + 1;
    else high = middle;
  }
  for (let index = low; index < runs.length; index++) {
    const run = runs[index];
    if (run === undefined || run.offsetBytes >= end) return;
    const offsetBytes = Math.max(run.offsetBytes, start);
    yield { offsetBytes, lengthBytes: Math.min(run.offsetBytes + run.lengthBytes, end) - offsetBytes };
  }
}
