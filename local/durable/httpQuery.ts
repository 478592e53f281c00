// Reads the query string of a management request. Every value that is not understood is refused by name: a filter that is silently
// ignored would purge the wrong instances.
import { isFinished, runtimeStatuses, type RuntimeStatus } from './instanceRecord.ts';
import type { InstanceFilter } from './instanceStore.ts';

/** A request that the caller has to change; `status` is the HTTP answer. */
export class RequestError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Statuses that the API knows and this host never has. */
const foreignStatuses = new Set(['canceled', 'continuedasnew']);

/** @throws RequestError 400 */
export function parseInstanceFilter(query: URLSearchParams): InstanceFilter {
  const createdFrom = parseDate(query, 'createdTimeFrom');
  const createdTo = parseDate(query, 'createdTimeTo');
  const statuses = parseStatuses(query);
  const instanceIdPrefix = query.get('instanceIdPrefix');
  return {
    ...(createdFrom && { createdFrom }),
    ...(createdTo && { createdTo }),
    ...(statuses && { statuses }),
    ...(instanceIdPrefix !== null && { instanceIdPrefix }),
  };
}

/** The filter of a purge: only finished instances, unless it names statuses, which must then be final ones. @throws RequestError 400 */
export function parsePurgeFilter(query: URLSearchParams): InstanceFilter {
  const filter = parseInstanceFilter(query);
  const unfinished = filter.statuses?.find((status) => !isFinished(status));
  if (unfinished !== undefined) {
    throw new RequestError(
      400,
      `Only finished instances can be purged: runtimeStatus ${unfinished} is not final. Terminate them first.`,
    );
  }
  return { ...filter, statuses: filter.statuses ?? runtimeStatuses.filter(isFinished) };
}

/** @throws RequestError 400 */
export function parseFlag(query: URLSearchParams, name: string, byDefault: boolean): boolean {
  const value = query.get(name)?.toLowerCase();
  if (value === undefined || value === '') return byDefault;
  if (value !== 'true' && value !== 'false')
    throw new RequestError(400, `${name}=${value} is not a boolean; use true or false.`);
  return value === 'true';
}

/** A positive number, or undefined when absent. @throws RequestError 400 */
export function parsePositiveNumber(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name);
  if (value === null || value === '') return undefined;
  const number = Number(value);
  if (!Number.isFinite(number) || number <= 0)
    throw new RequestError(400, `${name}=${value} is not a positive number.`);
  return number;
}

function parseDate(query: URLSearchParams, name: string): Date | undefined {
  const value = query.get(name);
  if (value === null || value === '') return undefined;
  const date = new Date(value);
  if (Number.isNaN(date.getTime()))
    throw new RequestError(400, `${name}=${value} is not a date; use ISO 8601, e.g. 2030-01-31T12:00:00Z.`);
  return date;
}

function parseStatuses(query: URLSearchParams): RuntimeStatus[] | undefined {
  const names = query
    .getAll('runtimeStatus')
    .flatMap((value) => value.split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0) return undefined;
  const statuses: RuntimeStatus[] = [];
  for (const name of names) {
    const status = runtimeStatuses.find((one) => one.toLowerCase() === name.toLowerCase());
    if (status) statuses.push(status);
    else if (!foreignStatuses.has(name.toLowerCase())) {
      throw new RequestError(
        400,
        `runtimeStatus=${name} is unknown; use ${runtimeStatuses.join(', ')}, separated by commas.`,
      );
    }
  }
  // Asking for statuses that no instance can have finds nothing, not everything.
  return statuses;
}
