// Holds a reader against the bytes that its disk must have.
import { readSync } from 'node:fs';
import { expect } from 'vitest';
import type { DiskReader } from '../../../agent/disk/reader.ts';
import { SeededRandom } from '../../fuzz/random.ts';
import type { ImageWrite } from './vhdWriter.ts';

/** Applies writes to bytes, in order. */
export function applyWrites(disk: Buffer, writes: readonly ImageWrite[]): Buffer {
  for (const { offset, data } of writes) disk.set(data, offset);
  return disk;
}

/** Writes of whole sectors at random places, their bytes telling where they belong. */
export function randomWrites(
  random: SeededRandom,
  sizeBytes: number,
  options: { count: number; sectorBytes?: number; maxSectors?: number },
): ImageWrite[] {
  const { count, sectorBytes = 512, maxSectors = 40 } = options;
  return Array.from({ length: count }, () => {
    const sectors = 1 + random.below(maxSectors);
    const first = random.below(sizeBytes / sectorBytes - sectors + 1);
    const data = Buffer.alloc(sectors * sectorBytes);
    for (let at = 0; at < data.length; at += 4) data.writeUInt32LE(random.below(2 ** 32), at);
    return { offset: first * sectorBytes, data };
  });
}

const windowBytes = 3 * 1024 * 1024 + 512;

/** Checks that allocation covers windows exactly, in order, alternating, and never calls data zero. */
async function expectSoundAllocation(disk: DiskReader, bytes: Buffer): Promise<number> {
  let dataBytes = 0;
  for (let start = 0; start < disk.sizeBytes; start += windowBytes) {
    const window = { offsetBytes: start, lengthBytes: Math.min(windowBytes, disk.sizeBytes - start) };
    const extents = await disk.allocation(window);
    let at = start;
    let kind: string | undefined;
    for (const extent of extents) {
      expect(extent.offsetBytes).toBe(at);
      expect(extent.lengthBytes).toBeGreaterThan(0);
      expect(extent.kind).not.toBe(kind);
      kind = extent.kind;
      at += extent.lengthBytes;
      const part = bytes.subarray(extent.offsetBytes, at);
      if (kind === 'zero') expect(part.equals(Buffer.alloc(part.length))).toBe(true);
      else dataBytes += part.length;
    }
    expect(at).toBe(start + window.lengthBytes);
  }
  return dataBytes;
}

/** Where the disk says that a range lies in a file, the file has its bytes. */
async function expectPlacesInFiles(disk: DiskReader, bytes: Buffer, random: SeededRandom): Promise<void> {
  for (let count = 0; count < 20; count++) {
    const offsetBytes = random.below(bytes.length);
    const lengthBytes = 1 + random.below(Math.min(bytes.length - offsetBytes, 200_000));
    const place = await disk.inFile?.({ offsetBytes, lengthBytes });
    if (place === undefined) continue;
    const found = Buffer.alloc(lengthBytes);
    expect(readSync(place.fd, found, 0, lengthBytes, place.offsetBytes)).toBe(lengthBytes);
    if (Buffer.compare(found, bytes.subarray(offsetBytes, offsetBytes + lengthBytes)) !== 0)
      throw new Error(`other bytes in the file than in [${offsetBytes}, ${offsetBytes + lengthBytes})`);
  }
}

/** Reads the disk whole, and at random places at the same time, and compares. Returns the bytes that count as data. */
export async function expectDisk(disk: DiskReader, bytes: Buffer, random: SeededRandom): Promise<number> {
  expect(disk.sizeBytes).toBe(bytes.length);
  expect(Buffer.compare(await disk.read(0, bytes.length), bytes)).toBe(0);
  const reads = Array.from({ length: 60 }, async () => {
    const offset = random.below(bytes.length + 1);
    const length = random.below(Math.min(bytes.length - offset, 1 + random.below(700_000)) + 1);
    const found = await disk.read(offset, length);
    if (Buffer.compare(found, bytes.subarray(offset, offset + length)) !== 0)
      throw new Error(`wrong bytes in [${offset}, ${offset + length})`);
  });
  await Promise.all(reads);
  await expectPlacesInFiles(disk, bytes, random);
  await expect(disk.read(bytes.length - 1, 2)).rejects.toThrow(RangeError);
  return expectSoundAllocation(disk, bytes);
}
