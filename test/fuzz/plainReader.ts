// A second reader of logs, made from docs/format-hrl.md alone and sharing nothing with lib/hrl: the plainest code that
// decides whether a log may be applied and what it does to a disk. What lib/hrl says about any bytes must be the same.

export interface PlainEntry {
  /** Offset of the 32 bytes of the entry in the file. */
  at: number;
  diskOffset: number;
  length: number;
  dataOffset: number;
  dataChecksum: number;
}

export interface PlainBlock {
  offset: number;
  entries: PlainEntry[];
}

/** The structures of a valid log, oldest first. */
export interface PlainLog {
  metadataSize: number;
  endOfLog: number;
  blocks: PlainBlock[];
  entries: PlainEntry[];
}

const maxExact = 2n ** 53n - 1n;

/** Complement of the byte sum over [from, to), the four bytes at `skip` counted as zero. */
export function plainChecksum(bytes: Uint8Array, from: number, to: number, skip = -4): number {
  let sum = 0;
  for (let at = from; at < to; at++) if (at < skip || at >= skip + 4) sum += bytes[at]!;
  return ~(sum % 2 ** 32) >>> 0;
}

class Refusal extends Error {}

function need(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Refusal(what);
}

function readHeader(log: Buffer): { metadataSize: number; endOfLog: number; total: number } {
  need(log.toString('latin1', 0, 7) === 'msctlog', 'cookie');
  need(log[7] === 0x20 || log[7] === 0, 'cookie ends with a space or NUL');
  need(log.length >= 4096, 'a whole header');
  need(log.readUInt16LE(10) === 1 || log.readUInt16LE(10) === 2, 'major version');
  need(log.readUInt32LE(40) === plainChecksum(log, 0, 4096, 40), 'header checksum');
  need(log.readUInt32LE(104) === 0, 'file type');
  need(log.readUInt16LE(108) === 0, 'flags');
  for (const field of [24, 32, 44, 96])
    need(log.readBigUInt64LE(field) <= maxExact, `exact size at ${field}`);
  const metadataSize = log.readUInt32LE(56);
  need(metadataSize >= 512 && metadataSize <= 16 * 2 ** 20 && metadataSize % 512 === 0, 'metadata size');
  const endOfLog = Number(log.readBigUInt64LE(44));
  need(endOfLog >= 4096 + metadataSize && endOfLog <= log.length, 'end of log');
  return { metadataSize, endOfLog, total: Number(log.readBigUInt64LE(96)) };
}

function readEntry(log: Buffer, at: number, dataOffset: number, diskSize: number): PlainEntry {
  need(log.readUInt32LE(at + 8) === plainChecksum(log, at, at + 32, at + 8), `checksum of entry at ${at}`);
  need(log[at + 20] === 1, `operation of entry at ${at}`);
  const length = log.readUInt32LE(at + 12);
  need(length > 0 && length % 512 === 0, `length of entry at ${at}`);
  const diskOffset = log.readBigUInt64LE(at);
  need(diskOffset % 512n === 0n, `offset of entry at ${at}`);
  need(diskOffset + BigInt(length) <= BigInt(diskSize), `entry at ${at} inside the disk`);
  return { at, diskOffset: Number(diskOffset), length, dataOffset, dataChecksum: log.readUInt32LE(at + 21) };
}

/** One block whose data begins at `dataStart`; the data must end where the block begins. */
function readBlock(log: Buffer, offset: number, dataStart: number, diskSize: number): PlainBlock {
  const entries: PlainEntry[] = [];
  let dataOffset = dataStart;
  for (let slot = 0; slot < log.readUInt32LE(offset + 8); slot++) {
    const entry = readEntry(log, offset + 32 + 32 * slot, dataOffset, diskSize);
    entries.push(entry);
    dataOffset += entry.length;
  }
  need(dataOffset === offset, `data before the block at ${offset}`);
  for (const { at, dataOffset: from, length, dataChecksum } of entries) {
    const isRight = dataChecksum === 0 || dataChecksum === plainChecksum(log, from, from + length);
    need(isRight, `data of the entry at ${at}`);
  }
  return { offset, entries };
}

/** The log's structures, or in one phrase why it must be refused on a disk of this size. */
export function readPlainly(log: Buffer, diskSize: number): PlainLog | string {
  try {
    const { metadataSize, endOfLog, total } = readHeader(log);
    const blocks: PlainBlock[] = [];
    let previous: number;
    for (let offset = endOfLog - metadataSize; offset >= 4096; offset = previous) {
      need(
        log.readUInt32LE(offset + 12) === plainChecksum(log, offset, offset + 32, offset + 12),
        `checksum of the block at ${offset}`,
      );
      need(log.readUInt32LE(offset + 8) <= metadataSize / 32 - 1, `slots of the block at ${offset}`);
      const distance = log.readBigUInt64LE(offset);
      need(distance <= BigInt(offset - 4096), `block before ${offset} inside the log`);
      need(distance === 0n || distance >= BigInt(metadataSize), `blocks apart at ${offset}`);
      previous = distance === 0n ? -1 : offset - Number(distance);
      const dataStart = previous < 0 ? 4096 : previous + metadataSize;
      blocks.unshift(readBlock(log, offset, dataStart, diskSize));
    }
    const entries = blocks.flatMap((block) => block.entries);
    need(entries.length === total, 'total of entries');
    return { metadataSize, endOfLog, blocks, entries };
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

/** Puts every write on the disk, oldest first. */
export function replayPlainly(log: Buffer, { entries }: PlainLog, disk: Uint8Array): void {
  for (const { diskOffset, length, dataOffset } of entries)
    disk.set(log.subarray(dataOffset, dataOffset + length), diskOffset);
}
