// The off-hours window: when resynchronization and scrub may load the source. It opens when the site's clock first shows
// `start` and closes when it first shows `end`; on a day without such a time that is the moment at which the clock skips it.
import * as z from 'zod';
import { minuteOfDayField, timeOfDayMs, timeZoneField } from './fields.ts';
import { dateOf, dayMs, firstMomentOf, localMsAt } from './localTime.ts';

/** Daily, half-open [start, end); `end` before `start` is on the next day; `end` equal to `start` is always open. */
export const resyncWindow = z.object({
  start: minuteOfDayField.default('18:30'),
  end: minuteOfDayField.default('06:00'),
  timeZone: timeZoneField.default('UTC'),
  /** At the end: pause what runs and go on in the next window, or let it finish. */
  pauseAtEnd: z.boolean().default(true),
});
export type ResyncWindow = z.infer<typeof resyncWindow>;

/** Site Recovery's off-hours, 18:30 to 06:00; only the time zone is the site's own. */
export const defaultResyncWindow: ResyncWindow = resyncWindow.parse({});

interface OpenTime {
  opensAtMs: number;
  closesAtMs: number;
}

/** The opening that starts on a local date; empty when the clock skips all of it. */
function openTimeOf(window: ResyncWindow, date: number): OpenTime {
  const start = timeOfDayMs(window.start);
  const end = timeOfDayMs(window.end);
  return {
    opensAtMs: firstMomentOf(window.timeZone, date + start),
    closesAtMs: firstMomentOf(window.timeZone, date + end + (end < start ? dayMs : 0)),
  };
}

/**
 * The first opening that ends after `atMs`. One that began two dates ago has ended, because the clock has shown midnight
 * since. Where the clock skips what lies between two openings they are one.
 */
function openTimeAfter(window: ResyncWindow, atMs: number): OpenTime {
  let date = dateOf(localMsAt(window.timeZone, atMs)) - dayMs;
  let found = openTimeOf(window, date);
  while (found.closesAtMs <= atMs || found.closesAtMs <= found.opensAtMs)
    found = openTimeOf(window, (date += dayMs));
  for (;;) {
    const next = openTimeOf(window, (date += dayMs));
    if (next.opensAtMs > found.closesAtMs) return found;
    found = { opensAtMs: found.opensAtMs, closesAtMs: Math.max(found.closesAtMs, next.closesAtMs) };
  }
}

const isAlwaysOpen = ({ start, end }: ResyncWindow): boolean => start === end;

/** Whether the window is open at that moment. */
export function isInWindow(window: ResyncWindow, at: Date): boolean {
  return isAlwaysOpen(window) || openTimeAfter(window, at.getTime()).opensAtMs <= at.getTime();
}

/** The first moment from `at` on in which the window is open: `at` itself when it is open now. */
export function nextOpening(window: ResyncWindow, at: Date): Date {
  if (isAlwaysOpen(window)) return at;
  return new Date(Math.max(at.getTime(), openTimeAfter(window, at.getTime()).opensAtMs));
}

/** When the opening that `nextOpening` names ends (exclusive, after `at`); undefined when the window never closes. */
export function closingOf(window: ResyncWindow, at: Date): Date | undefined {
  return isAlwaysOpen(window) ? undefined : new Date(openTimeAfter(window, at.getTime()).closesAtMs);
}
