// Changed ranges of a disk: joining them, reading them from JSON, reading their bytes. Extents are half-open byte
// ranges in whole sectors.
import type { RandomAccessSource } from '../lib/disk/source.ts';
import type { HrlWrite } from '../lib/hrl/writer.ts';
import type { ByteRange } from '../lib/storage/ports.ts';
import { AgentError } from './agentError.ts';

const sectorSizeBytes = 512;
/** Most bytes in one log entry that we write: what one page write takes, and a comfortable buffer. */
export const maxEntryBytes = 4 * 1024 * 1024;

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

/** The bytes of the extents as log writes of at most 4 MiB. */
export async function* readExtents(
  source: RandomAccessSource,
  extents: Iterable<ByteRange>,
): AsyncGenerator<HrlWrite, void, undefined> {
  for (const { offsetBytes, lengthBytes } of extents) {
    for (let done = 0; done < lengthBytes; done += maxEntryBytes) {
      const diskOffset = offsetBytes + done;
      yield { diskOffset, data: await source.read(diskOffset, Math.min(maxEntryBytes, lengthBytes - done)) };
    }
  }
}
