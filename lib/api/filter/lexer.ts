// The words of a $filter: names, operators, literals. Positions are kept, so that a complaint can say where.
import { LifeboatError } from '../../errors.ts';

export type Token =
  | { kind: 'name' | 'symbol'; text: string; at: number }
  | { kind: 'string' | 'time'; text: string; at: number }
  | { kind: 'number'; text: string; at: number }
  | { kind: 'end'; text: ''; at: number };

const limitChars = 4096;

const words =
  /\s*(?:(?<string>'(?:[^']|'')*')|(?<time>\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:?\d{2})?)?)|(?<number>-?\d+(?:\.\d+)?)|(?<name>[A-Za-z_][\w/]*)|(?<symbol>[(),]))/y;

export function filterError(problem: string, at: number): LifeboatError {
  const message = `$filter is not valid at position ${at + 1}: ${problem}.`;
  return new LifeboatError('InvalidRequest', message, { target: '$filter' });
}

/** The tokens, the last one of kind `end`. Throws `InvalidRequest`. */
export function tokenize(text: string): Token[] {
  if (text.length > limitChars)
    throw filterError(`it has ${text.length} characters, the limit is ${limitChars}`, limitChars);
  const tokens: Token[] = [];
  words.lastIndex = 0;
  let at = 0;
  while (text.slice(at).trim() !== '') {
    words.lastIndex = at;
    const groups: Record<string, string | undefined> | undefined = words.exec(text)?.groups;
    if (!groups) {
      const rest = text.slice(at).trimStart();
      const start = text.length - rest.length;
      throw filterError(
        rest.startsWith("'")
          ? "the string has no closing '"
          : `"${rest.slice(0, 20)}" is not understood; strings stand in '…'`,
        start,
      );
    }
    const [kind = '', found = ''] =
      Object.entries(groups).find((entry): entry is [string, string] => entry[1] !== undefined) ?? [];
    const value = kind === 'string' ? found.slice(1, -1).replaceAll("''", "'") : found;
    tokens.push({ kind: kind as 'string', text: value, at: words.lastIndex - found.length });
    at = words.lastIndex;
  }
  return [...tokens, { kind: 'end', text: '', at: text.length }];
}
