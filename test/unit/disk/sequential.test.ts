import { describe, expect, it } from 'vitest';
import { readSequentially } from '../../../lib/disk/sequential.ts';
import { memorySource, type RandomAccessSource } from '../../../lib/disk/source.ts';

const bytes = Uint8Array.from({ length: 10 }, (_unused, at) => at);

/** Long enough for the read ahead to end while the caller is busy. */
const work = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('readSequentially', () => {
  it.each([1, 3, 5, 10, 64])('covers the source in order in chunks of %i', async (chunkBytes) => {
    const seen: number[] = [];
    for await (const chunk of readSequentially(memorySource(bytes), chunkBytes)) {
      expect(chunk.offsetBytes).toBe(seen.length);
      seen.push(...chunk.bytes);
    }
    expect(seen).toEqual([...bytes]);
  });

  it.each([1, 3, 5, 10, 64])(
    'uses two buffers when the caller keeps nothing, in chunks of %i',
    async (size) => {
      const seen: number[] = [];
      const buffers = new Set<ArrayBufferLike>();
      const source: RandomAccessSource = {
        ...memorySource(bytes),
        readInto: async (offsetBytes, target) => {
          await work();
          target.set(bytes.subarray(offsetBytes, offsetBytes + target.length));
        },
      };
      for await (const chunk of readSequentially(source, size, { isReusing: true })) {
        // The next read is done before this chunk is looked at.
        await work();
        await work();
        expect(chunk.offsetBytes).toBe(seen.length);
        seen.push(...chunk.bytes);
        buffers.add(chunk.bytes.buffer);
      }
      expect(seen).toEqual([...bytes]);
      expect(buffers.size).toBeLessThanOrEqual(2);
    },
  );

  it('yields nothing for an empty source', async () => {
    for await (const chunk of readSequentially(memorySource(new Uint8Array(0)), 4)) {
      expect.unreachable(`a chunk at ${chunk.offsetBytes}`);
    }
  });

  const failingAt = (offset: number): RandomAccessSource => ({
    sizeBytes: 10,
    read: async (offsetBytes, lengthBytes) => {
      if (offsetBytes === offset) throw new Error(`no bytes at ${offset}`);
      return memorySource(bytes).read(offsetBytes, lengthBytes);
    },
  });

  it('throws the error of a read where its chunk would have come', async () => {
    const seen: number[] = [];
    const loop = async (): Promise<void> => {
      for await (const chunk of readSequentially(failingAt(4), 2)) {
        seen.push(chunk.offsetBytes);
        await work();
      }
    };
    await expect(loop()).rejects.toThrow('no bytes at 4');
    expect(seen).toEqual([0, 2]);
  });

  it('leaving the loop hides the failure of the read ahead', async () => {
    const loop = async (): Promise<void> => {
      for await (const chunk of readSequentially(failingAt(2), 2)) {
        await work();
        if (chunk.offsetBytes === 0) throw new Error('the caller had enough');
      }
    };
    await expect(loop()).rejects.toThrow('the caller had enough');
  });
});
