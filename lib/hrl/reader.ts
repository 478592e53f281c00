// Reads the structure of a log: header, then metadata blocks from the end backwards, as [MS-HRL] prescribes. What
// comes back is proven consistent: blocks and their data tile [4096, EOLLocation) without gap or overlap, every
// checksum of metadata holds and the totals agree. Data bytes are not read here; see verify.ts. Every number of the
// file is bounded by what the file can hold before anything is allocated or followed.
import type { RandomAccessSource } from '../disk/source.ts';
import { allocateEntries, type HrlEntries } from './entries.ts';
import { HrlError } from './errors.ts';
import {
  headerField,
  headerSizeBytes,
  maxBlockCount,
  maxEntryCount,
  metadataEntrySizeBytes,
  metadataHeaderField,
  sectorSizeBytes,
  type HrlHeader,
} from './format.ts';
import { checkCookie, decodeHeader } from './header.ts';
import { decodeEntries, decodeMetadataHeader } from './metadataBlock.ts';

/** Blocks nearer than this to the previous one are fetched several at a time. */
const denseDistanceBytes = 256 * 1024;
const readBehindBytes = 1024 * 1024;

/** A metadata block of the log. */
export interface HrlBlock {
  /** Offset in the file. */
  offset: number;
  entryCount: number;
}

export interface HrlLog {
  header: HrlHeader;
  /** In log order. */
  blocks: HrlBlock[];
  entries: HrlEntries;
}

function headerFault(field: keyof typeof headerField, expected: string | number, found: string | number) {
  return { structure: 'log header', offsetBytes: headerField[field], field, expected, found };
}

/**
 * Reads and checks the file header, also against the size of the file. Bytes after EOLLocation are allowed: a writer
 * may have preallocated the file. Throws HrlError.
 */
export async function readHrlHeader(source: RandomAccessSource): Promise<HrlHeader> {
  const bytes = await source.read(0, Math.min(headerSizeBytes, source.sizeBytes));
  checkCookie(bytes);
  if (bytes.length < headerSizeBytes) {
    const fault = { structure: 'log header', offsetBytes: 0, field: 'file length' };
    throw new HrlError('LogTruncated', {
      ...fault,
      expected: `at least ${headerSizeBytes}`,
      found: bytes.length,
    });
  }
  const header = decodeHeader(bytes);
  const { endOfLogBytes, metadataSizeBytes, totalMetadataEntries } = header;
  if (endOfLogBytes > source.sizeBytes) {
    const expected = `at most the file length ${source.sizeBytes}`;
    throw new HrlError('LogTruncated', headerFault('EOLLocation', expected, endOfLogBytes));
  }
  const smallestEnd = headerSizeBytes + metadataSizeBytes;
  if (endOfLogBytes < smallestEnd) {
    throw new HrlError(
      'LogHeaderCorrupt',
      headerFault('EOLLocation', `at least ${smallestEnd}`, endOfLogBytes),
    );
  }
  // Every entry takes a slot of metadata and at least one sector of data.
  const possibleEntries = Math.floor(
    (endOfLogBytes - headerSizeBytes) / (metadataEntrySizeBytes + sectorSizeBytes),
  );
  if (totalMetadataEntries > possibleEntries) {
    const expected = `at most ${possibleEntries} in ${endOfLogBytes} bytes`;
    throw new HrlError(
      'LogHeaderCorrupt',
      headerFault('TotalMetadataEntries', expected, totalMetadataEntries),
    );
  }
  if (totalMetadataEntries > maxEntryCount) {
    const expected = `at most ${maxEntryCount} (ship smaller cycles)`;
    throw new HrlError('LogTooLarge', headerFault('TotalMetadataEntries', expected, totalMetadataEntries));
  }
  return header;
}

/** Reads header and metadata of a closed log. Throws HrlError. May be called any number of times. */
export async function readHrl(source: RandomAccessSource): Promise<HrlLog> {
  const header = await readHrlHeader(source);
  const { metadataSizeBytes, totalMetadataEntries, endOfLogBytes } = header;
  const entries = allocateEntries(totalMetadataEntries);
  const reader = new BackwardBlockReader(source, metadataSizeBytes);
  const blocks: HrlBlock[] = [];
  // Newest block first; its entries go to the end of the arrays.
  let remaining = totalMetadataEntries;
  let blockOffset: number | undefined = endOfLogBytes - metadataSizeBytes;
  while (blockOffset !== undefined) {
    const block = await reader.read(blockOffset);
    const { previousMetadataDistanceBytes, validMetadataEntries } = decodeMetadataHeader(block, blockOffset);
    const previousOffset = findPreviousOffset(blockOffset, previousMetadataDistanceBytes, metadataSizeBytes);
    if (validMetadataEntries > remaining) {
      const found = `${validMetadataEntries} more in the block at ${blockOffset}`;
      const expected = `${totalMetadataEntries}, of which ${remaining} are left`;
      throw new HrlError('LogMetadataCorrupt', headerFault('TotalMetadataEntries', expected, found));
    }
    remaining -= validMetadataEntries;
    const dataStart = previousOffset === undefined ? headerSizeBytes : previousOffset + metadataSizeBytes;
    const dataEnd = decodeEntries(
      { block, blockOffset, validMetadataEntries, dataStart },
      entries,
      remaining,
    );
    if (dataEnd !== blockOffset) refuseDataSize(blockOffset, dataStart, dataEnd);
    blocks.push({ offset: blockOffset, entryCount: validMetadataEntries });
    if (blocks.length > maxBlockCount) refuseBlockCount(blockOffset);
    blockOffset = previousOffset;
  }
  if (remaining > 0) {
    const found = totalMetadataEntries - remaining;
    throw new HrlError(
      'LogMetadataCorrupt',
      headerFault('TotalMetadataEntries', found, totalMetadataEntries),
    );
  }
  return { header, blocks: blocks.reverse(), entries };
}

/** Where the block before this one is, undefined for the first. Strictly before this one, so that no chain loops. */
function findPreviousOffset(
  blockOffset: number,
  distance: number,
  metadataSizeBytes: number,
): number | undefined {
  if (distance === 0) return undefined;
  if (distance < metadataSizeBytes || distance > blockOffset - headerSizeBytes) {
    throw new HrlError('LogMetadataCorrupt', {
      structure: 'metadata block',
      offsetBytes: blockOffset + metadataHeaderField.PreviousMetadataLocation,
      field: 'PreviousMetadataLocation',
      expected: `0, or ${metadataSizeBytes} to ${blockOffset - headerSizeBytes}`,
      found: distance,
    });
  }
  return blockOffset - distance;
}

function refuseDataSize(blockOffset: number, dataStart: number, dataEnd: number): never {
  throw new HrlError('LogMetadataCorrupt', {
    structure: 'metadata block',
    offsetBytes: blockOffset,
    field: 'sum of DataLength',
    expected: blockOffset - dataStart,
    found: dataEnd - dataStart,
  });
}

function refuseBlockCount(blockOffset: number): never {
  throw new HrlError('LogTooLarge', {
    structure: 'metadata block',
    offsetBytes: blockOffset,
    field: 'number of blocks',
    expected: `at most ${maxBlockCount} (use a larger MetadataSize)`,
    found: maxBlockCount + 1,
  });
}

/**
 * Reads blocks at descending offsets. Where they lie close together one read fetches many; where megabytes of data
 * lie between them each is fetched alone, so that the data is not read for nothing.
 */
class BackwardBlockReader {
  readonly #source: RandomAccessSource;
  readonly #blockSizeBytes: number;
  #window: { offset: number; bytes: Uint8Array } = { offset: 0, bytes: new Uint8Array(0) };
  #lastOffset = Number.POSITIVE_INFINITY;

  constructor(source: RandomAccessSource, blockSizeBytes: number) {
    this.#source = source;
    this.#blockSizeBytes = blockSizeBytes;
  }

  async read(offset: number): Promise<Uint8Array> {
    const end = offset + this.#blockSizeBytes;
    const isDense = this.#lastOffset - offset <= denseDistanceBytes;
    this.#lastOffset = offset;
    const isInWindow =
      offset >= this.#window.offset && end <= this.#window.offset + this.#window.bytes.length;
    if (!isInWindow) {
      const start = isDense ? Math.max(headerSizeBytes, Math.min(offset, end - readBehindBytes)) : offset;
      this.#window = { offset: start, bytes: await this.#source.read(start, end - start) };
    }
    const at = offset - this.#window.offset;
    return this.#window.bytes.subarray(at, at + this.#blockSizeBytes);
  }
}
