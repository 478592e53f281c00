// The header of a log that is to be written: from the options of its writer to the fields, while it is open and, when
// the totals are known before, as it will be once the log is closed.
import {
  creatorApplicationFailoverReplication,
  defaultMetadataSizeBytes,
  entriesPerBlock,
  headerSizeBytes,
  maxMetadataSizeBytes,
  nilGuid,
  sectorSizeBytes,
  type HrlHeader,
} from './format.ts';
import { encodeHeader } from './header.ts';

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
  /** Most writes that the log takes; what readers take at most when omitted. */
  maxEntryCount?: number;
  /** Whether the log begins with an empty metadata block, as the logs of Hyper-V do. Default true. */
  emptyFirstBlock?: boolean;
}

/** How much a log holds. */
export interface HrlTotals {
  entryCount: number;
  /** Sum of the lengths of all writes. */
  dataBytes: number;
  /** The latest timestamp that a write has of its own; none has one when omitted. */
  lastModifiedAt?: Date;
}

const creatorVersionWindows10 = 0x000a0000;

/** Whether a log with these options begins with an empty block. */
export const beginsWithEmptyBlock = ({ emptyFirstBlock = true }: HrlWriterOptions): boolean =>
  emptyFirstBlock;

/** The header of a log that is open and empty. Throws RangeError for options that no log can have. */
export function openHeader(options: HrlWriterOptions): HrlHeader {
  const metadataSizeBytes = options.metadataSizeBytes ?? defaultMetadataSizeBytes;
  const isSector = metadataSizeBytes > 0 && metadataSizeBytes % sectorSizeBytes === 0;
  if (!isSector || metadataSizeBytes > maxMetadataSizeBytes) {
    throw new RangeError(
      `metadataSizeBytes must be a multiple of 512 up to ${maxMetadataSizeBytes}; got ${metadataSizeBytes}`,
    );
  }
  return {
    version: 2,
    createdAt: options.createdAt,
    lastModifiedAt: options.createdAt,
    creatorApplication: creatorApplicationFailoverReplication,
    creatorVersion: creatorVersionWindows10,
    originalSizeBytes: headerSizeBytes + (beginsWithEmptyBlock(options) ? metadataSizeBytes : 0),
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

/**
 * The 4096 bytes with which the log of so many writes begins once it is closed: what a digest of the file needs first,
 * before the first write is there.
 */
export function closedHeaderOf(options: HrlWriterOptions, totals: HrlTotals): Uint8Array {
  const { entryCount, dataBytes, lastModifiedAt = options.createdAt } = totals;
  const header = openHeader(options);
  const filledBlocks = Math.ceil(entryCount / entriesPerBlock(header.metadataSizeBytes));
  const blocks = Math.max(1, filledBlocks + (beginsWithEmptyBlock(options) ? 1 : 0));
  const endOfLogBytes = headerSizeBytes + blocks * header.metadataSizeBytes + dataBytes;
  const sizes = { currentSizeBytes: endOfLogBytes, endOfLogBytes, totalMetadataEntries: entryCount };
  return encodeHeader({ ...header, ...sizes, lastModifiedAt });
}
