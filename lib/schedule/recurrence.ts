// When something is to be done again: initial replication at a time of day, scrubs and drills daily or weekly.
import * as z from 'zod';
import { timeOfDayField, timeOfDayMs, timeZoneField } from './fields.ts';
import { dateOf, dayMs, firstMomentOf, localMsAt } from './localTime.ts';

const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;

/** Once a day or once a week at a time of the local clock. */
export const recurrence = z.discriminatedUnion('every', [
  z.object({ every: z.literal('day'), at: timeOfDayField, timeZone: timeZoneField }),
  z.object({
    every: z.literal('week'),
    weekday: z.enum(weekdays),
    at: timeOfDayField,
    timeZone: timeZoneField,
  }),
]);
export type Recurrence = z.infer<typeof recurrence>;

function firstMomentAfter(
  timeZone: string,
  timeMs: number,
  after: Date,
  isOn: (date: number) => boolean,
): Date {
  let date = dateOf(localMsAt(timeZone, after.getTime()));
  for (;;) {
    const moment = isOn(date) ? firstMomentOf(timeZone, date + timeMs) : -Infinity;
    if (moment > after.getTime()) return new Date(moment);
    date += dayMs;
  }
}

/**
 * The first moment after `after` at which the clock in `timeZone` shows `time` (`HH:mm` or `HH:mm:ss`). On a day that skips
 * the time it is the moment of the skip; on a day that shows it twice, the first. Throws `InvalidRequest` for a bad field.
 */
export function nextDaily(time: string, timeZone: string, after: Date): Date {
  return firstMomentAfter(timeZone, timeOfDayMs(time), after, () => true);
}

/** The first occurrence after `after`; the rules of `nextDaily`. */
export function nextOccurrence(schedule: Recurrence, after: Date): Date {
  if (schedule.every === 'day') return nextDaily(schedule.at, schedule.timeZone, after);
  const wanted = weekdays.indexOf(schedule.weekday);
  const isOn = (date: number): boolean => new Date(date).getUTCDay() === wanted;
  return firstMomentAfter(schedule.timeZone, timeOfDayMs(schedule.at), after, isOn);
}

/** Whether an occurrence has come since it was last begun; however many were missed, they are made up for once. */
export function isOccurrenceDue(schedule: Recurrence, lastBegun: Date, now: Date): boolean {
  return nextOccurrence(schedule, lastBegun).getTime() <= now.getTime();
}
