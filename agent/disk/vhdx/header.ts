// The two headers of a VHDX (MS-VHDX 2.2.2): of the valid ones, that with the higher sequence number counts.
import { imageCorrupt, imageUnsupported } from '../errors.ts';
import { guidFromMixedEndian } from '../guid.ts';
import type { ImageBytes } from '../imageFile.ts';
import { crc32cWithField } from './crc32c.ts';

export const vhdxSignature = 'vhdxfile';
export const mebibyte = 1024 * 1024;
/** Where the two headers are. */
export const headerOffsets = [64 * 1024, 128 * 1024] as const;
const headerBytes = 4096;

export interface VhdxHeader {
  /** Changes with every session that wrote the disk: what a child names as its parent. */
  dataWriteGuid: string;
  /** Undefined: the log is empty. */
  logGuid: string | undefined;
  logOffsetBytes: number;
  logLengthBytes: number;
}

/** A 64-bit offset or size; one that no number can hold becomes infinite, which no file contains. */
export function readUInt64(bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64LE(at);
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Infinity : Number(value);
}

function isValidHeader(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, 4) === 'head' && bytes.readUInt32LE(4) === crc32cWithField(bytes, 4);
}

/** The valid header that counts, and where it lies. Throws `DiskImageCorrupt` when there is none. */
export async function readCurrentHeader(file: ImageBytes): Promise<{ bytes: Buffer; offsetBytes: number }> {
  if (file.sizeBytes < mebibyte) throw imageCorrupt(file.path, 'is too short for a VHDX');
  let current: { bytes: Buffer; offsetBytes: number } | undefined;
  for (const offsetBytes of headerOffsets) {
    const bytes = await file.read(offsetBytes, headerBytes);
    if (!isValidHeader(bytes)) continue;
    const [number, best] = [bytes.readBigUInt64LE(8), current?.bytes.readBigUInt64LE(8)];
    if (number === best && current?.bytes.equals(bytes) === false)
      throw imageCorrupt(file.path, 'two different headers have the same sequence number');
    if (best === undefined || number >= best) current = { bytes, offsetBytes };
  }
  if (!current) throw imageCorrupt(file.path, 'neither of the two headers has a right checksum');
  return current;
}

/** Throws `DiskImageCorrupt` without a valid header, `DiskImageUnsupported` for another version. */
export async function readVhdxHeader(file: ImageBytes): Promise<VhdxHeader> {
  const { path } = file;
  const { bytes: header } = await readCurrentHeader(file);
  const version = header.readUInt16LE(66);
  if (version !== 1) throw imageUnsupported(path, `a VHDX of version ${version}`);
  const hasLog = header.subarray(48, 64).some((byte) => byte !== 0);
  if (hasLog && header.readUInt16LE(64) !== 0)
    throw imageUnsupported(path, `a log of version ${header.readUInt16LE(64)}`);
  return {
    dataWriteGuid: guidFromMixedEndian(header.subarray(32, 48)),
    logGuid: hasLog ? guidFromMixedEndian(header.subarray(48, 64)) : undefined,
    logLengthBytes: header.readUInt32LE(68),
    logOffsetBytes: readUInt64(header, 72),
  };
}
