// A log that is kept between check and merge: the same bytes as the log has, whatever part of it is kept, and whenever it
// is given up.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memorySource, type RandomAccessSource } from '../../../lib/disk/source.ts';
import { ByteBudget } from '../../../lib/merge/byteBudget.ts';
import { KeptLog } from '../../../lib/merge/keptLog.ts';
import { scratchOf, type Damage } from '../../merge/memoryScratch.ts';

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
    using kept = new KeptLog(100, { memory: new ByteBudget(1000, 940) });
    await kept.take(0, bytes.subarray(0, 40));
    // Nothing that would leave a hole, and nothing past what there is room for.
    await kept.take(50, bytes.subarray(50));
    expect(kept.keptBytes).toBe(40);
    await kept.take(40, bytes.subarray(40));
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
    const kept = new KeptLog(100, { memory: budget });
    await kept.take(0, bytes.subarray(0, 50));
    const source = kept.over(memorySource(bytes));
    const view = await source.read(0, 50);
    const release = await budget.take(100);
    await kept.take(50, bytes.subarray(50));
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
          using kept = new KeptLog(100, { memory: budget });
          let at = 0;
          for (const chunk of chunks) {
            await kept.take(at, bytes.subarray(at, at + chunk));
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

  it('keeps in scratch space what memory has no room for', async () => {
    const bytes = bytesOf(700_000);
    const scratch = scratchOf(600_000);
    const kept = new KeptLog(bytes.length, { memory: new ByteBudget(50_000), scratch });
    for (let at = 0; at < bytes.length; at += 200_000) await kept.take(at, bytes.subarray(at, at + 200_000));
    expect([kept.keptBytes, kept.spooledBytes]).toEqual([50_000, 600_000]);
    // Nothing but the end is read from the log.
    const source = kept.over(readableFrom(bytes, 650_000));
    for (const [from, to] of [
      [0, 50_000],
      [50_000, 650_000],
      [199_999, 200_001],
      [330_000, 471_073],
      [650_000, 700_000],
    ] as const)
      expect(Buffer.compare(await source.read(from, to - from), bytes.subarray(from, to))).toBe(0);
    kept[Symbol.dispose]();
    kept[Symbol.dispose]();
    expect(scratch.closed).toBe(1);
    expect(await kept.over(memorySource(bytes)).read(60_000, 9)).toEqual(bytes.subarray(60_000, 60_009));
  });

  it('never answers with other bytes than the log has, whatever the scratch space does', async () => {
    const damages = fc.constantFrom<Damage>(
      'none',
      'write fails',
      'read fails',
      'byte changes',
      'no room',
      'open fails',
    );
    await fc.assert(
      fc.asyncProperty(
        damages,
        fc.record({ memoryBytes: fc.nat(40), scratchBytes: fc.nat(80) }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 }),
        fc.array(fc.record({ offset: fc.nat(99), length: fc.nat(100) }), { maxLength: 10 }),
        async (damage, { memoryBytes, scratchBytes }, chunks, reads) => {
          const bytes = bytesOf(100);
          const memory = new ByteBudget(40, 40 - memoryBytes);
          using kept = new KeptLog(100, { memory, scratch: scratchOf(scratchBytes, damage) });
          for (let at = 0, turn = 0; at < 100; turn++) {
            const part = bytes.subarray(at, at + (chunks[turn % chunks.length] ?? 1));
            await kept.take(at, part);
            at += part.length;
          }
          const isSpooled = damage === 'none' || damage === 'read fails' || damage === 'byte changes';
          if (isSpooled) expect(kept.spooledBytes).toBe(Math.min(scratchBytes, 100 - memoryBytes));
          const source = kept.over(memorySource(bytes));
          for (const { offset, length } of reads) {
            const lengthBytes = Math.min(length, 100 - offset);
            const found = await source.read(offset, lengthBytes);
            expect(found).toEqual(bytes.subarray(offset, offset + lengthBytes));
          }
        },
      ),
    );
  });
});
