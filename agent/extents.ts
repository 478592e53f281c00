// Changed ranges of a disk: joining them, reading them from JSON, reading their bytes. Extents are half-open byte
// ranges in whole sectors.
import { makeReadBuffer } from '../lib/disk/readBuffer.ts';
import { readReusing, type RandomAccessSource } from '../lib/disk/source.ts';
import type { HrlTotals, HrlWrite } from '../lib/hrl/writer.ts';
import type { ByteRange } from '../lib/storage/ports.ts';
import { AgentError } from './agentError.ts';
import { groupPieces, maxEntryBytes, maxGapBytes, type ExtentGroup } from './extentGroups.ts';

const sectorSizeBytes = 512;
const readsAhead = 3;

/** Sorts ranges and joins those that touch or overlap. The input is not changed. */
export function joinExtents(ranges: Iterable<ByteRange>): ByteRange[] {
  const sorted = [...ranges].sort((a, b) => a.offsetBytes - b.offsetBytes);
  const joined: ByteRange[] = [];
  for (const { offsetBytes, lengthBytes } of sorted) {
    const last = joined.at(-1);
    const lastEnd = last === undefined ? 0 : last.offsetBytes + last.lengthBytes;
    if (last === undefined || offsetBytes > lastEnd) joined.push({ offsetBytes, lengthBytes });
    else last.lengthBytes = Math.max(lastEnd, offsetBytes + lengthBytes) - last.offsetBytes;
  }
  return joined;
}

function invalid(message: string): AgentError {
  const action = 'The file holds an array of extents in bytes, e.g. [{ "offset": 0, "length": 4096 }].';
  return new AgentError('ExtentsInvalid', message, action);
}

function parseExtent(value: unknown, index: number, diskSizeBytes: number): ByteRange {
  const { offset, length } = (value ?? {}) as { offset?: unknown; length?: unknown };
  const requireSectors = (field: string, number: unknown, smallest: number): number => {
    if (Number.isSafeInteger(number) && Number(number) >= smallest && Number(number) % sectorSizeBytes === 0)
      return Number(number);
    const found = number === undefined ? 'nothing' : JSON.stringify(number);
    throw invalid(`Extent ${index}: ${field} must be a multiple of 512 from ${smallest}; found ${found}.`);
  };
  const range = {
    offsetBytes: requireSectors('offset', offset, 0),
    lengthBytes: requireSectors('length', length, sectorSizeBytes),
  };
  const end = range.offsetBytes + range.lengthBytes;
  if (end > diskSizeBytes)
    throw invalid(
      `Extent ${index} is [${range.offsetBytes}, ${end}), but the disk has ${diskSizeBytes} bytes.`,
    );
  return range;
}

/** Reads `[{ "offset", "length" }…]`, in any order, overlapping or not. Throws AgentError `ExtentsInvalid`. */
export function parseExtents(text: string, diskSizeBytes: number): ByteRange[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`The extents are not JSON: ${error instanceof Error ? error.message : String(error)}.`);
  }
  if (!Array.isArray(value)) throw invalid('The extents are not a JSON array.');
  return joinExtents(value.map((extent: unknown, index) => parseExtent(extent, index, diskSizeBytes)));
}

/** How many writes of at most 4 MiB the extents make, and of how many bytes. */
export function totalsOfExtents(extents: Iterable<ByteRange>): HrlTotals {
  const totals = { entryCount: 0, dataBytes: 0 };
  for (const { lengthBytes } of extents) {
    totals.entryCount += Math.ceil(lengthBytes / maxEntryBytes);
    totals.dataBytes += lengthBytes;
  }
  return totals;
}

/**
 * The bytes of the extents, in the order of the extents, as log writes of at most 4 MiB; each is valid until the next is
 * taken. The next reads are in flight while the caller works: at most 16 MiB. A failed read is thrown when its turn comes.
 */
export async function* readExtents(
  source: RandomAccessSource,
  extents: Iterable<ByteRange>,
): AsyncGenerator<HrlWrite, void, undefined> {
  const groups = groupPieces(extents, { mostGapBytes: maxGapBytes, mostGroupBytes: maxEntryBytes });
  const ahead: { group: ExtentGroup; loading: Promise<Uint8Array> }[] = [];
  // One for each read in flight, and one for the group that the caller works on.
  const buffers = Array.from({ length: readsAhead + 1 }, () => makeReadBuffer(maxEntryBytes));
  const fill = (): void => {
    while (ahead.length < readsAhead) {
      const next = groups.next();
      if (next.done === true) return;
      const buffer = buffers.shift() ?? makeReadBuffer(maxEntryBytes);
      buffers.push(buffer);
      const group = next.value;
      const loading = readReusing(source, group.offsetBytes, group.lengthBytes, buffer);
      // Thrown when its turn comes, not as unhandled before.
      loading.catch(() => undefined);
      ahead.push({ group, loading });
    }
  };
  try {
    for (;;) {
      fill();
      const next = ahead.shift();
      if (next === undefined) return;
      const bytes = await next.loading;
      for (const { offsetBytes, lengthBytes } of next.group.pieces) {
        const from = offsetBytes - next.group.offsetBytes;
        yield { diskOffset: offsetBytes, data: bytes.subarray(from, from + lengthBytes) };
      }
    }
  } finally {
    // Nobody reads the disk behind the back of a caller that closes it now.
    await Promise.allSettled(ahead.map(({ loading }) => loading));
  }
}
