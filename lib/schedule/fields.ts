// The fields that schedules are written with, and what their author reads when one is wrong.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { isTimeZone } from './localTime.ts';

const timePattern = /^([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/;

/** IANA name, such as `Europe/Berlin`. */
export const timeZoneField = z.string().refine(isTimeZone, {
  error: ({ input }) =>
    `"${String(input)}" is not a name of the IANA time zone database, such as "Europe/Berlin" or "UTC"`,
});

/** `HH:mm`, 00:00 to 23:59. */
export const minuteOfDayField = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, {
  error: ({ input }) => `"${String(input)}" is not a time of day "HH:mm" from 00:00 to 23:59`,
});

/** `HH:mm` or `HH:mm:ss`, 00:00:00 to 23:59:59. */
export const timeOfDayField = z.string().regex(timePattern, {
  error: ({ input }) => `"${String(input)}" is not a time of day "HH:mm:ss" from 00:00:00 to 23:59:59`,
});

/** Milliseconds from midnight on the clock's face. Throws `InvalidRequest` unless `HH:mm` or `HH:mm:ss`. */
export function timeOfDayMs(time: string): number {
  const parts = timePattern.exec(time);
  if (!parts)
    throw new LifeboatError(
      'InvalidRequest',
      `"${time}" is not a time of day "HH:mm:ss" from 00:00:00 to 23:59:59.`,
    );
  const [, hours, minutes, seconds = '0'] = parts;
  return ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
}
