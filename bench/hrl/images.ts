// Two images of 2 GiB that differ in a tenth, in random writes of 4 to 64 KiB, as files in the page cache; and how their
// steps are timed.
import { randomFillSync } from 'node:crypto';
import { copyFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { joinExtents } from '../../agent/extents.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import { randomChanges } from '../generatedChanges.ts';

export const diskBytes = 2 * 2 ** 30;
export const roundCount = 5;
const chunkBytes = 64 * 2 ** 20;

/** What differs, joined, and how much it is. */
export function changesOfDisk(): { changes: ByteRange[]; changedBytes: number } {
  const changes = joinExtents(randomChanges(diskBytes, diskBytes / 10, 3));
  return { changes, changedBytes: changes.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0) };
}

/** Makes the files and waits until they are on the disk, so that no later step pays for it. */
export async function makeImages(
  { base, changed }: { base: string; changed: string },
  changes: readonly ByteRange[],
): Promise<void> {
  const image = await open(base, 'w');
  const chunk = new Uint8Array(chunkBytes);
  for (let offset = 0; offset < diskBytes; offset += chunkBytes)
    await image.write(randomFillSync(chunk), 0, chunkBytes, offset);
  await image.sync();
  await image.close();
  copyFileSync(base, changed);
  const copy = await open(changed, 'r+');
  for (const { offsetBytes, lengthBytes } of changes)
    await copy.write(randomFillSync(chunk.subarray(0, lengthBytes)), 0, lengthBytes, offsetBytes);
  await copy.sync();
  await copy.close();
}

/**
 * Fills a gibibyte of the page cache and frees it. The host of a virtual machine takes back memory that has been free for
 * seconds; whoever needs memory next would wait for it, whatever else it does.
 */
export async function touchFreeMemory(folder: string): Promise<void> {
  const path = join(folder, 'touched');
  const file = await open(path, 'w');
  const chunk = new Uint8Array(chunkBytes);
  for (let offset = 0; offset < 2 ** 30; offset += chunkBytes) await file.write(chunk, 0, chunkBytes, offset);
  await file.close();
  rmSync(path);
}

/** Seconds that a step takes. */
export async function timed(step: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await step();
  return (performance.now() - startedAt) / 1000;
}

/** Waits until a file is on the disk. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  await file.datasync();
  await file.close();
}
