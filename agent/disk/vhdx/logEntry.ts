// One entry of a VHDX log (MS-VHDX 2.3.1): a header, descriptors, and a 4 KiB data sector for each data descriptor.
import { guidFromMixedEndian } from '../guid.ts';
import { crc32cWithField } from './crc32c.ts';
import { readUInt64 } from './header.ts';

export const logSectorBytes = 4096;
const entryHeaderBytes = 64;
const descriptorBytes = 32;

/** A write that the log still holds: 4 KiB of bytes, or a run of zeros. */
export interface LoggedWrite {
  offsetBytes: number;
  lengthBytes: number;
  /** Undefined: zeros. */
  data: Buffer | undefined;
}

/** The fields of an entry's header. */
export interface LogEntryHeader {
  lengthBytes: number;
  /** Where in the log the first entry of the sequence begins. */
  tailBytes: number;
  sequenceNumber: bigint;
  descriptorCount: number;
  /** The file had at least so many bytes on stable storage when the entry was written. */
  flushedFileBytes: number;
  /** The file must have at least so many bytes after replay. */
  lastFileBytes: number;
}

/** The header at the start of `sector`, if it is one of this log and its lengths make sense. */
export function findEntryHeader(
  sector: Buffer,
  logGuid: string,
  logLengthBytes: number,
): LogEntryHeader | undefined {
  if (sector.toString('latin1', 0, 4) !== 'loge') return undefined;
  if (guidFromMixedEndian(sector.subarray(32, 48)) !== logGuid) return undefined;
  const header: LogEntryHeader = {
    lengthBytes: sector.readUInt32LE(8),
    tailBytes: sector.readUInt32LE(12),
    sequenceNumber: sector.readBigUInt64LE(16),
    descriptorCount: sector.readUInt32LE(24),
    flushedFileBytes: readUInt64(sector, 48),
    lastFileBytes: readUInt64(sector, 56),
  };
  const { lengthBytes, tailBytes, descriptorCount, sequenceNumber } = header;
  const isPossible =
    lengthBytes >= logSectorBytes &&
    lengthBytes % logSectorBytes === 0 &&
    lengthBytes <= logLengthBytes &&
    tailBytes % logSectorBytes === 0 &&
    tailBytes < logLengthBytes &&
    sequenceNumber > 0n &&
    descriptorAreaBytes(descriptorCount) <= lengthBytes;
  return isPossible ? header : undefined;
}

function descriptorAreaBytes(descriptorCount: number): number {
  return Math.ceil((entryHeaderBytes + descriptorCount * descriptorBytes) / logSectorBytes) * logSectorBytes;
}

function dataWrite(descriptor: Buffer, sector: Buffer, sequenceNumber: bigint): LoggedWrite | undefined {
  if (sector.length !== logSectorBytes || sector.toString('latin1', 0, 4) !== 'data') return undefined;
  const sectorSequence = (BigInt(sector.readUInt32LE(4)) << 32n) | BigInt(sector.readUInt32LE(4092));
  if (sectorSequence !== sequenceNumber) return undefined;
  // The first eight and the last four bytes gave their place to signature and sequence number.
  const data = Buffer.from(sector);
  descriptor.copy(data, 0, 8, 16);
  descriptor.copy(data, 4092, 4, 8);
  return { offsetBytes: readUInt64(descriptor, 16), lengthBytes: logSectorBytes, data };
}

/** The writes of a whole entry, or undefined when anything in it is wrong. */
export function findEntryWrites(entry: Buffer, header: LogEntryHeader): LoggedWrite[] | undefined {
  if (entry.readUInt32LE(4) !== crc32cWithField(entry, 4)) return undefined;
  const writes: LoggedWrite[] = [];
  let dataAt = descriptorAreaBytes(header.descriptorCount);
  for (let index = 0; index < header.descriptorCount; index++) {
    const at = entryHeaderBytes + index * descriptorBytes;
    const descriptor = entry.subarray(at, at + descriptorBytes);
    const signature = descriptor.toString('latin1', 0, 4);
    let write: LoggedWrite | undefined;
    if (signature === 'zero')
      write = {
        offsetBytes: readUInt64(descriptor, 16),
        lengthBytes: readUInt64(descriptor, 8),
        data: undefined,
      };
    else if (signature === 'desc') {
      write = dataWrite(descriptor, entry.subarray(dataAt, dataAt + logSectorBytes), header.sequenceNumber);
      dataAt += logSectorBytes;
    }
    const isRight =
      write !== undefined &&
      descriptor.readBigUInt64LE(24) === header.sequenceNumber &&
      write.offsetBytes % logSectorBytes === 0 &&
      write.lengthBytes % logSectorBytes === 0;
    if (!isRight || write === undefined) return undefined;
    writes.push(write);
  }
  return dataAt === header.lengthBytes ? writes : undefined;
}
