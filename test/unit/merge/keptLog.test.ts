// A log that is kept between check and merge: the same bytes as the log has, whatever part of it is kept, and whenever it
// is given up.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memorySource, type RandomAccessSource } from '../../../lib/disk/source.ts';
import { ByteBudget } from '../../../lib/merge/byteBudget.ts';
import { KeptLog } from '../../../lib/merge/keptLog.ts';

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => (index * 31) % 251);

/** A log of which only [from, …) can still be read. */
function readableFrom(bytes: Uint8Array, from: number): RandomAccessSource {
  const source = memorySource(bytes);
  return {
    sizeBytes: bytes.length,
    async read(offsetBytes, lengthBytes) {
      if (offsetBytes < from) throw new Error(`read at ${offsetBytes}`);
      return source.read(offsetBytes, lengthBytes);
    },
  };
}

describe('KeptLog', () => {
  it('answers from memory what it keeps, and reads what it does not', async () => {
    const bytes = bytesOf(100);
    using kept = new KeptLog(100, new ByteBudget(1000, 940));
    kept.take(0, bytes.subarray(0, 40));
    // Nothing that would leave a hole, and nothing past what there is room for.
    kept.take(50, bytes.subarray(50));
    expect(kept.keptBytes).toBe(40);
    kept.take(40, bytes.subarray(40));
    expect(kept.keptBytes).toBe(60);
    const source = kept.over(readableFrom(bytes, 60));
    expect(source.sizeBytes).toBe(100);
    expect(await source.read(10, 50)).toEqual(bytes.subarray(10, 60));
    expect(await source.read(60, 40)).toEqual(bytes.subarray(60));
    await expect(source.read(59, 2)).rejects.toThrow('read at 59');
  });

  it('reads again after it had to give up its memory, and after disposal', async () => {
    const bytes = bytesOf(100);
    const budget = new ByteBudget(150, 50);
    const kept = new KeptLog(100, budget);
    kept.take(0, bytes.subarray(0, 50));
    const source = kept.over(memorySource(bytes));
    const view = await source.read(0, 50);
    const release = await budget.take(100);
    kept.take(50, bytes.subarray(50));
    expect([kept.keptBytes, budget.takenBytes]).toEqual([0, 100]);
    // What was handed out stays what it was.
    expect(view).toEqual(bytes.subarray(0, 50));
    expect(await source.read(0, 100)).toEqual(bytes);
    kept[Symbol.dispose]();
    kept[Symbol.dispose]();
    release();
    expect(budget.takenBytes).toBe(0);
    expect(await source.read(20, 5)).toEqual(bytes.subarray(20, 25));
  });

  it('never answers with other bytes than the log has', async () => {
    const read = fc.record({ offset: fc.nat(99), length: fc.nat(100), isCalledBack: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(
        fc.nat(120),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 }),
        fc.array(read, { maxLength: 10 }),
        async (roomBytes, chunks, reads) => {
          const bytes = bytesOf(100);
          const budget = new ByteBudget(120, 120 - roomBytes);
          using kept = new KeptLog(100, budget);
          let at = 0;
          for (const chunk of chunks) {
            kept.take(at, bytes.subarray(at, at + chunk));
            at = Math.min(100, at + chunk);
          }
          expect(kept.keptBytes).toBe(Math.min(at, roomBytes));
          const source = kept.over(memorySource(bytes));
          for (const { offset, length, isCalledBack } of reads) {
            if (isCalledBack) (await budget.take(120))();
            const lengthBytes = Math.min(length, 100 - offset);
            expect(await source.read(offset, lengthBytes)).toEqual(
              bytes.subarray(offset, offset + lengthBytes),
            );
          }
        },
      ),
    );
  });
});
