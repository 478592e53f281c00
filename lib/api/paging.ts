// Pages of a collection. A page ends after `$take` entries, or when enough rows were looked at; nextLink goes on behind the
// last row. It is complete (absolute, api-version, filter), because clients send it as it is.
import { LifeboatError } from '../errors.ts';
import type { ApiContext, ApiResponse, RoutedRequest } from './http.ts';
import { findQuery } from './query.ts';

const defaultTake = 50;
const largestTake = 1000;
/** Rows that one request looks at when a filter lets few of them through. */
const scanLimit = 2000;

const tokenNames = ['skiptoken', '$skiptoken', 'skiptoken1'];

function takeOf(query: URLSearchParams, otherwise: number): number {
  const text = findQuery(query, '$take', '$top');
  if (text === undefined) return otherwise;
  const take = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (take >= 1) return Math.min(take, largestTake);
  const message = `$take must be a number from 1 to ${largestTake}, not "${text.slice(0, 40)}".`;
  throw new LifeboatError('InvalidRequest', message, { target: '$take' });
}

/** The key of the row behind which the page begins. A token that is not ours is refused, it never reaches storage. */
function afterOf(query: URLSearchParams): string | undefined {
  const token = findQuery(query, ...tokenNames);
  if (token === undefined || token === '') return undefined;
  const key = Buffer.from(token, 'base64url').toString('utf8');
  // eslint-disable-next-line no-control-regex -- characters that no key has
  const isKeyText = /^[^/\\#?\u0000-\u001f\u007f-\u009f]{1,512}$/.test(key);
  if (isKeyText && /^[A-Za-z0-9_-]{1,700}$/.test(token)) return key;
  const message = 'skipToken is not one that this service made; take nextLink as it is.';
  throw new LifeboatError('InvalidRequest', message, { target: 'skipToken' });
}

function nextLink({ settings }: ApiContext, request: RoutedRequest, after: string): string {
  const query = new URLSearchParams([
    ...[...request.query].filter(([name]) => ![...tokenNames, 'api-version'].includes(name.toLowerCase())),
    ['api-version', request.apiVersion],
    ['skipToken', Buffer.from(after, 'utf8').toString('base64url')],
  ]);
  return `${settings.publicUrl}${request.path}?${query.toString()}`;
}

export interface Source<T> {
  /** Records behind the key, in the collection's order. `key` is what the next page goes on from. */
  rows: (
    after: string | undefined,
    limit: number,
  ) => AsyncIterable<{ key: string; value: T }> | Iterable<{ key: string; value: T }>;
  matches?: (record: T) => boolean;
  body: (record: T) => unknown;
  /** In place of `body`, when reading for all of them at once is cheaper. */
  bodies?: (records: readonly T[]) => Promise<unknown[]>;
  /** Entries of a page when the caller does not say; fewer where every entry costs several reads. */
  usualTake?: number;
}

/** Answers one page. Bodies are made in parallel. */
export async function page<T>(
  context: ApiContext,
  request: RoutedRequest,
  { rows, matches, body, bodies, usualTake = defaultTake }: Source<T>,
): Promise<ApiResponse> {
  const take = takeOf(request.query, usualTake);
  const found: T[] = [];
  let scanned = 0;
  let last: string | undefined;
  let isEnd = true;
  const limit = matches ? scanLimit + 1 : take + 1;
  for await (const { key, value } of rows(afterOf(request.query), limit)) {
    if (found.length === take || scanned === scanLimit) {
      isEnd = false;
      break;
    }
    last = key;
    scanned++;
    if (!matches || matches(value)) found.push(value);
  }
  return {
    status: 200,
    body: {
      value: await (bodies?.(found) ?? Promise.all(found.map(body))),
      nextLink: isEnd || last === undefined ? null : nextLink(context, request, last),
    },
  };
}

/** A page of a collection that is small enough to be read whole, in the order of its keys. */
export function pageOfAll<T>(
  context: ApiContext,
  request: RoutedRequest,
  source: Omit<Source<T>, 'rows'> & { all: readonly T[]; keyOf: (record: T) => string },
): Promise<ApiResponse> {
  const { all, keyOf, ...rest } = source;
  const sorted = all
    .map((value) => ({ key: keyOf(value), value }))
    .sort((one, other) => (one.key < other.key ? -1 : one.key > other.key ? 1 : 0));
  return page(context, request, {
    ...rest,
    rows: (after) => (after === undefined ? sorted : sorted.filter(({ key }) => key > after)),
  });
}
