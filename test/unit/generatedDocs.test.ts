import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errorCatalogue } from '../../lib/errors.ts';
import { generatedPages } from '../../scripts/docs/pages.ts';

const docs = join(import.meta.dirname, '..', '..', 'docs');

describe('generated pages', () => {
  it.each(Object.entries(generatedPages))('docs/%s is what `npm run docs` writes', async (name, render) => {
    const current = await readFile(join(docs, name), 'utf8');
    expect(current).toBe(render(current));
  });
});

it('every error says what may have caused it and what to do', () => {
  for (const [code, { httpStatus, possibleCauses, recommendedAction }] of Object.entries(errorCatalogue)) {
    expect(httpStatus, code).toBeGreaterThanOrEqual(400);
    expect(httpStatus, code).toBeLessThan(600);
    expect(possibleCauses, code).toMatch(/^\S.*\.$/);
    expect(recommendedAction, code).toMatch(/^\S.*\.$/);
  }
});
