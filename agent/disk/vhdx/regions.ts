// The region table of a VHDX (MS-VHDX 2.2.3): where the block table and the metadata are.
import { imageCorrupt, imageUnsupported } from '../errors.ts';
import { guidFromMixedEndian } from '../guid.ts';
import { crc32cWithField } from './crc32c.ts';
import { mebibyte, readUInt64 } from './header.ts';

/** Where the two copies of the table are. */
export const regionTableOffsets = [192 * 1024, 256 * 1024] as const;
const tableBytes = 64 * 1024;
const entryBytes = 32;
const maxEntries = 2047;
/** The regions that every VHDX has. */
export const regionGuids = {
  blockTable: '2dc27766-f623-4200-9d64-115e9bfd4a08',
  metadata: '8b7ca206-4790-4b9a-b8fe-575f050f886e',
} as const;

export interface VhdxRegion {
  offsetBytes: number;
  lengthBytes: number;
}

export interface VhdxRegions {
  blockTable: VhdxRegion;
  metadata: VhdxRegion;
}

/** The file under a pending log. */
export interface OverlaidFile {
  path: string;
  sizeBytes: number;
  readInto: (target: Uint8Array, offsetBytes: number) => Promise<void>;
}

/** Reads bytes of the overlaid file. */
export async function readOverlaid(
  file: OverlaidFile,
  offsetBytes: number,
  lengthBytes: number,
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(lengthBytes);
  await file.readInto(bytes, offsetBytes);
  return bytes;
}

function isPlaced({ offsetBytes, lengthBytes }: VhdxRegion, fileSizeBytes: number): boolean {
  const isWhole = offsetBytes % mebibyte === 0 && lengthBytes % mebibyte === 0;
  return isWhole && offsetBytes >= mebibyte && lengthBytes > 0 && offsetBytes + lengthBytes <= fileSizeBytes;
}

function parseTable(file: OverlaidFile, table: Buffer): VhdxRegions {
  const count = table.readUInt32LE(8);
  if (count > maxEntries) throw imageCorrupt(file.path, `region table with ${count} entries`);
  const found: Partial<VhdxRegions> = {};
  const all: VhdxRegion[] = [];
  for (let index = 0; index < count; index++) {
    const entry = table.subarray(16 + index * entryBytes, 16 + (index + 1) * entryBytes);
    const guid = guidFromMixedEndian(entry.subarray(0, 16));
    const region = { offsetBytes: readUInt64(entry, 16), lengthBytes: entry.readUInt32LE(24) };
    if (!isPlaced(region, file.sizeBytes))
      throw imageCorrupt(file.path, `region ${guid} is not in whole MiB inside the file`);
    all.push(region);
    const name = (['blockTable', 'metadata'] as const).find((known) => regionGuids[known] === guid);
    if (name === undefined) {
      if ((entry.readUInt32LE(28) & 1) !== 0)
        throw imageUnsupported(file.path, `needs region ${guid}, which is not known here`);
    } else if (found[name]) throw imageCorrupt(file.path, `two regions ${guid}`);
    else found[name] = region;
  }
  all.sort((a, b) => a.offsetBytes - b.offsetBytes);
  const isOverlapping = all.some((region, index) => {
    const next = all[index + 1];
    return next !== undefined && region.offsetBytes + region.lengthBytes > next.offsetBytes;
  });
  if (isOverlapping) throw imageCorrupt(file.path, 'its regions overlap');
  const { blockTable, metadata } = found;
  if (!blockTable || !metadata)
    throw imageCorrupt(file.path, 'no region for the block table or the metadata');
  return { blockTable, metadata };
}

/** Throws `DiskImageCorrupt`, and `DiskImageUnsupported` for an unknown region that is required. */
export async function readRegions(file: OverlaidFile): Promise<VhdxRegions> {
  for (const offset of regionTableOffsets) {
    const table = await readOverlaid(file, offset, tableBytes);
    const isRight =
      table.toString('latin1', 0, 4) === 'regi' && table.readUInt32LE(4) === crc32cWithField(table, 4);
    if (isRight) return parseTable(file, table);
  }
  throw imageCorrupt(file.path, 'neither of the two region tables has a right checksum');
}
