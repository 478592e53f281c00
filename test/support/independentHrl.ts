// A second writer of logs, made from the published format alone and sharing nothing with lib/hrl: what it writes stands
// for the logs of a program that is not ours.

export interface PlainWrite {
  offset: number;
  data: Uint8Array;
}

function complementSum(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum = (sum + byte) >>> 0;
  return ~sum >>> 0;
}

function guidBytes(guid: string): Buffer {
  const hex = Buffer.from(guid.replaceAll('-', ''), 'hex');
  return Buffer.concat([
    hex.subarray(0, 4).reverse(),
    hex.subarray(4, 6).reverse(),
    hex.subarray(6, 8).reverse(),
    hex.subarray(8),
  ]);
}

const blockSize = 4096;
const entriesPerBlock = 127;
/** Seconds since 2000 of some day in 2026. */
const stamp = 820_000_000;

function entry({ offset, data }: PlainWrite): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeBigUInt64LE(BigInt(offset), 0);
  bytes.writeUInt32LE(data.length, 12);
  bytes.writeUInt32LE(stamp, 16);
  bytes.writeUInt8(1, 20);
  bytes.writeUInt32LE(complementSum(bytes), 8);
  return bytes;
}

function metadataBlock(writes: readonly PlainWrite[], distanceToPrevious: number): Buffer {
  const block = Buffer.alloc(blockSize);
  block.writeBigUInt64LE(BigInt(distanceToPrevious), 0);
  block.writeUInt32LE(writes.length, 8);
  block.writeUInt32LE(complementSum(block.subarray(0, 32)), 12);
  writes.forEach((write, index) => entry(write).copy(block, 32 + 32 * index));
  return block;
}

/** A closed version 2 log with an empty first block, as the published dump has. */
export function independentLog(
  writes: readonly PlainWrite[],
  id: string,
  previousId = '00000000-0000-0000-0000-000000000000',
): Buffer {
  const parts: Buffer[] = [metadataBlock([], 0)];
  let blockAt = 4096;
  let end = blockAt + blockSize;
  for (let start = 0; start < writes.length; start += entriesPerBlock) {
    const group = writes.slice(start, start + entriesPerBlock);
    for (const { data } of group) {
      parts.push(Buffer.from(data));
      end += data.length;
    }
    parts.push(metadataBlock(group, end - blockAt));
    blockAt = end;
    end += blockSize;
  }
  const header = Buffer.alloc(4096);
  header.write('msctlog ', 0, 'ascii');
  header.writeUInt32LE(0x00020000, 8);
  header.writeUInt32LE(stamp, 12);
  header.write('ct  ', 16, 'ascii');
  header.writeUInt32LE(0x000a0000, 20);
  header.writeBigUInt64LE(BigInt(end), 24);
  header.writeBigUInt64LE(BigInt(end), 32);
  header.writeBigUInt64LE(BigInt(end), 44);
  header.writeUInt32LE(blockSize, 56);
  guidBytes(id).copy(header, 60);
  guidBytes(previousId).copy(header, 76);
  header.writeUInt32LE(stamp, 92);
  header.writeBigUInt64LE(BigInt(writes.length), 96);
  header.writeUInt32LE(complementSum(header), 40);
  return Buffer.concat([header, ...parts]);
}
