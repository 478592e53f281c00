// What a request's body may be before anybody looks at its meaning.
import { LifeboatError } from '../errors.ts';

/** An inventory of a thousand machines with many disks is below this. */
export const bodyLimitBytes = 4 * 2 ** 20;
const depthLimit = 32;

/** Throws `RequestTooLarge` when objects and arrays are nested deeper than any schema of the API is. */
function assertDepth(text: string): void {
  let depth = 0;
  // Strings are skipped whole, so that a bracket in one does not count.
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (token === '[' || token === '{') depth++;
    else if (token === ']' || token === '}') depth--;
    if (depth > depthLimit) {
      const message = `The request body is nested deeper than ${depthLimit} levels.`;
      throw new LifeboatError('RequestTooLarge', message, { target: 'body' });
    }
  }
}

/** The JSON value; undefined for an empty text. Throws `InvalidRequest` and `RequestTooLarge`. */
export function parseJson(text: string): unknown {
  if (text.trim() === '') return undefined;
  assertDepth(text);
  try {
    // `__proto__` as a key would become the prototype when the value is copied.
    return JSON.parse(text, (key, value: unknown) => (key === '__proto__' ? undefined : value)) as unknown;
  } catch (cause) {
    throw new LifeboatError('InvalidRequest', 'The request body is not JSON.', { cause, target: 'body' });
  }
}
