// The header that dynamic and differencing VHDs have besides the footer (VHD specification 1.0, big-endian), checked
// against the file that it describes.
import { guidFromBigEndian } from '../guid.ts';
import { imageCorrupt, imageUnsupported } from '../errors.ts';
import type { ImageFile } from '../imageFile.ts';

export const sparseHeaderBytes = 1024;
export const sectorBytes = 512;
const minBlockBytes = 64 * 1024;
const maxBlockBytes = 256 * 1024 * 1024;
/** The block table counts sectors in 32 bits. */
export const maxDynamicSizeBytes = 2 * 1024 ** 4;
const maxLocatorBytes = 64 * 1024;

/** Offsets of the header's fields, by their names in the specification. */
const field = {
  Cookie: 0,
  TableOffset: 16,
  HeaderVersion: 24,
  MaxTableEntries: 28,
  BlockSize: 32,
  Checksum: 36,
  ParentUniqueId: 40,
  ParentUnicodeName: 64,
  ParentLocators: 576,
} as const;
const parentNameBytes = 512;
const locatorEntryBytes = 24;
const locatorCount = 8;

export interface SparseHeader {
  offsetBytes: number;
  tableOffsetBytes: number;
  tableEntries: number;
  blockSizeBytes: number;
  parentId: string;
  /** Raw entries of the parent locators. */
  locators: readonly { code: string; offsetBytes: number; lengthBytes: number }[];
  parentName: string;
}

function checksum(header: Buffer): number {
  let sum = 0;
  for (const byte of header) sum += byte;
  for (const byte of header.subarray(field.Checksum, field.Checksum + 4)) sum -= byte;
  return ~sum >>> 0;
}

const untilNull = (text: string): string => text.split('\0', 1)[0] ?? '';

/** An offset of 64 bits; one that no number can hold becomes infinite, which no file contains. */
function readOffset(bytes: Buffer, at: number): number {
  const offset = bytes.readBigUInt64BE(at);
  return offset > BigInt(Number.MAX_SAFE_INTEGER) ? Infinity : Number(offset);
}

/** Reads and checks the header at `offsetBytes`. Throws `DiskImageCorrupt` and `DiskImageUnsupported`. */
export async function readSparseHeader(file: ImageFile, offsetBytes: number): Promise<SparseHeader> {
  const corrupt = (what: string): Error =>
    imageCorrupt(file.path, `sparse header at ${offsetBytes}: ${what}`);
  if (offsetBytes % sectorBytes !== 0 || offsetBytes + sparseHeaderBytes > file.sizeBytes)
    throw corrupt('lies outside the file or not on a sector');
  const header = await file.read(offsetBytes, sparseHeaderBytes);
  if (header.toString('latin1', field.Cookie, 8) !== 'cxsparse') throw corrupt('no cookie "cxsparse"');
  if (header.readUInt32BE(field.Checksum) !== checksum(header)) throw corrupt('wrong checksum');
  const version = header.readUInt32BE(field.HeaderVersion);
  if (version !== 0x00010000)
    throw imageUnsupported(file.path, `sparse header of version 0x${version.toString(16)}`);
  const blockSizeBytes = header.readUInt32BE(field.BlockSize);
  const isPowerOfTwo = (blockSizeBytes & (blockSizeBytes - 1)) === 0;
  if (!isPowerOfTwo || blockSizeBytes < minBlockBytes || blockSizeBytes > maxBlockBytes)
    throw imageUnsupported(file.path, `blocks of ${blockSizeBytes} bytes`);
  const name = Buffer.from(
    header.subarray(field.ParentUnicodeName, field.ParentUnicodeName + parentNameBytes),
  );
  return {
    offsetBytes,
    tableOffsetBytes: readOffset(header, field.TableOffset),
    tableEntries: header.readUInt32BE(field.MaxTableEntries),
    blockSizeBytes,
    parentId: guidFromBigEndian(header.subarray(field.ParentUniqueId, field.ParentUniqueId + 16)),
    locators: Array.from({ length: locatorCount }, (_, index) => {
      const at = field.ParentLocators + index * locatorEntryBytes;
      return {
        code: header.toString('latin1', at, at + 4),
        lengthBytes: header.readUInt32BE(at + 8),
        offsetBytes: readOffset(header, at + 16),
      };
    }),
    parentName: untilNull(name.swap16().toString('utf16le')),
  };
}

function decodeLocator(code: string, data: Buffer): string | undefined {
  if (code !== 'MacX') return untilNull(data.toString('utf16le'));
  try {
    const { protocol, pathname } = new URL(untilNull(data.toString('utf8')));
    return protocol === 'file:' ? decodeURIComponent(pathname) : undefined;
  } catch {
    return undefined;
  }
}

/** The paths of the parent that the header names: relative first, then absolute, then the bare name. */
export async function readParentLocators(file: ImageFile, header: SparseHeader): Promise<string[]> {
  const found: { code: string; path: string }[] = [];
  for (const { code, offsetBytes, lengthBytes } of header.locators) {
    if (!['W2ru', 'W2ku', 'MacX'].includes(code) || lengthBytes === 0) continue;
    if (lengthBytes > maxLocatorBytes || offsetBytes + lengthBytes > file.sizeBytes)
      throw imageCorrupt(file.path, `parent locator ${code} lies outside the file`);
    const path = decodeLocator(code, await file.read(offsetBytes, lengthBytes));
    if (path) found.push({ code, path });
  }
  const order = ['W2ru', 'W2ku', 'MacX'];
  found.sort((a, b) => order.indexOf(a.code) - order.indexOf(b.code));
  const paths = found.map(({ path }) => path);
  return header.parentName ? [...paths, header.parentName] : paths;
}
