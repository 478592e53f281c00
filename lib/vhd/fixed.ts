// The fixed VHD that every replica is: disk bytes, zeros up to a whole MiB, a 512-byte footer (VHD specification 1.0,
// big-endian). The invariant: current size = padded size = blob size − 512, which is what Azure accepts and what
// every reader takes as the size of the disk.
import { LifeboatError } from '../errors.ts';
import { chsGeometry, type ChsGeometry } from './geometry.ts';

export { chsGeometry, type ChsGeometry } from './geometry.ts';

export const vhdFooterSizeBytes = 512;
const mebibyte = 1024 * 1024;
/** Largest page blob, footer included. */
const maxPageBlobBytes = 8 * 1024 ** 4;

const vhdEpochSeconds = 946_684_800;
const cookie = 'conectix';
// Readers trust the current size, and not the rounded geometry, only of creators that they know; `win ` is the one
// that all of them know.
const creatorApplication = 'win ';
const creatorVersion = 0x000a0000;
const creatorOsWindows = 'Wi2k';
const formatVersion = 0x00010000;
const featuresReserved = 2;
const fixedDataOffset = 0xffff_ffff_ffff_ffffn;
const diskTypes = { 2: 'fixed', 3: 'dynamic', 4: 'differencing' } as const;

/** Offsets of the footer's fields, by their names in the specification. */
const footerField = {
  Cookie: 0,
  Features: 8,
  FileFormatVersion: 12,
  DataOffset: 16,
  TimeStamp: 24,
  CreatorApplication: 28,
  CreatorVersion: 32,
  CreatorHostOs: 36,
  OriginalSize: 40,
  CurrentSize: 48,
  DiskGeometry: 56,
  DiskType: 60,
  Checksum: 64,
  UniqueId: 68,
} as const;

/** A footer that is not one; `field` is the field in the VHD specification. */
export class VhdError extends LifeboatError {
  readonly field: string;

  constructor(field: string, expected: string, found: string) {
    super('InvalidRequest', `VHD footer: field ${field}: expected ${expected}, found ${found}`);
    this.name = 'VhdError';
    this.field = field;
  }
}

export interface VhdFooter {
  diskType: 'fixed' | 'dynamic' | 'differencing';
  /** Current size: what a guest sees. */
  sizeBytes: number;
  originalSizeBytes: number;
  uniqueId: string;
  createdAt: Date;
  creatorApplication: string;
  geometry: ChsGeometry;
}

/** The disk size rounded up to a whole MiB. Throws `DiskUnsupported` for a size that no replica can have. */
export function paddedSizeBytes(diskSizeBytes: number): number {
  const padded = Math.ceil(diskSizeBytes / mebibyte) * mebibyte;
  const isPossible =
    diskSizeBytes > 0 && diskSizeBytes % 512 === 0 && padded + vhdFooterSizeBytes <= maxPageBlobBytes;
  if (!isPossible) {
    const limit = maxPageBlobBytes - mebibyte;
    throw new LifeboatError(
      'DiskUnsupported',
      `disk of ${diskSizeBytes} bytes: a replica takes multiples of 512 from 512 to ${limit}`,
    );
  }
  return padded;
}

/** Size of the page blob of a disk: padded disk and footer. Throws `DiskUnsupported`. */
export function fixedVhdBlobSizeBytes(diskSizeBytes: number): number {
  return paddedSizeBytes(diskSizeBytes) + vhdFooterSizeBytes;
}

/** What a new footer says. */
export interface FixedVhd {
  /** The padded size; a multiple of 1 MiB. */
  sizeBytes: number;
  /** GUID text. */
  uniqueId: string;
  createdAt: Date;
}

/** The footer of a fixed VHD. Throws RangeError when the size is not padded, or the id is no GUID. */
export function formatFixedVhdFooter({ sizeBytes, uniqueId, createdAt }: FixedVhd): Uint8Array {
  if (!(sizeBytes > 0 && sizeBytes % mebibyte === 0)) {
    throw new RangeError(`a replica's VHD is a multiple of 1 MiB in size; got ${sizeBytes}`);
  }
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uniqueId))
    throw new RangeError(`not a GUID: "${uniqueId}"`);
  const footer = Buffer.alloc(vhdFooterSizeBytes);
  const { cylinders, heads, sectorsPerTrack } = chsGeometry(sizeBytes);
  footer.write(cookie, footerField.Cookie, 'latin1');
  footer.writeUInt32BE(featuresReserved, footerField.Features);
  footer.writeUInt32BE(formatVersion, footerField.FileFormatVersion);
  footer.writeBigUInt64BE(fixedDataOffset, footerField.DataOffset);
  footer.writeUInt32BE(Math.floor(createdAt.getTime() / 1000) - vhdEpochSeconds, footerField.TimeStamp);
  footer.write(creatorApplication, footerField.CreatorApplication, 'latin1');
  footer.writeUInt32BE(creatorVersion, footerField.CreatorVersion);
  footer.write(creatorOsWindows, footerField.CreatorHostOs, 'latin1');
  footer.writeBigUInt64BE(BigInt(sizeBytes), footerField.OriginalSize);
  footer.writeBigUInt64BE(BigInt(sizeBytes), footerField.CurrentSize);
  footer.writeUInt16BE(cylinders, footerField.DiskGeometry);
  footer.writeUInt8(heads, footerField.DiskGeometry + 2);
  footer.writeUInt8(sectorsPerTrack, footerField.DiskGeometry + 3);
  footer.writeUInt32BE(2, footerField.DiskType);
  footer.write(uniqueId.replaceAll('-', ''), footerField.UniqueId, 'hex');
  footer.writeUInt32BE(footerChecksum(footer), footerField.Checksum);
  return footer;
}

/** Ones' complement of the byte sum, the checksum field counted as zero. */
function footerChecksum(footer: Buffer): number {
  let sum = 0;
  for (const byte of footer) sum += byte;
  for (const byte of footer.subarray(footerField.Checksum, footerField.Checksum + 4)) sum -= byte;
  return ~sum >>> 0;
}

/** Decodes and checks the last 512 bytes of a VHD of any type. Throws VhdError. */
export function parseVhdFooter(bytes: Uint8Array): VhdFooter {
  if (bytes.length !== vhdFooterSizeBytes) throw new VhdError('footer', '512 bytes', `${bytes.length} bytes`);
  const footer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = footer.toString('latin1', 0, cookie.length);
  if (found !== cookie) throw new VhdError('Cookie', `"${cookie}"`, JSON.stringify(found));
  const stored = footer.readUInt32BE(footerField.Checksum);
  const computed = footerChecksum(footer);
  if (stored !== computed) throw new VhdError('Checksum', hex(computed), hex(stored));
  const version = footer.readUInt32BE(footerField.FileFormatVersion);
  if (version !== formatVersion) throw new VhdError('FileFormatVersion', hex(formatVersion), hex(version));
  const id = footer.toString('hex', footerField.UniqueId, footerField.UniqueId + 16);
  return {
    diskType: readDiskType(footer),
    sizeBytes: readSize(footer, 'CurrentSize'),
    originalSizeBytes: readSize(footer, 'OriginalSize'),
    uniqueId: [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20)].join('-'),
    createdAt: new Date((footer.readUInt32BE(footerField.TimeStamp) + vhdEpochSeconds) * 1000),
    creatorApplication: footer.toString('latin1', footerField.CreatorApplication, footerField.CreatorVersion),
    geometry: {
      cylinders: footer.readUInt16BE(footerField.DiskGeometry),
      heads: footer.readUInt8(footerField.DiskGeometry + 2),
      sectorsPerTrack: footer.readUInt8(footerField.DiskGeometry + 3),
    },
  };
}

function readDiskType(footer: Buffer): VhdFooter['diskType'] {
  const type = footer.readUInt32BE(footerField.DiskType);
  if (type === 2 || type === 3 || type === 4) return diskTypes[type];
  throw new VhdError('DiskType', '2 (fixed), 3 (dynamic) or 4 (differencing)', type.toString());
}

function readSize(footer: Buffer, field: 'CurrentSize' | 'OriginalSize'): number {
  const size = footer.readBigUInt64BE(footerField[field]);
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new VhdError(field, 'at most 2^53 - 1', size.toString());
  return Number(size);
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
