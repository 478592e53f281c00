import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { errorCatalogue } from '../../lib/errors.ts';

const file = join(import.meta.dirname, '..', '..', 'docs', 'errors.md');

function render(): string {
  const rows = Object.entries(errorCatalogue).map(
    ([code, { kind, httpStatus, possibleCauses, recommendedAction }]) =>
      `| \`${code}\` | ${kind} | ${httpStatus} | ${possibleCauses} | ${recommendedAction.replaceAll('|', '\\|')} |`,
  );
  return [
    '# Errors',
    '',
    'Every code that answers, jobs, health errors and quarantined logs carry. The rows come from `lib/errors.ts`;',
    '`UPDATE_DOCS=1 npx vitest run test/unit/errorsDoc.test.ts` writes them here.',
    '',
    '`invalid`: the request is wrong, nothing was changed. `transient`: tried again by itself. `divergent`: the replica may no',
    'longer equal the source. `fatal`: an administrator must act.',
    '',
    '| code | kind | HTTP | possible causes | recommended action |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

it('docs/errors.md lists the catalogue', async () => {
  if (process.env['UPDATE_DOCS']) await writeFile(file, render());
  expect(await readFile(file, 'utf8')).toBe(render());
});
