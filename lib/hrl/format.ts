// The Hyper-V Replica Log as laid out on disk ([MS-HRL] 2.1–2.3, docs/format-hrl.md): where every field is, how
// checksums are made and how GUIDs and times are written. Offsets are relative to the structure they belong to;
// everything is little-endian and packed. This file knows the layout only; it judges nothing.

/** Seconds between 1970-01-01 and the epoch of the format, 2000-01-01T00:00:00Z. */
export const hrlEpochSeconds = 946_684_800;

export const cookieText = 'msctlog';
export const headerSizeBytes = 4096;
export const metadataHeaderSizeBytes = 32;
export const metadataEntrySizeBytes = 32;
export const sectorSizeBytes = 512;
export const defaultMetadataSizeBytes = 4096;
/** Larger metadata blocks are refused: one block must fit in memory without thought. */
export const maxMetadataSizeBytes = 16 * 1024 * 1024;
/** Most writes in one log that are taken: planning them takes about 1.3 GB, and the smallest function instance has 2. */
export const maxEntryCount = 16 * 1024 * 1024;
/** Most metadata blocks in one log that are taken; full default blocks reach the entry limit with an eighth of it. */
export const maxBlockCount = 1024 * 1024;
/** The only MetaOperation of the format. */
export const metaOperationWrite = 1;
/** `ct` left-justified: what logs of failover replication carry. */
export const creatorApplicationFailoverReplication = 'ct  ';
export const nilGuid = '00000000-0000-0000-0000-000000000000';

/** Offsets of the file header's fields, by their names in the specification. */
export const headerField = {
  Cookie: 0,
  LogFormatVersion: 8,
  TimeStamp: 12,
  CreatorApplication: 16,
  CreatorVersion: 20,
  OriginalSize: 24,
  CurrentSize: 32,
  Checksum: 40,
  EOLLocation: 44,
  ErrorCode: 52,
  MetadataSize: 56,
  UniqueId: 60,
  PreviousUniqueId: 76,
  LastModifiedTimeStamp: 92,
  TotalMetadataEntries: 96,
  FileType: 104,
  Flags: 108,
  Vhd2DataWriteGuid: 110,
  Reserved: 126,
} as const;

/** Offsets of the fields of a metadata block's own 32-byte header. */
export const metadataHeaderField = {
  PreviousMetadataLocation: 0,
  ValidMetadataEntries: 8,
  Checksum: 12,
  Reserved: 16,
} as const;

/** Offsets of the fields of a 32-byte metadata entry. */
export const metadataEntryField = {
  ByteOffset: 0,
  Checksum: 8,
  DataLength: 12,
  TimeStamp: 16,
  MetaOperation: 20,
  DataChecksum: 21,
  Location: 25,
  Reserved: 26,
} as const;

/** The file header of a closed log. GUIDs are lower-case text; times have a resolution of one second. */
export interface HrlHeader {
  /** Major version: 1 was only ever used on the source itself, 2 is what is shipped. */
  version: 1 | 2;
  createdAt: Date;
  lastModifiedAt: Date;
  /** Four ASCII characters, as written. */
  creatorApplication: string;
  creatorVersion: number;
  originalSizeBytes: number;
  currentSizeBytes: number;
  /** EOLLocation: where the log ends. Bytes of the file after it are not part of the log. */
  endOfLogBytes: number;
  errorCode: number;
  metadataSizeBytes: number;
  uniqueId: string;
  previousUniqueId: string;
  totalMetadataEntries: number;
  /** Changes when the VHDX is modified outside change tracking; absent in version 1. */
  vhd2DataWriteGuid: string | undefined;
}

/** How many entries fit in one metadata block. */
export function entriesPerBlock(metadataSizeBytes: number): number {
  return Math.floor((metadataSizeBytes - metadataHeaderSizeBytes) / metadataEntrySizeBytes);
}

/** So many words can be added in lanes of 16 bits before the upper one reaches the sign: 128 × 255 is 32,640. */
const wordsPerRun = 128;
const wordBytes = Uint32Array.BYTES_PER_ELEMENT;
/** Shorter arrays are not worth the views. */
const wordsWorthBytes = 256;

/** Sum of the bytes as an unsigned 32-bit number, continuing from `sum`: the running half of a checksum. */
export function addByteSum(bytes: Uint8Array, sum = 0): number {
  if (bytes.length < wordsWorthBytes) return (sum + sumSingly(bytes)) % 2 ** 32;
  const headBytes = (wordBytes - (bytes.byteOffset % wordBytes)) % wordBytes;
  const wordCount = Math.floor((bytes.length - headBytes) / wordBytes);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + headBytes, wordCount);
  // Plain doubles stay exact for 2^45 bytes, far beyond any array.
  const ends =
    sumSingly(bytes.subarray(0, headBytes)) + sumSingly(bytes.subarray(headBytes + wordCount * wordBytes));
  return (sum + ends + sumWords(words)) % 2 ** 32;
}

function sumSingly(bytes: Uint8Array): number {
  let total = 0;
  for (let index = 0; index < bytes.length; index++) total += bytes[index] ?? 0;
  return total;
}

/** Adds four bytes at a time, in lanes of 16 bits of two numbers: several times as fast as one by one. */
function sumWords(words: Uint32Array): number {
  let total = 0;
  for (let start = 0; start < words.length; start += wordsPerRun) {
    const end = Math.min(start + wordsPerRun, words.length);
    let even = 0;
    let odd = 0;
    for (let index = start; index < end; index++) {
      const word = words[index] ?? 0;
      even = (even + (word & 0x00ff_00ff)) | 0;
      odd = (odd + ((word >>> 8) & 0x00ff_00ff)) | 0;
    }
    total += (even & 0xffff) + (even >>> 16) + (odd & 0xffff) + (odd >>> 16);
  }
  return total;
}

/** Turns a finished byte sum into the checksum of the format: its ones' complement. */
export function checksumOfSum(sum: number): number {
  return ~sum >>> 0;
}

/**
 * The checksum of the format: ones' complement of the unsigned 32-bit sum of all bytes, with the four bytes of the
 * checksum field itself (at `checksumFieldBytes`, if the structure has one) counted as zero.
 */
export function checksumOf(bytes: Uint8Array, checksumFieldBytes?: number): number {
  let sum = addByteSum(bytes);
  if (checksumFieldBytes !== undefined) {
    for (let index = 0; index < 4; index++) sum -= bytes[checksumFieldBytes + index] ?? 0;
  }
  return checksumOfSum(sum);
}

/** Seconds since 2000 as the format keeps them; a time outside 2000–2136 is a RangeError. */
export function toHrlSeconds(time: Date): number {
  const seconds = Math.floor(time.getTime() / 1000) - hrlEpochSeconds;
  if (!(seconds >= 0 && seconds <= 0xffffffff)) {
    throw new RangeError(`a log keeps times from 2000 to 2136; got ${String(time.getTime())} ms since 1970`);
  }
  return seconds;
}

export function fromHrlSeconds(seconds: number): Date {
  return new Date((hrlEpochSeconds + seconds) * 1000);
}

const guidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
// The first three groups of a GUID are integers, so their bytes are swapped in a little-endian file.
const guidByteOrder = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15] as const;

/** The 16 bytes of a GUID as Windows stores them. Throws RangeError when the text is not a GUID. */
export function parseGuid(text: string): Uint8Array {
  if (!guidPattern.test(text)) throw new RangeError(`not a GUID: "${text}"`);
  const textual = Buffer.from(text.replaceAll('-', ''), 'hex');
  return Uint8Array.from(guidByteOrder, (index) => textual[index] ?? 0);
}

/** The text of 16 GUID bytes, lower case, without braces. */
export function formatGuid(bytes: Uint8Array): string {
  const hex = Buffer.from(guidByteOrder.map((index) => bytes[index] ?? 0)).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
