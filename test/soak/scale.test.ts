// The soak of scale in small, and that it would see growth.
import { expect, it } from 'vitest';
import { growthOf, runScale } from '../../scripts/soak/scale.ts';
import type { Round } from '../../scripts/soak/scale.ts';

it('a cycle asks the same of the storage, however many items and cycles there are', async () => {
  const few = await runScale({ items: 3, cycles: 17, seed: 1 });
  const many = await runScale({ items: 24, cycles: 17, seed: 2 });
  expect(few.violations).toEqual([]);
  expect(many.violations).toEqual([]);
  const last = (rounds: readonly Round[]): number => rounds.at(-1)?.calls ?? Number.NaN;
  expect(last(many.rounds) / last(few.rounds)).toBeLessThan(1.1);
  expect(many.callsByName.map(([name]) => name)).toContain('items.transact');
});

it('growth of one call in twenty by every tenth cycle is seen', () => {
  const rounds = Array.from({ length: 50 }, (_, cycle): Round => ({
    cycle,
    calls: 20 + Math.floor(cycle / 10),
    listed: 1,
    milliseconds: 1,
  }));
  expect(growthOf(rounds, 'calls')).toBeGreaterThan(1.05);
  expect(growthOf(rounds, 'listed')).toBe(1);
});
