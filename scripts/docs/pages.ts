// The pages in docs/ that are made from code, so that they cannot say anything else than it does.
import { cliPage } from './cliPage.ts';
import { errorsPage } from './errorsPage.ts';
import { lifecyclePage } from './lifecyclePage.ts';

/** File name in docs/ → its whole text, of its present one: a page may be made in part only. */
export const generatedPages: Readonly<Record<string, (current: string) => string>> = {
  'cli.md': cliPage,
  'errors.md': errorsPage,
  'lifecycle.md': lifecyclePage,
};
