// Hours rolled up into days, for a history that is kept longer than its hours.
import { joinCounts, type DayBucket, type HourBucket, type ReplicationCounts } from './bucket.ts';

/** One bucket for each UTC day that has hours, oldest first. The hours may come in any order; an hour must not come twice. */
export function rollUpDays(hours: readonly HourBucket[]): DayBucket[] {
  const days = new Map<string, ReplicationCounts>();
  const ordered = [...hours].sort((one, other) => Date.parse(one.hour) - Date.parse(other.hour));
  for (const { hour, ...counts } of ordered) {
    const day = hour.slice(0, 10);
    const known = days.get(day);
    days.set(day, known ? joinCounts(known, counts) : counts);
  }
  return [...days].map(([day, counts]) => ({ day, ...counts }));
}
