// Scratch files: what is written comes back, nothing is left in the folder, and the limits hold.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { scratchFolder } from '../../../functions/scratchFolder.ts';

const mib = 1024 * 1024;
// Not the temporary folder, which may be in memory.
const folder = mkdtempSync(join(process.cwd(), 'node_modules', '.scratch-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('scratchFolder', () => {
  it('gives back what was written, of files without a name', async () => {
    const file = await scratchFolder(folder, 4 * mib).open(4 * mib);
    expect(file?.sizeBytes).toBe(4 * mib);
    expect(readdirSync(folder)).toEqual([]);
    const data = Uint8Array.from({ length: 3 * mib }, (_, index) => index % 253);
    await Promise.all([file?.write(0, data.subarray(0, mib)), file?.write(mib, data.subarray(mib))]);
    const found = new Uint8Array(2 * mib);
    await file?.read(mib / 2, found);
    expect(Buffer.compare(found, data.subarray(mib / 2, 2.5 * mib))).toBe(0);
    await expect(file?.read(3 * mib, found)).rejects.toThrow('nothing was written');
    await file?.close();
    await file?.close();
  });

  it('gives all files together no more than the limit, and takes room back', async () => {
    const scratch = scratchFolder(folder, 5 * mib);
    const first = await scratch.open(3 * mib);
    const second = await scratch.open(3 * mib);
    expect([first?.sizeBytes, second?.sizeBytes]).toEqual([3 * mib, 2 * mib]);
    expect(await scratch.open(3 * mib)).toBeUndefined();
    await first?.close();
    const third = await scratch.open(4 * mib);
    expect(third?.sizeBytes).toBe(3 * mib);
    await Promise.all([second?.close(), third?.close()]);
  });

  it('gives no file of which half of the free room would be too small, and says when there is no folder', async () => {
    const scratch = scratchFolder(folder, Number.MAX_SAFE_INTEGER);
    const file = await scratch.open(Number.MAX_SAFE_INTEGER);
    expect(file?.sizeBytes).toBeLessThan(Number.MAX_SAFE_INTEGER / 2);
    await file?.close();
    await expect(scratchFolder(join(folder, 'none'), mib).open(mib)).rejects.toThrow('ENOENT');
  });
});
