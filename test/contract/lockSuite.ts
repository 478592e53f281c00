// The contract of LockPort that needs no waiting; what happens to a lock whose holder dies is in azuriteLocks.test.ts.
import { describe, expect, test } from 'vitest';
import type { LockPort } from '../../lib/storage/ports.ts';
import { codeOf, freshName } from './outcomes.ts';

export function lockSuite(adapter: string, make: () => LockPort): void {
  describe(`locks (${adapter})`, () => {
    test('one holder at a time, of each name', async () => {
      const locks = make();
      const name = freshName('lock');
      const held = await locks.tryAcquire(name);
      expect(held?.lost.aborted).toBe(false);
      expect(await locks.tryAcquire(name)).toBeUndefined();
      const other = await locks.tryAcquire(`${name}-other`);
      expect(other).toBeDefined();
      await held?.release();
      const next = await locks.tryAcquire(name);
      expect(next).toBeDefined();
      await Promise.all([next?.release(), other?.release()]);
    });

    test('a second release does not free the lock of the next holder', async () => {
      const locks = make();
      const name = freshName('lock');
      const first = await locks.tryAcquire(name);
      await first?.release();
      const second = await locks.tryAcquire(name);
      await first?.release();
      expect(await locks.tryAcquire(name)).toBeUndefined();
      expect(second?.lost.aborted).toBe(false);
      await second?.release();
    });

    test('of 16 concurrent callers one gets a new lock, and so for a used one', async () => {
      const locks = make();
      const name = freshName('lock');
      for (let round = 0; round < 2; round++) {
        const results = await Promise.all(Array.from({ length: 16 }, () => locks.tryAcquire(name)));
        const held = results.filter((lock) => lock !== undefined);
        expect(held).toHaveLength(1);
        await held[0]?.release();
      }
    });

    test('an empty name is refused', async () => {
      expect(await codeOf(make().tryAcquire(''))).toBe('InvalidName');
    });
  });
}
