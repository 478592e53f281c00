// Turns writes into the bytes of a version 2 log and says where each piece goes, without doing any I/O. Pieces are
// contiguous and ascending, except the last one, which replaces the header: until then EOLLocation is 0 and every
// reader refuses the file as not closed.
import { HrlError } from './errors.ts';
import {
  checksumOf,
  creatorApplicationFailoverReplication,
  defaultMetadataSizeBytes,
  entriesPerBlock,
  headerSizeBytes,
  maxMetadataSizeBytes,
  nilGuid,
  sectorSizeBytes,
  toHrlSeconds,
  type HrlHeader,
} from './format.ts';
import { encodeHeader } from './header.ts';
import { encodeMetadataBlock, type MetadataEntry } from './metadataBlock.ts';

/** One write to be logged. */
export interface HrlWrite {
  /** Multiple of 512. */
  diskOffset: number;
  /** Multiple of 512 in length, not empty, less than 4 GiB. */
  data: Uint8Array;
  /** When it happened; the log's `createdAt` when omitted. */
  timestamp?: Date;
}

export interface HrlWriterOptions {
  uniqueId: string;
  createdAt: Date;
  /** UniqueId of the log before this one; nil (start of a chain) when omitted. */
  previousUniqueId?: string;
  /** Data Write GUID of the VHDX; nil when the source is no VHDX. */
  vhd2DataWriteGuid?: string;
  /** Size of one metadata block; a larger one makes logs of many small writes quicker to read. Default 4096. */
  metadataSizeBytes?: number;
  /** Whether entries carry a checksum of their data. Real logs do not; a digest beside the log is the better proof. */
  withDataChecksums?: boolean;
  /** Whether the log begins with an empty metadata block, as the logs of Hyper-V do. Default true. */
  emptyFirstBlock?: boolean;
}

/** Bytes and where they go in the file. */
export interface FilePiece {
  offsetBytes: number;
  data: Uint8Array;
}

const creatorVersionWindows10 = 0x000a0000;

/** Call `start` once, `append` any number of times, `finish` once; write what each returns, in order. */
export class HrlEncoder {
  readonly #header: HrlHeader;
  readonly #withDataChecksums: boolean;
  readonly #emptyFirstBlock: boolean;
  #pending: MetadataEntry[] = [];
  #endBytes = headerSizeBytes;
  #lastBlockOffset: number | undefined;

  /** Throws RangeError for options that no log can have. */
  constructor(options: HrlWriterOptions) {
    const metadataSizeBytes = options.metadataSizeBytes ?? defaultMetadataSizeBytes;
    const isSector = metadataSizeBytes > 0 && metadataSizeBytes % sectorSizeBytes === 0;
    if (!isSector || metadataSizeBytes > maxMetadataSizeBytes) {
      throw new RangeError(
        `metadataSizeBytes must be a multiple of 512 up to ${maxMetadataSizeBytes}; got ${metadataSizeBytes}`,
      );
    }
    this.#withDataChecksums = options.withDataChecksums ?? false;
    this.#emptyFirstBlock = options.emptyFirstBlock ?? true;
    this.#header = {
      version: 2,
      createdAt: options.createdAt,
      lastModifiedAt: options.createdAt,
      creatorApplication: creatorApplicationFailoverReplication,
      creatorVersion: creatorVersionWindows10,
      originalSizeBytes: headerSizeBytes + (this.#emptyFirstBlock ? metadataSizeBytes : 0),
      currentSizeBytes: headerSizeBytes,
      endOfLogBytes: 0,
      errorCode: 0,
      metadataSizeBytes,
      uniqueId: options.uniqueId.toLowerCase(),
      previousUniqueId: (options.previousUniqueId ?? nilGuid).toLowerCase(),
      totalMetadataEntries: 0,
      vhd2DataWriteGuid: (options.vhd2DataWriteGuid ?? nilGuid).toLowerCase(),
    };
  }

  /** Size of the log if it were finished now without another write; the file's size after `finish`. */
  get sizeBytes(): number {
    const needsBlock = this.#pending.length > 0 || this.#lastBlockOffset === undefined;
    return this.#endBytes + (needsBlock ? this.#header.metadataSizeBytes : 0);
  }

  get entryCount(): number {
    return this.#header.totalMetadataEntries;
  }

  start(): FilePiece[] {
    const header = { offsetBytes: 0, data: encodeHeader(this.#header) };
    return this.#emptyFirstBlock ? [header, this.#takeBlock()] : [header];
  }

  /** Throws HrlError `LogEntryUnaligned` for a write that no log can hold; nothing has changed then. */
  append({ diskOffset, data, timestamp }: HrlWrite): FilePiece[] {
    checkSectors(this.#endBytes, 'ByteOffset', diskOffset);
    checkSectors(this.#endBytes, 'DataLength', data.length);
    if (data.length === 0 || data.length > 0xffffffff) {
      throw new RangeError(`a log entry holds 512 bytes to 4 GiB - 512; got ${data.length}`);
    }
    const header = this.#header;
    const writtenAt = timestamp ?? header.createdAt;
    this.#pending.push({
      diskOffset,
      length: data.length,
      timestamp: toHrlSeconds(writtenAt),
      dataChecksum: this.#withDataChecksums ? checksumOf(data) : 0,
    });
    if (writtenAt > header.lastModifiedAt) header.lastModifiedAt = writtenAt;
    header.totalMetadataEntries++;
    const piece = { offsetBytes: this.#endBytes, data };
    this.#endBytes += data.length;
    const isFull = this.#pending.length === entriesPerBlock(header.metadataSizeBytes);
    return isFull ? [piece, this.#takeBlock()] : [piece];
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
