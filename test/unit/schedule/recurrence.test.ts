import { describe, expect, it } from 'vitest';
import { isOccurrenceDue, nextDaily, nextOccurrence, recurrence } from '../../../lib/schedule/recurrence.ts';

const daily = (time: string, zone: string, after: string): string =>
  nextDaily(time, zone, new Date(after)).toISOString();

describe('nextDaily', () => {
  it('is today when the time is still to come, else tomorrow, and strictly after', () => {
    expect(daily('13:30:00', 'Europe/Berlin', '2026-11-24T12:29:59.999Z')).toBe('2026-11-24T12:30:00.000Z');
    expect(daily('13:30:00', 'Europe/Berlin', '2026-11-24T12:30:00.000Z')).toBe('2026-11-25T12:30:00.000Z');
    expect(daily('13:30:15', 'UTC', '2026-11-24T13:30:00.000Z')).toBe('2026-11-24T13:30:15.000Z');
  });

  it('asks the local date, not the one in UTC', () => {
    expect(daily('01:00', 'Pacific/Kiritimati', '2026-11-24T11:30:00.000Z')).toBe('2026-11-25T11:00:00.000Z');
    expect(daily('23:00', 'Pacific/Pago_Pago', '2026-11-24T09:00:00.000Z')).toBe('2026-11-24T10:00:00.000Z');
  });

  it('comes once on the days of a change', () => {
    expect(daily('02:30', 'America/New_York', '2026-03-08T05:00:00.000Z')).toBe('2026-03-08T07:00:00.000Z');
    expect(daily('02:30', 'America/New_York', '2026-03-08T07:00:00.000Z')).toBe('2026-03-09T06:30:00.000Z');
    expect(daily('01:30', 'America/New_York', '2026-11-01T04:00:00.000Z')).toBe('2026-11-01T05:30:00.000Z');
    expect(daily('01:30', 'America/New_York', '2026-11-01T05:30:00.000Z')).toBe('2026-11-02T06:30:00.000Z');
  });

  it('says which field is wrong', () => {
    expect(() => daily('25:00:00', 'UTC', '2026-01-01T00:00:00.000Z')).toThrow(
      /"25:00:00" is not a time of day/,
    );
    expect(() => daily('13:30', 'Berlin', '2026-01-01T00:00:00.000Z')).toThrow(/timeZone "Berlin"/);
  });
});

describe('a recurrence', () => {
  const weekly = recurrence.parse({
    every: 'week',
    weekday: 'Sunday',
    at: '02:30',
    timeZone: 'Europe/Berlin',
  });

  it('comes on its weekday by the local calendar', () => {
    expect(nextOccurrence(weekly, new Date('2026-11-24T00:00:00.000Z')).toISOString()).toBe(
      '2026-11-29T01:30:00.000Z',
    );
    expect(nextOccurrence(weekly, new Date('2026-11-29T01:30:00.000Z')).toISOString()).toBe(
      '2026-12-06T01:30:00.000Z',
    );
  });

  it('comes at the skip on a Sunday without that time', () => {
    expect(nextOccurrence(weekly, new Date('2026-03-27T00:00:00.000Z')).toISOString()).toBe(
      '2026-03-29T01:00:00.000Z',
    );
  });

  it('is due once, however many occurrences were missed', () => {
    const lastBegun = new Date('2026-11-01T03:00:00.000Z');
    expect(isOccurrenceDue(weekly, lastBegun, new Date('2026-11-08T01:29:59.999Z'))).toBe(false);
    const late = new Date('2026-11-24T10:00:00.000Z');
    expect(isOccurrenceDue(weekly, lastBegun, late)).toBe(true);
    expect(isOccurrenceDue(weekly, late, late)).toBe(false);
  });

  it('refuses a weekday on its own field', () => {
    const parsed = recurrence.safeParse({ ...weekly, weekday: 'Someday' });
    expect(parsed.error?.issues.map(({ path }) => path)).toEqual([['weekday']]);
  });
});
