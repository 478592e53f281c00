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

const clocks = new Map<string, Intl.DateTimeFormat>();
/** Names that were found right: asking Intl takes longer than reading the policy that holds the name. */
const knownZones = new Set<string>();
/** More than there are; their spellings, which are as many as anyone likes, are not kept beyond that. */
const mostKnownZones = 1000;

/** False for offsets such as "+02:00": they have no rules, and not every Node takes them. */
export function isTimeZone(timeZone: string): boolean {
  if (knownZones.has(timeZone)) return true;
  if (!/^[A-Za-z]/.test(timeZone)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    if (knownZones.size < mostKnownZones) knownZones.add(timeZone);
    return true;
  } catch {
    return false;
  }
}

function clockOf(timeZone: string): Intl.DateTimeFormat {
  const known = clocks.get(timeZone);
  if (known) return known;
  if (!isTimeZone(timeZone))
    throw new LifeboatError(
      'InvalidRequest',
      `timeZone "${timeZone}" is not a name of the IANA time zone database, such as "Europe/Berlin" or "UTC".`,
      { target: 'timeZone' },
    );
  const clock = new Intl.DateTimeFormat('en-u-ca-iso8601-nu-latn', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  clocks.set(timeZone, clock);
  return clock;
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
