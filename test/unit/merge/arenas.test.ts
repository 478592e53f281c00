// Buffers that are kept from one piece of work to the next.
import { expect, it } from 'vitest';
import { ArenaPool, Arenas } from '../../../lib/merge/arenas.ts';

it('hands out what was given back, to one at a time, and makes what is missing', () => {
  const pool = new ArenaPool(4096, 2);
  const first = new Arenas(4096, pool);
  const [a, b] = [first.get(0), first.get(1)];
  expect(first.get(0)).toBe(a);
  expect(b).not.toBe(a);
  first.giveBack();
  // Work that needs less takes one that is there; two of them never share one.
  const small = new Arenas(512, pool);
  const full = new Arenas(4096, pool);
  expect(new Set([small.get(0), full.get(0)])).toEqual(new Set([a, b]));
  expect([a, b]).not.toContain(full.get(1));
});

it('keeps no more than its limit, nothing of another size, and nothing larger than it has', () => {
  const pool = new ArenaPool(4096, 1);
  const [kept, beyond] = [new Uint8Array(4096), new Uint8Array(4096)];
  for (const arena of [new Uint8Array(512), new Uint8Array(8192), kept, beyond]) pool.giveBack(arena);
  expect(pool.take(8192)).toHaveLength(8192);
  expect(pool.take(4096)).toBe(kept);
  expect(pool.take(4096)).not.toBe(beyond);
});
