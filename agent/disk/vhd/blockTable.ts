// The block allocation table of a dynamic or differencing VHD: one big-endian sector number for each block, all ones
// for a block that is not there. Each block is a sector bitmap and then the data.
import { imageCorrupt } from '../errors.ts';
import type { ImageFile } from '../imageFile.ts';
import { scanTable } from '../tableScan.ts';
import { sectorBytes, sparseHeaderBytes, type SparseHeader } from './sparseHeader.ts';

export const absentBlock = 0xffff_ffff;

/** Bytes of a block's bitmap: a bit for each sector, in whole sectors. */
export function bitmapBytes(blockSizeBytes: number): number {
  return Math.ceil(blockSizeBytes / sectorBytes / 8 / sectorBytes) * sectorBytes;
}

interface SectorRange {
  name: string;
  start: number;
  end: number;
}

/** The first of the sorted blocks that reaches into the range. */
function findBlockInside(starts: Uint32Array, blockSectors: number, range: SectorRange): number | undefined {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] ?? 0) + blockSectors > range.start) high = middle;
    else low = middle + 1;
  }
  const start = starts[low];
  return start !== undefined && start < range.end ? start : undefined;
}

/**
 * Checks every entry that the disk needs: inside the file, over no other block, over no structure. Throws
 * `DiskImageCorrupt`.
 */
export async function checkBlockTable(
  file: ImageFile,
  header: SparseHeader,
  blockCount: number,
): Promise<void> {
  const { path, sizeBytes } = file;
  const { tableOffsetBytes, tableEntries, blockSizeBytes } = header;
  if (tableEntries < blockCount)
    throw imageCorrupt(path, `block table of ${tableEntries} entries for ${blockCount} blocks`);
  const tableEnd = tableOffsetBytes + blockCount * 4;
  if (tableOffsetBytes % sectorBytes !== 0 || tableEnd > sizeBytes)
    throw imageCorrupt(path, `block table at ${tableOffsetBytes} lies outside the file or not on a sector`);
  const blockSectors = (bitmapBytes(blockSizeBytes) + blockSizeBytes) / sectorBytes;
  const fileSectors = Math.floor(sizeBytes / sectorBytes);
  // More blocks than the file has room for overlap for certain; so the list is never larger than the file is worth.
  const starts = new Uint32Array(Math.min(blockCount, Math.floor(fileSectors / blockSectors)));
  let count = 0;
  await scanTable(
    (target, offset) => file.readInto(target, offset),
    { offsetBytes: tableOffsetBytes, entryBytes: 4, count: blockCount },
    (index, chunk, at) => {
      const start = chunk.readUInt32BE(at);
      if (start === absentBlock) return;
      if (start + blockSectors > fileSectors)
        throw imageCorrupt(path, `block ${index} at sector ${start} lies outside the file`);
      if (count === starts.length) throw imageCorrupt(path, `blocks overlap, block ${index} among them`);
      starts[count++] = start;
    },
  );
  const sorted = starts.subarray(0, count).sort();
  for (let index = 1; index < count; index++)
    if ((sorted[index - 1] ?? 0) + blockSectors > (sorted[index] ?? 0))
      throw imageCorrupt(path, `two blocks overlap at sector ${sorted[index] ?? 0}`);
  const sectorsOf = (name: string, offsetBytes: number, lengthBytes: number): SectorRange => ({
    name,
    start: Math.floor(offsetBytes / sectorBytes),
    end: Math.ceil((offsetBytes + lengthBytes) / sectorBytes),
  });
  const structures = [
    sectorsOf('the copy of the footer', 0, sectorBytes),
    sectorsOf('the sparse header', header.offsetBytes, sparseHeaderBytes),
    sectorsOf('the block table', tableOffsetBytes, blockCount * 4),
  ];
  for (const range of structures) {
    const start = findBlockInside(sorted, blockSectors, range);
    if (start !== undefined) throw imageCorrupt(path, `block at sector ${start} lies over ${range.name}`);
  }
}
