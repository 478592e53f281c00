// Where the bytes of a range of a disk are: in the image's own file, in its parent, or nowhere (zeros).
import type { ByteRange } from '../../lib/storage/ports.ts';

/** A piece of a disk with one place. `fileOffsetBytes` counts for `file` alone. */
export interface Placement extends ByteRange {
  place: 'file' | 'parent' | 'zero';
  fileOffsetBytes: number;
}

/** Placements of one range in ascending order; what continues the last one is joined to it. */
export class PlacementList {
  readonly items: Placement[] = [];

  add(place: Placement['place'], { offsetBytes, lengthBytes }: ByteRange, fileOffsetBytes = 0): void {
    if (lengthBytes === 0) return;
    const last = this.items.at(-1);
    const continues =
      last?.place === place &&
      (place !== 'file' || last.fileOffsetBytes + last.lengthBytes === fileOffsetBytes);
    if (continues) last.lengthBytes += lengthBytes;
    else this.items.push({ place, offsetBytes, lengthBytes, fileOffsetBytes });
  }
}

/** How a sector bitmap is laid out. */
export interface BitmapLayout {
  sectorSizeBytes: number;
  /** VHDX counts bits from the lowest of each byte, VHD from the highest. */
  lowestBitFirst: boolean;
}

/**
 * Splits a range by the sectors' bits: 1 = the sector is in this file, 0 = in the parent. `bitmap` begins with the byte
 * of sector `firstSector` (a multiple of 8, counted from where the bitmap's block of sectors begins at disk offset
 * `originBytes`).
 */
export function* splitByBitmap(
  { offsetBytes, lengthBytes }: ByteRange,
  bitmap: { bytes: Uint8Array; firstSector: number; originBytes: number },
  { sectorSizeBytes, lowestBitFirst }: BitmapLayout,
): Generator<{ range: ByteRange; isPresent: boolean }, void, undefined> {
  const end = offsetBytes + lengthBytes;
  const isPresent = (sector: number): boolean => {
    const bit = sector - bitmap.firstSector;
    const byte = bitmap.bytes[bit >>> 3] ?? 0;
    return ((byte >>> (lowestBitFirst ? bit & 7 : 7 - (bit & 7))) & 1) === 1;
  };
  let start = offsetBytes;
  let sector = Math.floor((offsetBytes - bitmap.originBytes) / sectorSizeBytes);
  while (start < end) {
    const present = isPresent(sector);
    let runEnd = start;
    while (runEnd < end && isPresent(sector) === present) {
      sector++;
      runEnd = Math.min(end, bitmap.originBytes + sector * sectorSizeBytes);
    }
    yield { range: { offsetBytes: start, lengthBytes: runEnd - start }, isPresent: present };
    start = runEnd;
  }
}
