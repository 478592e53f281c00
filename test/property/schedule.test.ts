// Held against the slowest possible thing: a clock that is read minute by minute, and against another implementation.
import { Cron } from 'croner';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstMomentOf, localMsAt } from '../../lib/schedule/localTime.ts';
import { nextDaily } from '../../lib/schedule/recurrence.ts';
import { closingOf, isInWindow, nextOpening, type ResyncWindow } from '../../lib/schedule/resyncWindow.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const from = Date.parse('2015-01-01T00:00:00Z');
const to = Date.parse('2035-01-01T00:00:00Z');
const zones = Intl.supportedValuesOf('timeZone');

/** Instants at which some zone changes its clock, found by looking at its offset day by day and then minute by minute. */
function transitionsOf(timeZone: string, fromMs: number, toMs: number): number[] {
  const offset = (at: number): number => localMsAt(timeZone, at) - at;
  const found: number[] = [];
  for (let day = fromMs; day < toMs; day += 24 * hourMs) {
    if (offset(day) === offset(day + 24 * hourMs)) continue;
    let at = day;
    while (offset(at) === offset(day)) at += minuteMs;
    found.push(at);
  }
  return found;
}

const changing = [
  'Europe/Berlin',
  'America/New_York',
  'America/St_Johns',
  'America/Santiago',
  'America/Havana',
  'Africa/Cairo',
  'Africa/Casablanca',
  'Asia/Beirut',
  'Australia/Lord_Howe',
  'Australia/Adelaide',
  'Pacific/Chatham',
  'Antarctica/Troll',
].map((timeZone) => ({
  timeZone,
  transitions: transitionsOf(
    timeZone,
    Date.parse('2025-01-01T00:00:00Z'),
    Date.parse('2027-01-01T00:00:00Z'),
  ),
}));

/** A zone and a moment: half of the time within a day of a change of the clock. */
const arbitraryPlace = fc.oneof(
  fc.record({ timeZone: fc.constantFrom(...zones), atMs: fc.integer({ min: from, max: to }) }),
  fc
    .constantFrom(...changing)
    .chain(({ timeZone, transitions }) =>
      fc
        .tuple(fc.constantFrom(...transitions), fc.integer({ min: -26 * 60, max: 26 * 60 }))
        .map(([transition, minutes]) => ({ timeZone, atMs: transition + minutes * minuteMs })),
    ),
);
const arbitraryTime = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
  .map((parts) => parts.map((part) => String(part).padStart(2, '0')).join(':'));

describe('firstMomentOf', () => {
  it('is where a clock that is read minute by minute first shows the time or a later one', () => {
    fc.assert(
      fc.property(
        arbitraryPlace,
        fc.integer({ min: 0, max: 12 * 60 }),
        ({ timeZone, atMs }, aheadMinutes) => {
          const start = Math.floor(atMs / minuteMs) * minuteMs;
          let highest = localMsAt(timeZone, start);
          // Clocks change at whole quarters of an hour: the minute before one can show more than any after it.
          const aligned = Math.floor(start / (15 * minuteMs)) * 15 * minuteMs;
          for (let at = aligned; at >= start - 30 * hourMs; at -= 15 * minuteMs)
            highest = Math.max(highest, localMsAt(timeZone, at - minuteMs), localMsAt(timeZone, at));
          const local = highest + aheadMinutes * minuteMs;
          let first = start;
          while (localMsAt(timeZone, first) < local) first += minuteMs;
          if (aheadMinutes > 0) expect(firstMomentOf(timeZone, local)).toBe(first);
          else expect(firstMomentOf(timeZone, local)).toBeLessThanOrEqual(start);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('never decreases', () => {
    fc.assert(
      fc.property(arbitraryPlace, fc.nat(36 * 60), ({ timeZone, atMs }, minutes) => {
        const local = localMsAt(timeZone, atMs);
        expect(firstMomentOf(timeZone, local)).toBeLessThanOrEqual(
          firstMomentOf(timeZone, local + minutes * minuteMs),
        );
        expect(firstMomentOf(timeZone, local)).toBeLessThanOrEqual(atMs);
      }),
      { numRuns: 500 },
    );
  });
});

describe('nextDaily', () => {
  it('agrees with croner wherever the clock does not change', () => {
    fc.assert(
      fc.property(arbitraryPlace, arbitraryTime, ({ timeZone, atMs }, time) => {
        const offset = (at: number): number => localMsAt(timeZone, at) - at;
        fc.pre(offset(atMs - 30 * hourMs) === offset(atMs + 56 * hourMs));
        const [hours, minutes] = time.split(':').map(Number);
        const cron = new Cron(`0 ${minutes ?? 0} ${hours ?? 0} * * *`, { timezone: timeZone, paused: true });
        expect(nextDaily(time, timeZone, new Date(atMs))).toEqual(cron.nextRun(new Date(atMs)));
      }),
      { numRuns: 500 },
    );
  });

  it('comes exactly once for every local date', () => {
    fc.assert(
      fc.property(arbitraryPlace, arbitraryTime, ({ timeZone, atMs }, time) => {
        const first = nextDaily(time, timeZone, new Date(atMs));
        const second = nextDaily(time, timeZone, first);
        const hours = (second.getTime() - first.getTime()) / hourMs;
        expect(hours).toBeGreaterThanOrEqual(21);
        expect(hours).toBeLessThanOrEqual(27);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the window', () => {
  const arbitraryWindow = fc
    .tuple(arbitraryPlace, arbitraryTime, arbitraryTime)
    .map(([{ timeZone, atMs }, start, end]): { window: ResyncWindow; at: Date } => ({
      window: { start, end, timeZone, pauseAtEnd: true },
      at: new Date(atMs),
    }));

  it('is open from its opening until its closing, and closed around it', () => {
    fc.assert(
      fc.property(arbitraryWindow, ({ window, at }) => {
        const opening = nextOpening(window, at);
        const closing = closingOf(window, at);
        expect(isInWindow(window, opening)).toBe(true);
        expect(isInWindow(window, at)).toBe(opening.getTime() === at.getTime());
        if (!closing) {
          expect(window.start).toBe(window.end);
          return;
        }
        const middle = new Date((opening.getTime() + closing.getTime()) / 2);
        expect(isInWindow(window, middle)).toBe(true);
        expect(isInWindow(window, new Date(closing.getTime() - 1))).toBe(true);
        expect(isInWindow(window, closing)).toBe(false);
        expect(closingOf(window, opening)).toEqual(closing);
        if (opening > at) {
          expect(isInWindow(window, new Date(opening.getTime() - 1))).toBe(false);
          expect(isInWindow(window, new Date((at.getTime() + opening.getTime()) / 2))).toBe(false);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('agrees with the face of the clock when that does not change', () => {
    fc.assert(
      fc.property(arbitraryWindow, ({ window, at }) => {
        const offset = (ms: number): number => localMsAt(window.timeZone, ms) - ms;
        fc.pre(offset(at.getTime() - 48 * hourMs) === offset(at.getTime() + 48 * hourMs));
        const face = new Date(localMsAt(window.timeZone, at.getTime())).toISOString().slice(11, 16);
        const { start, end } = window;
        const isOpen = start < end ? face >= start && face < end : face >= start || face < end;
        expect(isInWindow(window, at)).toBe(isOpen);
      }),
      { numRuns: 500 },
    );
  });
});
