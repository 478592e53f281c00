// Jobs and events lie newest first, and their ids tell their time: a filter by time reads only what can match.
import { firstIdAt } from '../jobs/jobId.ts';
import type { Filter } from './filter/filter.ts';
import type { Source } from './paging.ts';

/** A job may wait so long between its id and its start; everything older than a filter's start by more cannot match. */
const waitMs = 24 * 3600 * 1000;

type List<T> = (page: { after?: string; limit: number }) => AsyncIterable<T>;

/** The rows of a page behind `after`, no newer than the filter's EndTime, and none that began long before its StartTime. */
export function newestFirst<T extends { id: string }>(
  list: List<T>,
  filter: Filter<T> | undefined,
): Source<T>['rows'] {
  const { from } = filter?.timeRange('StartTime') ?? {};
  const { until } = filter?.timeRange('EndTime') ?? {};
  const oldest = from && firstIdAt(new Date(from.getTime() - waitMs));
  return async function* (after, limit) {
    // Behind everything that is newer by a millisecond or more.
    const begin = after ?? (until && firstIdAt(new Date(until.getTime() + 1)));
    for await (const value of list({ ...(begin === undefined ? {} : { after: begin }), limit })) {
      if (oldest !== undefined && value.id > oldest) return;
      yield { key: value.id, value };
    }
  };
}
