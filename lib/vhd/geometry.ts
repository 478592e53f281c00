// The cylinder/head/sector geometry that a VHD footer must carry, by the algorithm in the appendix of the VHD
// specification. It rounds down, so it says what a BIOS shows and never how large a disk is.

export interface ChsGeometry {
  cylinders: number;
  heads: number;
  sectorsPerTrack: number;
}

const sectorSizeBytes = 512;
const maxChsSectors = 65_535 * 16 * 255;

/** The geometry of a disk of that size; disks above 127 GiB all have the largest one, 65535/16/255. */
export function chsGeometry(sizeBytes: number): ChsGeometry {
  const totalSectors = Math.min(Math.floor(sizeBytes / sectorSizeBytes), maxChsSectors);
  if (totalSectors >= 65_535 * 16 * 63) return withTracks(totalSectors, 255, 16);

  const tracks = Math.floor(totalSectors / 17);
  const heads = Math.max(4, Math.ceil(tracks / 1024));
  if (tracks < heads * 1024 && heads <= 16) return withTracks(totalSectors, 17, heads);
  if (Math.floor(totalSectors / 31) < 16 * 1024) return withTracks(totalSectors, 31, 16);
  return withTracks(totalSectors, 63, 16);
}

function withTracks(totalSectors: number, sectorsPerTrack: number, heads: number): ChsGeometry {
  const tracks = Math.floor(totalSectors / sectorsPerTrack);
  return { cylinders: Math.floor(tracks / heads), heads, sectorsPerTrack };
}
