import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  makeReadBuffer,
  makeSharedReadBuffer,
  makeUnclearedReadBuffer,
} from '../../../lib/disk/readBuffer.ts';

it.each([
  ['own', makeReadBuffer],
  ['shared', makeSharedReadBuffer],
])('%s memory has the length asked for, begins as zeros, and takes what is read', async (_, make) => {
  const folder = await mkdtemp(join(tmpdir(), 'lifeboat-'));
  try {
    const path = join(folder, 'file');
    await writeFile(path, Buffer.alloc(70_000, 7));
    await using file = await open(path);
    const bytes = make(65_536);
    expect(Buffer.compare(bytes, Buffer.alloc(65_536))).toBe(0);
    await file.read(bytes, 0, bytes.length, 1);
    expect(Buffer.compare(bytes, Buffer.alloc(65_536, 7))).toBe(0);
    // What lies before it in the same memory stays as it was.
    expect(new Uint8Array(bytes.buffer, 0, bytes.byteOffset).every((byte) => byte === 0)).toBe(true);
    expect(make(0)).toHaveLength(0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it('memory for one read has the length asked for', () => {
  expect(makeUnclearedReadBuffer(65_536)).toHaveLength(65_536);
  expect(makeUnclearedReadBuffer(0)).toHaveLength(0);
});
