// NCRONTAB schedules against examples of the specification and against a brute-force reading of the fields.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSchedule } from '../../../local/timer/ncrontab.ts';

const from = new Date('2026-11-24T10:00:00Z');

describe('parseSchedule', () => {
  // expression, next occurrence after 2026-11-24T10:00:00Z (a Tuesday)
  it.each([
    ['0 */5 * * * *', '2026-11-24T10:05:00Z'],
    ['*/5 * * * *', '2026-11-24T10:05:00Z'],
    ['30 * * * * *', '2026-11-24T10:00:30Z'],
    ['0 0 * * * *', '2026-11-24T11:00:00Z'],
    ['0 30 9 * * 1-5', '2026-11-25T09:30:00Z'],
    ['0 0 0 1 JAN *', '2027-01-01T00:00:00Z'],
    ['0 0 0 * * sunday', '2026-11-29T00:00:00Z'],
    // 5/15: from 5 on, every 15.
    ['0 5/15 * * * *', '2026-11-24T10:05:00Z'],
    ['0 50/15 * * * *', '2026-11-24T10:50:00Z'],
    // A reversed range is swapped, not wrapped: hours 5–22.
    ['0 0 22-5 * * *', '2026-11-24T11:00:00Z'],
    // Day of month AND day of week: the first Friday the 13th.
    ['0 0 0 13 * FRI', '2027-08-13T00:00:00Z'],
    ['0 0 12 29 2 *', '2028-02-29T12:00:00Z'],
    ['0 0,20-40/10 * * * *', '2026-11-24T10:20:00Z'],
  ])('%s', (expression, expected) => {
    expect(parseSchedule(expression).next(from)).toEqual(new Date(expected));
  });

  it('counts in the given time zone', () => {
    expect(parseSchedule('0 0 12 * * *', 'Europe/Berlin').next(from)).toEqual(
      new Date('2026-11-24T11:00:00Z'),
    );
  });

  it('has no occurrence for a day that does not exist', () => {
    expect(parseSchedule('0 0 0 30 2 *').next(from)).toBeUndefined();
  });

  it.each([
    ['* * * *', 'six fields'],
    ['', 'six fields'],
    ['60 * * * * *', '"60" is not valid as the second'],
    ['0 * 24 * * *', '"24" is not valid as the hour'],
    ['0 * * 0 * *', '"0" is not valid as the day of month'],
    ['0 * * * * 7', '"7" is not valid as the day of week'],
    ['0 */0 * * * *', '"*/0" is not valid as the minute'],
    ['0 1-2-3 * * * *', '"1-2-3" is not valid'],
    ['0 L * * * *', '"L" is not valid'],
    ['0 0 0 ? * *', '"?" is not valid'],
    ['00:05:00', 'a time span'],
    ['1.00:00', 'App Service plans only'],
  ])('refuses %s', (expression, message) => {
    expect(() => parseSchedule(expression)).toThrow(message);
  });

  it('knows schedules that fire more often than once a minute', () => {
    expect(parseSchedule('*/30 * * * * *').isMoreOftenThanEachMinute(from)).toBe(true);
    expect(parseSchedule('0,30 0 12 * * *').isMoreOftenThanEachMinute(from)).toBe(true);
    expect(parseSchedule('0 * * * * *').isMoreOftenThanEachMinute(from)).toBe(false);
    expect(parseSchedule('0 0 0 30 2 *').isMoreOftenThanEachMinute(from)).toBe(false);
  });
});

describe('next', () => {
  /** One field as a set of values and as a text with the same meaning. */
  const field = (minimum: number, maximum: number): fc.Arbitrary<{ text: string; values: Set<number> }> => {
    const value = fc.integer({ min: minimum, max: maximum });
    const span = (start: number, end: number, step: number): Set<number> => {
      const values = new Set<number>();
      for (let at = Math.min(start, end); at <= Math.max(start, end); at += step) values.add(at);
      return values;
    };
    return fc.oneof(
      fc.constant({ text: '*', values: span(minimum, maximum, 1) }),
      value.map((one) => ({ text: String(one), values: new Set([one]) })),
      fc.tuple(value, value).map(([a, b]) => ({ text: `${a}-${b}`, values: span(a, b, 1) })),
      fc
        .tuple(value, fc.integer({ min: 1, max: 20 }))
        .map(([a, step]) => ({ text: `${a}/${step}`, values: span(a, maximum, step) })),
      fc
        .tuple(value, value, fc.integer({ min: 1, max: 9 }))
        .map(([a, b, step]) => ({ text: `${a}-${b}/${step}`, values: span(a, b, step) })),
    );
  };

  it('is the first minute that satisfies every field', () => {
    const fields = fc.tuple(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6));
    const start = fc.date({ min: new Date('2026-01-01'), max: new Date('2027-12-31'), noInvalidDate: true });
    fc.assert(
      fc.property(fields, start, ([minute, hour, day, month, weekday], after) => {
        const text = ['0', minute, hour, day, month, weekday]
          .map((part) => (typeof part === 'string' ? part : part.text))
          .join(' ');
        const isDue = (at: Date): boolean =>
          minute.values.has(at.getUTCMinutes()) &&
          hour.values.has(at.getUTCHours()) &&
          day.values.has(at.getUTCDate()) &&
          month.values.has(at.getUTCMonth() + 1) &&
          weekday.values.has(at.getUTCDay());
        const limitMinutes = 3 * 24 * 60;
        const firstMinute = Math.floor(after.getTime() / 60_000) + 1;
        let expected: Date | undefined;
        for (let at = firstMinute; at < firstMinute + limitMinutes && expected === undefined; at++) {
          const candidate = new Date(at * 60_000);
          if (isDue(candidate)) expected = candidate;
        }
        const actual = parseSchedule(text).next(after);
        if (expected !== undefined) expect(actual).toEqual(expected);
        else if (actual !== undefined)
          expect(actual.getTime()).toBeGreaterThanOrEqual((firstMinute + limitMinutes) * 60_000);
      }),
      { numRuns: 150 },
    );
  });
});
