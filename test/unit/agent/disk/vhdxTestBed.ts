// A small VHDX, ways to break it, and what a reader must make of it.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { openDisk } from '../../../../agent/disk/openDisk.ts';
import { SeededRandom } from '../../../fuzz/random.ts';
import { applyWrites, expectDisk, randomWrites } from '../../../support/images/diskModel.ts';
import { buildVhdx, sealVhdx, vhdxLayout, type VhdxOptions } from '../../../support/images/vhdxWriter.ts';

export const mib = 1024 * 1024;
const seed = 20_261_125;
export const dataWriteGuid = '11111111-0000-4000-8000-000000000000';
export const unknownGuid = 'eeeeeeee-1234-4000-8000-000000000000';
const size = 8 * mib;
const { headersAt, regionsAt } = vhdxLayout;

let folder = '';
const at = (name: string): string => join(folder, name);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lifeboat-vhdx-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

export const random = new SeededRandom(seed);
const writes = randomWrites(random, size, { count: 40 });
export const disk = applyWrites(Buffer.alloc(size), writes);
export const build = (options: Partial<VhdxOptions> = {}): Buffer =>
  buildVhdx({ sizeBytes: size, dataWriteGuid, writes, ...options });

export async function expectReads(image: Buffer, bytes: Buffer = disk): Promise<void> {
  await writeFile(at('disk.vhdx'), image);
  await using reader = await openDisk(at('disk.vhdx'));
  await expectDisk(reader, bytes, random);
}

export async function expectRefused(image: Buffer, code: string, reason: string): Promise<void> {
  await writeFile(at('disk.vhdx'), image);
  const error: unknown = await openDisk(at('disk.vhdx')).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code });
  expect(String(error)).toContain(reason);
}

/** Changes a structure and makes its checksum right again. */
export function changeSealed(
  image: Buffer,
  offset: number,
  length: number,
  change: (bytes: Buffer) => void,
): Buffer {
  const structure = image.subarray(offset, offset + length);
  change(structure);
  sealVhdx(structure);
  return image;
}
export const changeHeaders = (image: Buffer, change: (header: Buffer, index: number) => void): Buffer => {
  headersAt.forEach((offset, index) => changeSealed(image, offset, 4096, (header) => change(header, index)));
  return image;
};
export const changeRegions = (image: Buffer, change: (table: Buffer) => void): Buffer => {
  for (const offset of regionsAt) changeSealed(image, offset, 64 * 1024, change);
  return image;
};
