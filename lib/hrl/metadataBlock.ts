// One metadata block: its 32-byte header and its 32-byte entries, bytes ⇄ values. Each of the two carries its own
// checksum, so a value that leaves this file is the one the writer wrote. Slots after the last valid entry are not
// covered by any checksum and are never looked at.
import type { HrlEntries } from './entries.ts';
import { formatChecksum, HrlError, type HrlFault } from './errors.ts';
import {
  checksumOf,
  entriesPerBlock,
  metadataEntryField,
  metadataEntrySizeBytes,
  metadataHeaderField,
  metadataHeaderSizeBytes,
  metaOperationWrite,
  sectorSizeBytes,
} from './format.ts';
import type { ErrorCode } from '../errors.ts';

export interface MetadataHeader {
  /** Distance from this block back to the previous one; 0 in the first block. */
  previousMetadataDistanceBytes: number;
  validMetadataEntries: number;
}

/** One write entry, as it is encoded. */
export interface MetadataEntry {
  diskOffset: number;
  length: number;
  /** Seconds since 2000-01-01. */
  timestamp: number;
  /** 0 = not given. */
  dataChecksum: number;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Decodes and checks the header of the block that lies at `blockOffset` of the file. Throws HrlError. */
export function decodeMetadataHeader(block: Uint8Array, blockOffset: number): MetadataHeader {
  const view = viewOf(block);
  const refuse = (field: keyof typeof metadataHeaderField, expected: string, found: string): never => {
    const offsetBytes = blockOffset + metadataHeaderField[field];
    throw new HrlError('LogMetadataCorrupt', {
      structure: 'metadata block',
      offsetBytes,
      field,
      expected,
      found,
    });
  };
  const stored = view.getUint32(metadataHeaderField.Checksum, true);
  const computed = checksumOf(block.subarray(0, metadataHeaderSizeBytes), metadataHeaderField.Checksum);
  if (stored !== computed) refuse('Checksum', formatChecksum(computed), formatChecksum(stored));

  const capacity = entriesPerBlock(block.length);
  const validMetadataEntries = view.getUint32(metadataHeaderField.ValidMetadataEntries, true);
  if (validMetadataEntries > capacity) {
    refuse('ValidMetadataEntries', `at most ${capacity}`, validMetadataEntries.toString());
  }
  const distance = view.getBigUint64(metadataHeaderField.PreviousMetadataLocation, true);
  if (distance > BigInt(Number.MAX_SAFE_INTEGER)) {
    refuse('PreviousMetadataLocation', 'at most 2^53 - 1', distance.toString());
  }
  return { previousMetadataDistanceBytes: Number(distance), validMetadataEntries };
}

/** What `decodeEntries` reads and where it puts it. */
export interface BlockToDecode {
  block: Uint8Array;
  blockOffset: number;
  validMetadataEntries: number;
  /** Where the data of the block's first entry is in the file. */
  dataStart: number;
}

/**
 * Decodes the block's entries into slots [firstIndex, firstIndex + validMetadataEntries) of `entries` and returns the
 * offset where their data ends. Throws HrlError at the first entry that cannot be right.
 */
export function decodeEntries(source: BlockToDecode, entries: HrlEntries, firstIndex: number): number {
  const view = viewOf(source.block);
  let dataOffset = source.dataStart;
  for (let slot = 0; slot < source.validMetadataEntries; slot++) {
    const at = metadataHeaderSizeBytes + slot * metadataEntrySizeBytes;
    const entry = decodeEntry(source.block, view, at, source.blockOffset);
    const index = firstIndex + slot;
    entries.diskOffsets[index] = entry.diskOffset;
    entries.lengths[index] = entry.length;
    entries.dataOffsets[index] = dataOffset;
    entries.timestamps[index] = entry.timestamp;
    entries.dataChecksums[index] = entry.dataChecksum;
    dataOffset += entry.length;
  }
  return dataOffset;
}

function decodeEntry(block: Uint8Array, view: DataView, at: number, blockOffset: number): MetadataEntry {
  const refuse = (
    code: ErrorCode,
    field: keyof typeof metadataEntryField,
    values: Pick<HrlFault, 'expected' | 'found'>,
  ): never => {
    const offsetBytes = blockOffset + at + metadataEntryField[field];
    throw new HrlError(code, { structure: 'entry', offsetBytes, field, ...values });
  };
  const stored = view.getUint32(at + metadataEntryField.Checksum, true);
  const computed = checksumOf(block.subarray(at, at + metadataEntrySizeBytes), metadataEntryField.Checksum);
  if (stored !== computed) {
    refuse('LogEntryCorrupt', 'Checksum', {
      expected: formatChecksum(computed),
      found: formatChecksum(stored),
    });
  }
  const operation = view.getUint8(at + metadataEntryField.MetaOperation);
  if (operation !== metaOperationWrite) {
    refuse('LogEntryCorrupt', 'MetaOperation', { expected: metaOperationWrite, found: operation });
  }
  const length = view.getUint32(at + metadataEntryField.DataLength, true);
  if (length === 0) refuse('LogEntryCorrupt', 'DataLength', { expected: 'at least 512', found: 0 });
  if (length % sectorSizeBytes !== 0) {
    refuse('LogEntryUnaligned', 'DataLength', { expected: 'a multiple of 512', found: length });
  }
  // Two halves instead of a BigInt: this runs once per write of the log.
  const diskOffset =
    view.getUint32(at + metadataEntryField.ByteOffset + 4, true) * 2 ** 32 +
    view.getUint32(at + metadataEntryField.ByteOffset, true);
  if (diskOffset + length > Number.MAX_SAFE_INTEGER) {
    refuse('LogEntryCorrupt', 'ByteOffset', { expected: 'an end of at most 2^53 - 1', found: diskOffset });
  }
  if (diskOffset % sectorSizeBytes !== 0) {
    refuse('LogEntryUnaligned', 'ByteOffset', { expected: 'a multiple of 512', found: diskOffset });
  }
  return {
    diskOffset,
    length,
    timestamp: view.getUint32(at + metadataEntryField.TimeStamp, true),
    dataChecksum: view.getUint32(at + metadataEntryField.DataChecksum, true),
  };
}

/** Encodes one 32-byte entry. */
export function encodeEntry(entry: MetadataEntry): Uint8Array {
  const bytes = new Uint8Array(metadataEntrySizeBytes);
  const view = viewOf(bytes);
  view.setBigUint64(metadataEntryField.ByteOffset, BigInt(entry.diskOffset), true);
  view.setUint32(metadataEntryField.DataLength, entry.length, true);
  view.setUint32(metadataEntryField.TimeStamp, entry.timestamp, true);
  view.setUint8(metadataEntryField.MetaOperation, metaOperationWrite);
  view.setUint32(metadataEntryField.DataChecksum, entry.dataChecksum, true);
  view.setUint32(metadataEntryField.Checksum, checksumOf(bytes, metadataEntryField.Checksum), true);
  return bytes;
}

/** Encodes a whole block of `metadataSizeBytes`. Needs at most `entriesPerBlock(metadataSizeBytes)` entries. */
export function encodeMetadataBlock(
  previousMetadataDistanceBytes: number,
  entries: readonly MetadataEntry[],
  metadataSizeBytes: number,
): Uint8Array {
  const block = new Uint8Array(metadataSizeBytes);
  const view = viewOf(block);
  view.setBigUint64(
    metadataHeaderField.PreviousMetadataLocation,
    BigInt(previousMetadataDistanceBytes),
    true,
  );
  view.setUint32(metadataHeaderField.ValidMetadataEntries, entries.length, true);
  const header = block.subarray(0, metadataHeaderSizeBytes);
  view.setUint32(metadataHeaderField.Checksum, checksumOf(header, metadataHeaderField.Checksum), true);
  entries.forEach((entry, slot) => {
    block.set(encodeEntry(entry), metadataHeaderSizeBytes + slot * metadataEntrySizeBytes);
  });
  return block;
}
