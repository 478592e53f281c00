// The pages in docs/ that are made from code, so that they cannot say anything else than it does.
import { errorsPage } from './errorsPage.ts';
import { lifecyclePage } from './lifecyclePage.ts';

/** File name in docs/ → its whole text. */
export const generatedPages: Readonly<Record<string, () => string>> = {
  'errors.md': errorsPage,
  'lifecycle.md': lifecyclePage,
};
