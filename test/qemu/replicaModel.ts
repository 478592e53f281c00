// A replica as the service would have it: what cycles shipped, applied to bytes in memory.
import { expect } from 'vitest';
import type { FrozenCycle, FrozenDisk } from '../../agent/track/tracker.ts';

const chunkBytes = 1024 * 1024;

/** The bytes of a cycle's extents, applied to what the replica had before. */
export async function applyCycle(before: Buffer, { reader, extents }: FrozenDisk, kind: FrozenCycle['kind']) {
  const after = kind === 'full' ? Buffer.alloc(reader.sizeBytes) : Buffer.from(before);
  let end = -1;
  const reads: Promise<void>[] = [];
  for (const { offsetBytes, lengthBytes } of extents) {
    expect(offsetBytes).toBeGreaterThan(end);
    expect(offsetBytes % 512).toBe(0);
    expect(lengthBytes % 512).toBe(0);
    expect(lengthBytes).toBeGreaterThan(0);
    end = offsetBytes + lengthBytes;
    reads.push(reader.read(offsetBytes, lengthBytes).then((bytes) => after.set(bytes, offsetBytes)));
  }
  await Promise.all(reads);
  expect(end).toBeLessThanOrEqual(reader.sizeBytes);
  return after;
}

/** The whole frozen view. */
export async function readView({ reader }: FrozenDisk): Promise<Buffer> {
  const bytes = Buffer.alloc(reader.sizeBytes);
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    const length = Math.min(chunkBytes, bytes.length - offset);
    bytes.set(await reader.read(offset, length), offset);
  }
  return bytes;
}

/** The counter that the writing guest keeps on the disk. */
export const writeCounter = (disk: Buffer): number => disk.readUInt32LE(2 * 512);
