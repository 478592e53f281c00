// Makes the checksums of a mutated log right again, wherever a reader could look for them: a forger does that, and only
// then does a reader come to the checks that lie behind the checksums.
import { plainChecksum, type PlainLog } from './plainReader.ts';

const mostBlocks = 300;

function seal(log: Buffer, from: number, length: number, field: number): void {
  if (from + length <= log.length)
    log.writeUInt32LE(plainChecksum(log, from, from + length, from + field), from + field);
}

/** A checksum of data that was given is made right too, as far as the data lies in the file. */
function sealEntries(log: Buffer, blockAt: number, count: number, dataStart: number): void {
  let dataOffset = dataStart;
  for (let at = blockAt + 32; at < blockAt + 32 + 32 * count && at + 32 <= log.length; at += 32) {
    const dataEnd = dataOffset + log.readUInt32LE(at + 12);
    if (log.readUInt32LE(at + 21) !== 0 && dataEnd <= log.length)
      log.writeUInt32LE(plainChecksum(log, dataOffset, dataEnd), at + 21);
    seal(log, at, 32, 8);
    dataOffset = dataEnd;
  }
}

/** Follows the chain as the mutated fields say, from the end that they say. Changes the log in place. */
export function reseal(log: Buffer, { metadataSize }: PlainLog): Buffer {
  if (log.length < 4096) return log;
  const said = log.readUInt32LE(56);
  const blockSize = said >= 512 && said % 512 === 0 ? said : metadataSize;
  let at = Number(log.readBigUInt64LE(44)) - blockSize;
  for (let left = mostBlocks; left > 0 && at >= 4096 && at + blockSize <= log.length; left--) {
    const distance = Number(log.readBigUInt64LE(at));
    const previous = at - distance;
    const dataStart = distance === 0 || previous < 4096 ? 4096 : previous + blockSize;
    sealEntries(log, at, Math.min(log.readUInt32LE(at + 8), blockSize / 32 - 1), dataStart);
    seal(log, at, 32, 12);
    // A block that overlaps this one is none; its checksums would lie on those just made.
    if (distance < blockSize) break;
    at = previous;
  }
  seal(log, 0, 4096, 40);
  return log;
}
