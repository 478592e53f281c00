// A valid log of any size that exists nowhere: its bytes are computed from their offsets when they are read. Every
// sector of data says which entry and which sector of it is meant, so that a disk can be checked without a copy.
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import { entriesPerBlock } from '../../lib/hrl/format.ts';
import { decodeHeader, encodeHeader } from '../../lib/hrl/header.ts';
import { encodeMetadataBlock } from '../../lib/hrl/metadataBlock.ts';
import { buildHrl } from '../../lib/hrl/writer.ts';

const headerBytes = 4096;
const blockBytes = 4096;
const perBlock = entriesPerBlock(blockBytes);

export interface GeneratedLog {
  /** A whole number of full metadata blocks, 127 entries each. */
  blockCount: number;
  /** Length of every entry. */
  entryBytes: number;
  /** Where entry i goes on the disk. */
  diskOffsetOf: (entry: number) => number;
}

/** Writes into a sector of data what it is. */
function stampSector(view: DataView, at: number, entry: number, sector: number): void {
  view.setUint32(at, entry, true);
  view.setUint32(at + 4, sector, true);
}

/** Reads what a sector says it is. */
export function readStamp(view: DataView, at: number): { entry: number; sector: number } {
  return { entry: view.getUint32(at, true), sector: view.getUint32(at + 4, true) };
}

/** The log as a source. */
export function generatedLog(log: GeneratedLog): RandomAccessSource {
  const groupBytes = perBlock * log.entryBytes + blockBytes;
  const firstGroup = headerBytes + blockBytes;
  const sizeBytes = firstGroup + log.blockCount * groupBytes;
  // Header and empty first block of a real log, with the totals of this one.
  const start = buildHrl([], {
    uniqueId: 'aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb',
    createdAt: new Date('2026-05-01'),
  });
  const totals = {
    endOfLogBytes: sizeBytes,
    currentSizeBytes: sizeBytes,
    totalMetadataEntries: log.blockCount * perBlock,
  };
  start.set(encodeHeader({ ...decodeHeader(start.subarray(0, headerBytes)), ...totals }));

  const metadataOf = (group: number): Uint8Array => {
    const entries = Array.from({ length: perBlock }, (_unused, slot) => ({
      diskOffset: log.diskOffsetOf(group * perBlock + slot),
      length: log.entryBytes,
      timestamp: group,
      dataChecksum: 0,
    }));
    return encodeMetadataBlock(groupBytes, entries, blockBytes);
  };
  /** Fills the part of a group's data that lies in [offset, end) of the file; both are multiples of 512. */
  const fillData = (bytes: Uint8Array, offset: number, group: number): void => {
    const groupStart = firstGroup + group * groupBytes;
    const from = Math.max(offset, groupStart);
    const to = Math.min(offset + bytes.length, groupStart + groupBytes - blockBytes);
    if (to <= from) return;
    bytes.fill(0x5a, from - offset, to - offset);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = from; at < to; at += 512) {
      const inGroup = at - groupStart;
      const entry = group * perBlock + Math.floor(inGroup / log.entryBytes);
      stampSector(view, at - offset, entry, (inGroup % log.entryBytes) / 512);
    }
  };
  const place = (bytes: Uint8Array, offset: number, structure: Uint8Array, at: number): void => {
    const from = Math.max(offset, at);
    const to = Math.min(offset + bytes.length, at + structure.length);
    if (to > from) bytes.set(structure.subarray(from - at, to - at), from - offset);
  };
  return {
    sizeBytes,
    read: async (offset, length) => {
      const bytes = new Uint8Array(length);
      place(bytes, offset, start, 0);
      const firstIndex = Math.max(0, Math.floor((offset - firstGroup) / groupBytes));
      for (let group = firstIndex; group < log.blockCount; group++) {
        const groupStart = firstGroup + group * groupBytes;
        if (groupStart >= offset + length) break;
        fillData(bytes, offset, group);
        const blockStart = groupStart + groupBytes - blockBytes;
        if (blockStart < offset + length) place(bytes, offset, metadataOf(group), blockStart);
      }
      return bytes;
    },
  };
}
