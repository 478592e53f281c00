// Turns writes into the bytes of a version 2 log and says where each piece goes, without doing any I/O. Pieces are
// contiguous and ascending, except the last one, which replaces the header: until then EOLLocation is 0 and every
// reader refuses the file as not closed.
import type { RandomAccessSource } from '../disk/source.ts';
import { HrlError } from './errors.ts';
import {
  checksumOf,
  entriesPerBlock,
  headerSizeBytes,
  maxBlockCount,
  maxEntryCount,
  sectorSizeBytes,
  toHrlSeconds,
  type HrlHeader,
} from './format.ts';
import { encodeHeader } from './header.ts';
import { encodeMetadataBlock, type MetadataEntry } from './metadataBlock.ts';
import { beginsWithEmptyBlock, openHeader, type HrlWriterOptions } from './newHeader.ts';

/** One write to be logged. */
export interface HrlWrite {
  /** Multiple of 512. */
  diskOffset: number;
  /** Multiple of 512 in length, not empty, less than 4 GiB. */
  data: Uint8Array;
  /** When it happened; the log's `createdAt` when omitted. */
  timestamp?: Date;
}

/** One write to be logged whose bytes are still to be read, so that they can be read to where they go. */
export interface UnreadWrite {
  /** Multiple of 512. */
  diskOffset: number;
  /** Multiple of 512, more than none, less than 4 GiB. */
  lengthBytes: number;
  /** When it happened; the log's `createdAt` when omitted. */
  timestamp?: Date;
  /** Gives the bytes, at their offset on the disk; is asked for each once. */
  source: WriteSource;
}

/** What the bytes of a write are read from. Reads need not wait for each other. */
export type WriteSource = Required<Pick<RandomAccessSource, 'readInto'>> &
  Pick<RandomAccessSource, 'readNow'>;

/** Bytes and where they go in the file. */
export interface FilePiece {
  offsetBytes: number;
  data: Uint8Array;
}

/** Where the data of a write goes, and the metadata block behind it, if the write was the last that a block takes. */
export interface PlacedWrite {
  offsetBytes: number;
  block: FilePiece | undefined;
}

/** Call `start` once, `append` any number of times, `finish` once; write what each returns, in order. */
export class HrlEncoder {
  readonly #header: HrlHeader;
  readonly #withDataChecksums: boolean;
  readonly #emptyFirstBlock: boolean;
  readonly #mostEntries: number;
  #pending: MetadataEntry[] = [];
  #endBytes = headerSizeBytes;
  #lastBlockOffset: number | undefined;

  /** Throws RangeError for options that no log can have. */
  constructor(options: HrlWriterOptions) {
    this.#header = openHeader(options);
    this.#withDataChecksums = options.withDataChecksums ?? false;
    this.#emptyFirstBlock = beginsWithEmptyBlock(options);
    // One block less for the empty one.
    const mostInBlocks = (maxBlockCount - 1) * entriesPerBlock(this.#header.metadataSizeBytes);
    this.#mostEntries = Math.min(options.maxEntryCount ?? maxEntryCount, mostInBlocks);
  }

  /** Size of the log if it were finished now without another write; the file's size after `finish`. */
  get sizeBytes(): number {
    const needsBlock = this.#pending.length > 0 || this.#lastBlockOffset === undefined;
    return this.#endBytes + (needsBlock ? this.#header.metadataSizeBytes : 0);
  }

  get entryCount(): number {
    return this.#header.totalMetadataEntries;
  }

  /** Whether the metadata says something of the data itself: a write that is only placed leaves it out. */
  get withDataChecksums(): boolean {
    return this.#withDataChecksums;
  }

  start(): FilePiece[] {
    const header = { offsetBytes: 0, data: encodeHeader(this.#header) };
    return this.#emptyFirstBlock ? [header, this.#takeBlock()] : [header];
  }

  /**
   * Throws HrlError `LogEntryUnaligned` for a write that no log can hold, `LogTooLarge` for one more than a reader
   * takes; nothing has changed then.
   */
  append({ data, ...write }: HrlWrite): FilePiece[] {
    const dataChecksum = this.#withDataChecksums ? checksumOf(data) : 0;
    const { offsetBytes, block } = this.place({ ...write, lengthBytes: data.length }, dataChecksum);
    return block === undefined ? [{ offsetBytes, data }] : [{ offsetBytes, data }, block];
  }

  /** As `append`, for data that the caller brings to its place. */
  place({ diskOffset, lengthBytes, timestamp }: Omit<UnreadWrite, 'source'>, dataChecksum = 0): PlacedWrite {
    checkSectors(this.#endBytes, 'ByteOffset', diskOffset);
    checkSectors(this.#endBytes, 'DataLength', lengthBytes);
    if (lengthBytes === 0 || lengthBytes > 0xffffffff) {
      throw new RangeError(`a log entry holds 512 bytes to 4 GiB - 512; got ${lengthBytes}`);
    }
    const header = this.#header;
    if (header.totalMetadataEntries === this.#mostEntries)
      refuseEntryCount(this.#endBytes, this.#mostEntries);
    const writtenAt = timestamp ?? header.createdAt;
    this.#pending.push({
      diskOffset,
      length: lengthBytes,
      timestamp: toHrlSeconds(writtenAt),
      dataChecksum,
    });
    if (writtenAt > header.lastModifiedAt) header.lastModifiedAt = writtenAt;
    header.totalMetadataEntries++;
    const offsetBytes = this.#endBytes;
    this.#endBytes += lengthBytes;
    const isFull = this.#pending.length === entriesPerBlock(header.metadataSizeBytes);
    return { offsetBytes, block: isFull ? this.#takeBlock() : undefined };
  }

  finish(): FilePiece[] {
    const header = this.#header;
    const needsBlock = this.#pending.length > 0 || this.#lastBlockOffset === undefined;
    const last = needsBlock ? [this.#takeBlock()] : [];
    header.currentSizeBytes = this.#endBytes;
    header.endOfLogBytes = this.#endBytes;
    return [...last, { offsetBytes: 0, data: encodeHeader(header) }];
  }

  /** Ends the current block: the entries that wait, with the distance to the block before. */
  #takeBlock(): FilePiece {
    const offsetBytes = this.#endBytes;
    const distance = this.#lastBlockOffset === undefined ? 0 : offsetBytes - this.#lastBlockOffset;
    const data = encodeMetadataBlock(distance, this.#pending, this.#header.metadataSizeBytes);
    this.#pending = [];
    this.#lastBlockOffset = offsetBytes;
    this.#endBytes += data.length;
    return { offsetBytes, data };
  }
}

function checkSectors(offsetBytes: number, field: string, found: number): void {
  if (Number.isSafeInteger(found) && found >= 0 && found % sectorSizeBytes === 0) return;
  throw new HrlError('LogEntryUnaligned', {
    structure: 'entry of data',
    offsetBytes,
    field,
    expected: 'a multiple of 512',
    found,
  });
}

function refuseEntryCount(offsetBytes: number, mostEntries: number): never {
  throw new HrlError('LogTooLarge', {
    structure: 'log',
    offsetBytes,
    field: 'TotalMetadataEntries',
    expected: `at most ${mostEntries}`,
    found: mostEntries + 1,
  });
}
