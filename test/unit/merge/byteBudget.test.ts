// The memory budget of all merges: never more than the total, in the order of asking, and nobody waits for ever.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteBudget, type ReleaseBytes } from '../../../lib/merge/byteBudget.ts';

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('ByteBudget', () => {
  it('serves waiters in the order of asking, even when a later and smaller one would fit', async () => {
    const budget = new ByteBudget(100);
    const order: string[] = [];
    const take = async (name: string, bytes: number): Promise<ReleaseBytes> => {
      const release = await budget.take(bytes);
      order.push(name);
      return release;
    };
    const first = await take('first', 60);
    const large = take('large', 80);
    const small = take('small', 10);
    await settle();
    expect(order).toEqual(['first']);
    first();
    (await large)();
    (await small)();
    expect(order).toEqual(['first', 'large', 'small']);
    expect(budget.takenBytes).toBe(0);
  });

  it('gives a wish above the total everything, alone', async () => {
    const budget = new ByteBudget(100);
    const all = await budget.take(1000);
    expect(budget.takenBytes).toBe(100);
    let isServed = false;
    const next = budget.take(1).then((release) => {
      isServed = true;
      release();
    });
    await settle();
    expect(isServed).toBe(false);
    all();
    await next;
    expect(budget.takenBytes).toBe(0);
  });

  it('an abort ends the waiting and lets those behind go on', async () => {
    const budget = new ByteBudget(100);
    const held = await budget.take(60);
    const controller = new AbortController();
    const aborted = budget.take(90, controller.signal);
    const behind = budget.take(30);
    controller.abort(new Error('lock lost'));
    await expect(aborted).rejects.toThrow('lock lost');
    (await behind)();
    held();
    await expect(budget.take(1, controller.signal)).rejects.toThrow('lock lost');
    expect(budget.takenBytes).toBe(0);
  });

  it('lends what is free, but not the reserve, and nothing while somebody waits', async () => {
    const budget = new ByteBudget(100, 50);
    const first = budget.takeSpare(30, () => undefined);
    const second = budget.takeSpare(30, () => undefined);
    expect([first.bytes, second.bytes, budget.takenBytes]).toEqual([30, 20, 50]);
    first.release();
    first.release();
    expect(budget.takenBytes).toBe(20);
    second.release();
    const held = await budget.take(90);
    const waiting = budget.take(20);
    expect(budget.takeSpare(30, () => undefined).bytes).toBe(0);
    held();
    (await waiting)();
    expect(budget.takeSpare(30, () => undefined).bytes).toBe(30);
  });

  it('calls lent memory back, oldest first and no more than needed, before anybody waits', async () => {
    const budget = new ByteBudget(100, 10);
    const called: string[] = [];
    for (const name of ['a', 'b', 'c']) budget.takeSpare(30, () => called.push(name));
    (await budget.take(10))();
    expect(called).toEqual([]);
    const release = await budget.take(50);
    expect(called).toEqual(['a', 'b']);
    expect(budget.takenBytes).toBe(80);
    release();
    // A wish for everything takes the rest as well.
    (await budget.take(1000))();
    expect(called).toEqual(['a', 'b', 'c']);
    expect(budget.takenBytes).toBe(0);
  });

  it('any takers, some of them aborted, releasing twice: the bound holds and all are served', async () => {
    const taker = fc.record({ bytes: fc.nat(150), turns: fc.nat(3), abortAfter: fc.option(fc.nat(4)) });
    await fc.assert(
      fc.asyncProperty(fc.array(taker, { maxLength: 20 }), async (takers) => {
        const budget = new ByteBudget(100, 60);
        let lent = 0;
        let held = 0;
        const outcomes = await Promise.all(
          takers.map(async ({ bytes, turns, abortAfter }) => {
            const controller = new AbortController();
            const aborting = (async () => {
              for (let turn = 0; turn < (abortAfter ?? 0); turn++) await settle();
              if (abortAfter !== null) controller.abort(new Error('abort'));
            })();
            const loan = { isOut: true };
            const spare = budget.takeSpare(bytes, () => {
              lent -= spare.bytes;
              loan.isOut = false;
            });
            lent += spare.bytes;
            try {
              const release = await budget.take(bytes, controller.signal);
              held += Math.min(bytes, 100);
              expect(held + lent).toBeLessThanOrEqual(100);
              expect(budget.takenBytes).toBeGreaterThanOrEqual(held + lent);
              for (let turn = 0; turn < turns; turn++) await settle();
              held -= Math.min(bytes, 100);
              release();
              release();
              return 'served';
            } catch (error) {
              if ((error as Error).message !== 'abort') throw error;
              return 'aborted';
            } finally {
              if (loan.isOut) lent -= spare.bytes;
              spare.release();
              await aborting;
            }
          }),
        );
        takers.forEach(({ abortAfter }, index) => {
          if (abortAfter === null) expect(outcomes[index]).toBe('served');
        });
        expect(budget.takenBytes).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});
