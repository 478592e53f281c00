// A log applied to a file is the writes replayed, whatever they are; zeros do not fill holes; what fails is thrown.
import { mkdtempSync, rmSync } from 'node:fs';
import { open, readFile, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { EarlySync } from '../../../agent/earlySync.ts';
import { openFileSource } from '../../../agent/fileSource.ts';
import { applyToFile } from '../../../cli/hrl/applyToFile.ts';
import { memorySource } from '../../../lib/disk/source.ts';
import { readHrl } from '../../../lib/hrl/reader.ts';
import { planMerge } from '../../../lib/merge/plan.ts';
import { arbitraryWrites, diskSizeBytes, logOf, replay } from '../../merge/arbitraryWrites.ts';

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-apply-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const mib = 2 ** 20;

async function withFile<T>(content: Uint8Array, work: (handle: FileHandle, path: string) => Promise<T>) {
  const path = join(folder, 'disk.raw');
  await writeFile(path, content);
  const handle = await open(path, 'r+');
  try {
    const result = await work(handle, path);
    return { result, bytes: await readFile(path) };
  } finally {
    await handle.close();
  }
}

describe('applyToFile', () => {
  it('leaves the bytes that replaying the writes leaves, from memory and from a file, once and twice', async () => {
    const logPath = join(folder, 'log.hrl');
    await fc.assert(
      fc.asyncProperty(arbitraryWrites, fc.boolean(), async (writes, isUnsynced) => {
        const log = logOf(writes);
        const segments = planMerge((await readHrl(memorySource(log))).entries);
        const old = new Uint8Array(diskSizeBytes).fill(0xee);
        await writeFile(logPath, log);
        await using source = await openFileSource(logPath);
        const { bytes, result } = await withFile(old, async (handle) => {
          await applyToFile({ source, segments, handle, isUnsynced });
          return applyToFile({ source: memorySource(log), segments, handle });
        });
        expect(Buffer.compare(bytes, replay(old, writes))).toBe(0);
        const total = segments.lengths.reduce((sum, length) => sum + length, 0);
        expect(result.writtenBytes + result.clearedBytes).toBe(total);
      }),
      { numRuns: 40 },
    );
  });

  it('copes with entries longer than its buffers, and leaves holes where zeros meet zeros', async () => {
    const data = new Uint8Array(21 * mib + 512);
    data.fill(7, 9 * mib, 10 * mib).fill(9, 21 * mib);
    const log = logOf([{ diskOffset: 512, data }]);
    const segments = planMerge((await readHrl(memorySource(log))).entries);
    let reported = 0;
    const { result, bytes } = await withFile(new Uint8Array(0), async (handle, path) => {
      await handle.truncate(32 * mib);
      await handle.write(Uint8Array.of(1), 0, 1, 5 * mib);
      const onProgress = (doneBytes: number): void => void (reported = doneBytes);
      const done = await applyToFile({ source: memorySource(log), segments, handle, onProgress });
      return { done, blocks: (await stat(path)).blocks };
    });
    expect(bytes.subarray(512, 512 + data.length).equals(data)).toBe(true);
    expect(result.done).toEqual({ writtenBytes: mib + 512, clearedBytes: 20 * mib });
    expect(reported).toBe(data.length);
    expect(result.blocks * 512).toBeLessThan(4 * mib);
  });

  it('stops at an abort and at a read that fails, with that error', async () => {
    const log = logOf([{ diskOffset: 0, data: new Uint8Array(9 * mib).fill(3) }]);
    const segments = planMerge((await readHrl(memorySource(log))).entries);
    const source = memorySource(log);
    const failing = {
      sizeBytes: source.sizeBytes,
      read: async (offset: number, length: number) => {
        if (offset > 6 * mib) throw new Error('no more');
        return source.read(offset, length);
      },
    };
    await withFile(new Uint8Array(9 * mib), async (handle) => {
      await expect(applyToFile({ source: failing, segments, handle })).rejects.toThrow('no more');
      const signal = AbortSignal.abort(new Error('enough'));
      await expect(applyToFile({ source, segments, handle, signal })).rejects.toThrow('enough');
    });
  });
});

describe('EarlySync', () => {
  /** A file whose syncs answer as told, one after another. */
  const syncing = (answers: readonly (Error | undefined)[]) => {
    const left = [...answers];
    const datasync = async (): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve));
      const answer = left.shift();
      if (answer !== undefined) throw answer;
    };
    return { handle: { datasync } as unknown as FileHandle, left };
  };

  it('throws a failure of the background at the end, although a later sync would succeed', async () => {
    const { handle } = syncing([new Error('bad sector')]);
    const sync = new EarlySync(handle, 100);
    sync.note(150);
    await sync.settle();
    sync.note(150);
    await expect(sync.finish()).rejects.toThrow('bad sector');
  });

  it('begins after so many bytes, one at a time, and always syncs at the end', async () => {
    const { handle, left } = syncing([undefined, undefined, new Error('the last one')]);
    const sync = new EarlySync(handle, 100);
    sync.note(60);
    expect(left).toHaveLength(3);
    sync.note(60);
    sync.note(500);
    await sync.settle();
    expect(left).toHaveLength(2);
    sync.note(1);
    await sync.settle();
    expect(left).toHaveLength(1);
    await expect(sync.finish()).rejects.toThrow('the last one');
  });
});
