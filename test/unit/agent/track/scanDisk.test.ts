// One scan by itself: its threads, and the secret of its digests.
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDisk } from '../../../../agent/disk/openDisk.ts';
import { HashPool } from '../../../../agent/track/scan/hashPool.ts';
import { scanDisk } from '../../../../agent/track/scan/scanDisk.ts';

const sizeBytes = 9 * 1024 * 1024;
let folder = '';
const at = (name: string): string => join(folder, name);
const bytes = randomBytes(sizeBytes).fill(0, 100_000, 5_000_000);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lifeboat-'));
  await writeFile(at('disk.raw'), bytes);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('finds the same in threads and without', async () => {
  await using reader = await openDisk(at('disk.raw'), { format: 'raw' });
  await using here = new HashPool(0);
  await using threads = new HashPool(2);
  const { extents, sha256 } = await scanDisk({ reader, pool: here, path: at('a') });
  expect(await scanDisk({ reader, pool: threads, path: at('b') })).toMatchObject({ extents });
  // Each first scan makes a secret of its own, so their digests tell nothing about each other.
  expect((await readFile(at('a'))).equals(await readFile(at('b')))).toBe(false);

  const older = { path: at('a'), sha256, sizeBytes };
  const again = await scanDisk({ reader, pool: threads, path: at('c'), older });
  expect(again).toMatchObject({ extents: [], sha256 });
  expect((await readFile(at('a'))).equals(await readFile(at('c')))).toBe(true);
});

it('finds one bit wherever it changes, in threads and without', async () => {
  await using before = await openDisk(at('disk.raw'), { format: 'raw' });
  await using here = new HashPool(0);
  await using threads = new HashPool(2);
  const { sha256 } = await scanDisk({ reader: before, pool: here, path: at('before') });
  for (const offset of [0, 65_535, 65_536, 3_000_000, 5_000_000, sizeBytes - 1]) {
    const changed = Buffer.from(bytes);
    changed[offset] = (changed[offset] ?? 0) ^ 1;
    await writeFile(at('changed.raw'), changed);
    await using reader = await openDisk(at('changed.raw'), { format: 'raw' });
    for (const pool of [here, threads]) {
      const older = { path: at('before'), sha256, sizeBytes };
      const { extents } = await scanDisk({ reader, pool, path: at('after'), older });
      expect(extents).toEqual([{ offsetBytes: offset - (offset % 4096), lengthBytes: 4096 }]);
    }
  }
});

it('reads no digests of an earlier version', async () => {
  await using reader = await openDisk(at('disk.raw'), { format: 'raw' });
  await using pool = new HashPool(0);
  const { sha256 } = await scanDisk({ reader, pool, path: at('a') });
  const digests = await readFile(at('a'));
  digests.write('lifeboat scan 1', 'latin1');
  await writeFile(at('a'), digests);
  const older = { path: at('a'), sha256, sizeBytes };
  await expect(scanDisk({ reader, pool, path: at('b'), older })).rejects.toMatchObject({
    code: 'TrackingLost',
  });
});
