// Path patterns of blob triggers.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBlobPath } from '../../../local/blob/blobPath.ts';

describe('parseBlobPath', () => {
  // pattern, blob's name, parameters (undefined: no match)
  it.each<[string, string, Record<string, string> | undefined]>([
    ['inbox', 'any/name', {}],
    ['inbox/{name}', 'a/b.c', { name: 'a/b.c' }],
    ['inbox/fixed.txt', 'fixed.txt', {}],
    ['inbox/fixed.txt', 'fixedxtxt', undefined],
    ['inbox/{name}.txt', 'a.txt', { name: 'a' }],
    ['inbox/{name}.txt', 'a.txt.bak', undefined],
    ['inbox/{name}.{ext}', 'a.b.c', { name: 'a.b', ext: 'c' }],
    [
      'inbox/{item}/{cycle}/{disk}.hrl',
      'vm-1/000000000001/0.hrl',
      { item: 'vm-1', cycle: '000000000001', disk: '0' },
    ],
    ['inbox/{item}/x', 'y', undefined],
    ['inbox/{{{name}}}', '{a}', { name: 'a' }],
    ['inbox/a+b/{name}', 'a+b/c', { name: 'c' }],
    ['$web/{name}', 'index.html', { name: 'index.html' }],
  ])('%s on %s', (pattern, name, expected) => {
    expect(parseBlobPath(pattern).match(name)).toEqual(expected);
  });

  it.each([
    ['', 'must begin with a container'],
    ['{container}/{name}', 'must begin with a container'],
    ['In_box/{name}', 'must begin with a container'],
    ['inbox/', 'has nothing after'],
    ['inbox/{name', 'unmatched "{"'],
    ['inbox/name}', 'unmatched "}"'],
    ['inbox/{a b}', 'unusable parameter'],
    ['inbox/{a}/{a}', 'twice'],
  ])('refuses %s', (pattern, message) => {
    expect(() => parseBlobPath(pattern)).toThrow(message);
  });

  it('takes a name apart so that it can be put together again', () => {
    const path = parseBlobPath('c/{a}/x-{b}.{c}');
    const part = fc.string({ unit: 'grapheme' });
    fc.assert(
      fc.property(part, part, part, (a, b, c) => {
        const name = `${a}/x-${b}.${c}`;
        const found = path.match(name);
        expect(`${found?.['a']}/x-${found?.['b']}.${found?.['c']}`).toBe(name);
      }),
    );
  });
});
