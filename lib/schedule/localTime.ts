// Local clocks by the IANA rules that Intl carries. A local time is a number: the milliseconds that the clock's face would
// be if it stood in UTC, so that dates are plain arithmetic and only the step between face and instant knows time zones.
import { LifeboatError } from '../errors.ts';

/** What a local clock shows, as milliseconds since 1970-01-01T00:00 on its own face. */
export type LocalMs = number;

export const dayMs = 86_400_000;
const secondMs = 1000;

// Offsets lie within −12 h and +14 h; an hour more on either side makes the bounds strict.
const mostAheadMs = 15 * 3_600_000;
const mostBehindMs = 13 * 3_600_000;

/** Making one takes longer than reading the policy that names its zone. */
const clocks = new Map<string, Intl.DateTimeFormat>();
/** More than there are zones; their spellings are as many as anyone likes. */
const mostClocks = 1000;

/** False for offsets such as "+02:00": they have no rules, and not every Node takes them. */
export function isTimeZone(timeZone: string): boolean {
  return findClock(timeZone) !== undefined;
}

function findClock(timeZone: string): Intl.DateTimeFormat | undefined {
  const known = clocks.get(timeZone);
  if (known) return known;
  if (!/^[A-Za-z]/.test(timeZone)) return undefined;
  const clock = makeClock(timeZone);
  if (clock === undefined) return undefined;
  if (clocks.size === mostClocks) clocks.clear();
  clocks.set(timeZone, clock);
  return clock;
}

function makeClock(timeZone: string): Intl.DateTimeFormat | undefined {
  try {
    return new Intl.DateTimeFormat('en-u-ca-iso8601-nu-latn', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch {
    return undefined;
  }
}

function clockOf(timeZone: string): Intl.DateTimeFormat {
  const clock = findClock(timeZone);
  if (clock) return clock;
  throw new LifeboatError(
    'InvalidRequest',
    `timeZone "${timeZone}" is not a name of the IANA time zone database, such as "Europe/Berlin" or "UTC".`,
    { target: 'timeZone' },
  );
}

/** What the clock in `timeZone` shows at the instant `atMs`. Throws `InvalidRequest` for an unknown zone. */
export function localMsAt(timeZone: string, atMs: number): LocalMs {
  const face: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
  for (const { type, value } of clockOf(timeZone).formatToParts(atMs)) face[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = face;
  const withinSecondMs = ((atMs % secondMs) + secondMs) % secondMs;
  return Date.UTC(year, month - 1, day, hour, minute, second) + withinSecondMs;
}

/** First whole second in (fromMs, toMs] at which the offset is no longer `offsetMs`; there is one change in the range. */
function transitionBetween(timeZone: string, fromMs: number, toMs: number, offsetMs: number): number {
  let before = Math.floor(fromMs / secondMs);
  let after = Math.ceil(toMs / secondMs);
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    const at = middle * secondMs;
    if (localMsAt(timeZone, at) - at === offsetMs) before = middle;
    else after = middle;
  }
  return after * secondMs;
}

/**
 * The first instant at which the clock shows `local` or later. So a time that the clock skips (spring forward) is the
 * moment of the skip, and of a time that it shows twice (fall back) the first is taken. Never decreases as `local` grows,
 * which is what keeps windows in order on every day. Relies on a zone changing its offset at most once in 28 hours.
 */
export function firstMomentOf(timeZone: string, local: LocalMs): number {
  const earliest = local - mostAheadMs;
  const latest = local + mostBehindMs;
  const offsetBefore = localMsAt(timeZone, earliest) - earliest;
  const offsetAfter = localMsAt(timeZone, latest) - latest;
  if (offsetBefore === offsetAfter) return local - offsetBefore;
  const transition = transitionBetween(timeZone, earliest, latest, offsetBefore);
  if (local - offsetBefore < transition) return local - offsetBefore;
  return Math.max(transition, local - offsetAfter);
}

/** Midnight of the local date that the clock shows. */
export const dateOf = (local: LocalMs): LocalMs => Math.floor(local / dayMs) * dayMs;
