// The 4096-byte file header: bytes ⇄ HrlHeader. Decoding checks everything the header can prove about itself; what
// it says about the rest of the file (EOLLocation, entry totals) is checked where the rest is read.
import { formatChecksum, HrlError } from './errors.ts';
import {
  checksumOf,
  cookieText,
  entriesPerBlock,
  formatGuid,
  fromHrlSeconds,
  headerField,
  headerSizeBytes,
  maxMetadataSizeBytes,
  parseGuid,
  sectorSizeBytes,
  toHrlSeconds,
  type HrlHeader,
} from './format.ts';
import type { ErrorCode } from '../errors.ts';

const structure = 'log header';
const isSpaceOrNul = (byte: number | undefined): boolean => byte === 0x20 || byte === 0;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function refuse(
  code: ErrorCode,
  field: keyof typeof headerField,
  expected: string | number,
  found: string | number,
): never {
  throw new HrlError(code, { structure, offsetBytes: headerField[field], field, expected, found });
}

/** Refuses bytes that do not begin like a log. Takes whatever the file has, even less than a header. */
export function checkCookie(bytes: Uint8Array): void {
  const cookie = bytes.subarray(0, cookieText.length + 1);
  const text = Buffer.from(cookie).toString('latin1');
  const isCookie = text.startsWith(cookieText) && isSpaceOrNul(cookie[cookieText.length]);
  if (!isCookie) refuse('LogNotHrl', 'Cookie', `"${cookieText} "`, JSON.stringify(text));
}

/** A 64-bit size or count as a number; one that a number cannot hold exactly is no size that exists. */
function readSize(
  view: DataView,
  field: 'OriginalSize' | 'CurrentSize' | 'EOLLocation' | 'TotalMetadataEntries',
): number {
  const value = view.getBigUint64(headerField[field], true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    refuse('LogHeaderCorrupt', field, 'at most 2^53 - 1', value.toString());
  }
  return Number(value);
}

function readVersion(view: DataView): 1 | 2 {
  const logFormatVersion = view.getUint32(headerField.LogFormatVersion, true);
  // The minor version in the low half adds nothing that a reader must know.
  const major = logFormatVersion >>> 16;
  if (major !== 1 && major !== 2) {
    refuse(
      'LogVersionUnsupported',
      'LogFormatVersion',
      '0x00020000 or 0x00010000',
      formatChecksum(logFormatVersion),
    );
  }
  return major;
}

function readMetadataSize(view: DataView): number {
  const metadataSizeBytes = view.getUint32(headerField.MetadataSize, true);
  const isPossible =
    metadataSizeBytes % sectorSizeBytes === 0 &&
    metadataSizeBytes <= maxMetadataSizeBytes &&
    entriesPerBlock(metadataSizeBytes) > 0;
  if (!isPossible) {
    refuse(
      'LogHeaderCorrupt',
      'MetadataSize',
      `a multiple of 512 from 512 to ${maxMetadataSizeBytes}`,
      metadataSizeBytes,
    );
  }
  return metadataSizeBytes;
}

/** Cookie, version and checksum come first: after them every other value is what the writer wrote. */
function checkIntegrity(bytes: Uint8Array, view: DataView): void {
  const stored = view.getUint32(headerField.Checksum, true);
  const computed = checksumOf(bytes, headerField.Checksum);
  if (stored !== computed) {
    refuse('LogHeaderCorrupt', 'Checksum', formatChecksum(computed), formatChecksum(stored));
  }
  const fileType = view.getUint32(headerField.FileType, true);
  if (fileType !== 0) refuse('LogHeaderCorrupt', 'FileType', 0, fileType);
  // An unknown flag could change what the log means; the reserved bytes behind it cannot, and are ignored.
  const flags = view.getUint16(headerField.Flags, true);
  if (flags !== 0) refuse('LogHeaderCorrupt', 'Flags', 0, flags);
}

/** Decodes and checks the 4096 header bytes of a closed log. Throws HrlError. */
export function decodeHeader(bytes: Uint8Array): HrlHeader {
  const view = viewOf(bytes);
  const guidAt = (offset: number): string => formatGuid(bytes.subarray(offset, offset + 16));
  checkCookie(bytes);
  const version = readVersion(view);
  checkIntegrity(bytes, view);
  const endOfLogBytes = readSize(view, 'EOLLocation');
  if (endOfLogBytes === 0) refuse('LogNotClosed', 'EOLLocation', 'the offset of the end of the log', 0);
  return {
    version,
    createdAt: fromHrlSeconds(view.getUint32(headerField.TimeStamp, true)),
    lastModifiedAt: fromHrlSeconds(view.getUint32(headerField.LastModifiedTimeStamp, true)),
    creatorApplication: Buffer.from(
      bytes.subarray(headerField.CreatorApplication, headerField.CreatorVersion),
    ).toString('latin1'),
    creatorVersion: view.getUint32(headerField.CreatorVersion, true),
    originalSizeBytes: readSize(view, 'OriginalSize'),
    currentSizeBytes: readSize(view, 'CurrentSize'),
    endOfLogBytes,
    errorCode: view.getInt32(headerField.ErrorCode, true),
    metadataSizeBytes: readMetadataSize(view),
    uniqueId: guidAt(headerField.UniqueId),
    previousUniqueId: guidAt(headerField.PreviousUniqueId),
    totalMetadataEntries: readSize(view, 'TotalMetadataEntries'),
    vhd2DataWriteGuid: version === 2 ? guidAt(headerField.Vhd2DataWriteGuid) : undefined,
  };
}

/** Encodes a header; `endOfLogBytes` 0 marks a log that is still being written. */
export function encodeHeader(header: HrlHeader): Uint8Array {
  const bytes = new Uint8Array(headerSizeBytes);
  const view = viewOf(bytes);
  bytes.set(Buffer.from(`${cookieText} `, 'latin1'), headerField.Cookie);
  view.setUint32(headerField.LogFormatVersion, header.version * 0x10000, true);
  view.setUint32(headerField.TimeStamp, toHrlSeconds(header.createdAt), true);
  bytes.set(Buffer.from(header.creatorApplication, 'latin1').subarray(0, 4), headerField.CreatorApplication);
  view.setUint32(headerField.CreatorVersion, header.creatorVersion, true);
  view.setBigUint64(headerField.OriginalSize, BigInt(header.originalSizeBytes), true);
  view.setBigUint64(headerField.CurrentSize, BigInt(header.currentSizeBytes), true);
  view.setBigUint64(headerField.EOLLocation, BigInt(header.endOfLogBytes), true);
  view.setInt32(headerField.ErrorCode, header.errorCode, true);
  view.setUint32(headerField.MetadataSize, header.metadataSizeBytes, true);
  bytes.set(parseGuid(header.uniqueId), headerField.UniqueId);
  bytes.set(parseGuid(header.previousUniqueId), headerField.PreviousUniqueId);
  view.setUint32(headerField.LastModifiedTimeStamp, toHrlSeconds(header.lastModifiedAt), true);
  view.setBigUint64(headerField.TotalMetadataEntries, BigInt(header.totalMetadataEntries), true);
  if (header.vhd2DataWriteGuid !== undefined) {
    bytes.set(parseGuid(header.vhd2DataWriteGuid), headerField.Vhd2DataWriteGuid);
  }
  view.setUint32(headerField.Checksum, checksumOf(bytes, headerField.Checksum), true);
  return bytes;
}
