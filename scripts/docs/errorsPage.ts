// docs/errors.md, from the catalogue of lib/errors.ts.
import { errorCatalogue } from '../../lib/errors.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|');

/** The whole file. */
export function errorsPage(): string {
  const rows = Object.entries(errorCatalogue).map(
    ([code, { kind, httpStatus, possibleCauses, recommendedAction }]) =>
      `| \`${code}\` | ${kind} | ${httpStatus} | ${cell(possibleCauses)} | ${cell(recommendedAction)} |`,
  );
  return [
    '# Errors',
    '',
    'Every code that answers, jobs, health errors and quarantined logs carry. `npm run docs` writes this page from',
    '`lib/errors.ts`.',
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
