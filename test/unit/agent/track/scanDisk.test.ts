// One scan by itself: its threads, and the secret of its digests.
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDisk } from '../../../../agent/disk/openDisk.ts';
import { HashPool, type FileStripeJob, type LoadedStripeJob } from '../../../../agent/track/scan/hashPool.ts';
import { scanDisk } from '../../../../agent/track/scan/scanDisk.ts';
import { StripeScanner } from '../../../../agent/track/scan/stripeScanner.ts';

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

it('leaves a stripe that a thread cannot read to the disk, which says what is wrong', async () => {
  await using reader = await openDisk(at('disk.raw'), { format: 'raw' });
  await using pool = new HashPool(2);
  await truncate(at('disk.raw'), 4_500_000);
  await expect(scanDisk({ reader, pool, path: at('a') })).rejects.toMatchObject({
    code: 'DiskImageCorrupt',
    message: expect.stringContaining('ends at 4500000') as string,
  });
});

it('reads ahead of its threads once one of them had to wait for a disk, and finds the same', async () => {
  await using reader = await openDisk(at('disk.raw'), { format: 'raw' });
  await using threads = new HashPool(2);
  let byThreads = 0;
  const waiting = {
    mayRead: true,
    digest: (job: LoadedStripeJob) => threads.digest(job),
    async digestFile(job: FileStripeJob) {
      byThreads++;
      return { ...(await threads.digestFile(job)), isFromDisk: byThreads === 3 };
    },
  };
  const key = randomBytes(16);
  const scanner = new StripeScanner({ reader, pool: waiting }, key);
  const plain = new StripeScanner({ reader, pool: new HashPool(0) }, key);
  // 3 stripes by threads, 256 ahead of them, then threads again.
  for (let count = 0; count < 262; count++) {
    const offsetBytes = (count % 9) * 1024 * 1024;
    const range = { offsetBytes, lengthBytes: 1024 * 1024 };
    const { records, changed } = await scanner.scan(range, false, undefined);
    if (count < 9) expect({ records, changed }).toEqual(await plain.scan(range, false, undefined));
  }
  expect(byThreads).toBe(3 + 3);
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
