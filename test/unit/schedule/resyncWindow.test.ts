import { describe, expect, it } from 'vitest';
import {
  closingOf,
  defaultResyncWindow,
  isInWindow,
  nextOpening,
  resyncWindow,
  type ResyncWindow,
} from '../../../lib/schedule/resyncWindow.ts';

const windowOf = (start: string, end: string, timeZone: string): ResyncWindow => ({
  start,
  end,
  timeZone,
  pauseAtEnd: true,
});

/** The opening from `at` on, as instants. */
function opening(window: ResyncWindow, at: string): [string, string | undefined] {
  return [nextOpening(window, new Date(at)).toISOString(), closingOf(window, new Date(at))?.toISOString()];
}

describe('the window on an ordinary day', () => {
  const berlin = windowOf('18:30', '06:00', 'Europe/Berlin');

  it.each([
    ['2026-11-24T17:29:59.999Z', false],
    ['2026-11-24T17:30:00.000Z', true],
    ['2026-11-24T23:30:00.000Z', true],
    ['2026-11-25T04:59:59.999Z', true],
    ['2026-11-25T05:00:00.000Z', false],
  ])('crosses midnight: at %s open is %s', (at, open) => {
    expect(isInWindow(berlin, new Date(at))).toBe(open);
  });

  it('names its opening and its closing from inside and from outside', () => {
    const closing = '2026-11-25T05:00:00.000Z';
    expect(opening(berlin, '2026-11-24T12:00:00.000Z')).toEqual(['2026-11-24T17:30:00.000Z', closing]);
    expect(opening(berlin, '2026-11-24T22:00:00.000Z')).toEqual(['2026-11-24T22:00:00.000Z', closing]);
    expect(opening(berlin, closing)).toEqual(['2026-11-25T17:30:00.000Z', '2026-11-26T05:00:00.000Z']);
  });

  it('may lie within one day', () => {
    const day = windowOf('09:00', '10:15', 'UTC');
    expect(opening(day, '2026-01-01T10:15:00.000Z')).toEqual([
      '2026-01-02T09:00:00.000Z',
      '2026-01-02T10:15:00.000Z',
    ]);
  });

  it('has zones of 45 and 30 minutes', () => {
    expect(opening(windowOf('18:30', '06:00', 'Asia/Kathmandu'), '2026-03-01T06:00:00.000Z')).toEqual([
      '2026-03-01T12:45:00.000Z',
      '2026-03-02T00:15:00.000Z',
    ]);
    expect(opening(windowOf('00:00', '01:00', 'Australia/Adelaide'), '2026-07-01T00:00:00.000Z')).toEqual([
      '2026-07-01T14:30:00.000Z',
      '2026-07-01T15:30:00.000Z',
    ]);
  });

  it('is always open when start equals end', () => {
    const always = windowOf('12:00', '12:00', 'Asia/Tokyo');
    for (const at of ['2026-01-01T02:59:59.999Z', '2026-01-01T03:00:00.000Z', '2026-01-01T15:00:00.000Z'])
      expect([isInWindow(always, new Date(at)), ...opening(always, at)]).toEqual([true, at, undefined]);
  });
});

describe('the window when the clock changes', () => {
  it('is an hour shorter in the night of spring forward, an hour longer in that of fall back', () => {
    const berlin = windowOf('18:30', '06:00', 'Europe/Berlin');
    expect(opening(berlin, '2026-03-28T12:00:00.000Z')).toEqual([
      '2026-03-28T17:30:00.000Z',
      '2026-03-29T04:00:00.000Z',
    ]);
    expect(opening(berlin, '2026-10-24T12:00:00.000Z')).toEqual([
      '2026-10-24T16:30:00.000Z',
      '2026-10-25T05:00:00.000Z',
    ]);
  });

  it('opens and closes at the skip when its time is skipped', () => {
    // 02:00 becomes 03:00 at 01:00Z.
    const skip = '2026-03-29T01:00:00.000Z';
    expect(opening(windowOf('02:30', '04:00', 'Europe/Berlin'), '2026-03-28T22:00:00.000Z')).toEqual([
      skip,
      '2026-03-29T02:00:00.000Z',
    ]);
    expect(opening(windowOf('01:00', '02:30', 'Europe/Berlin'), '2026-03-28T22:00:00.000Z')).toEqual([
      '2026-03-29T00:00:00.000Z',
      skip,
    ]);
  });

  it('does not open on a day that skips all of it', () => {
    const skipped = windowOf('02:00', '03:00', 'Europe/Berlin');
    expect(isInWindow(skipped, new Date('2026-03-29T01:00:00.000Z'))).toBe(false);
    expect(opening(skipped, '2026-03-28T22:00:00.000Z')).toEqual([
      '2026-03-30T00:00:00.000Z',
      '2026-03-30T01:00:00.000Z',
    ]);
  });

  it('opens and closes once when its time is shown twice', () => {
    // 03:00 becomes 02:00 at 01:00Z: 02:30 is at 00:30Z and at 01:30Z.
    expect(opening(windowOf('02:30', '04:00', 'Europe/Berlin'), '2026-10-24T22:00:00.000Z')).toEqual([
      '2026-10-25T00:30:00.000Z',
      '2026-10-25T03:00:00.000Z',
    ]);
    const closes = windowOf('20:00', '02:30', 'Europe/Berlin');
    expect(closingOf(closes, new Date('2026-10-24T22:00:00.000Z'))?.toISOString()).toBe(
      '2026-10-25T00:30:00.000Z',
    );
    expect(isInWindow(closes, new Date('2026-10-25T01:15:00.000Z'))).toBe(false);
  });

  it('follows a change of half an hour', () => {
    // Lord Howe: +10:30 becomes +11:00 at 02:00 on 4 October, and back at 02:00 on 5 April.
    const night = windowOf('22:00', '05:00', 'Australia/Lord_Howe');
    expect(opening(night, '2026-10-03T10:00:00.000Z')).toEqual([
      '2026-10-03T11:30:00.000Z',
      '2026-10-03T18:00:00.000Z',
    ]);
    expect(opening(night, '2026-04-04T10:00:00.000Z')).toEqual([
      '2026-04-04T11:00:00.000Z',
      '2026-04-04T18:30:00.000Z',
    ]);
  });

  it('follows a change at midnight', () => {
    // Cairo: 00:00 on 24 April becomes 01:00 (22:00Z); Santiago: 24:00 on 4 April becomes 23:00 (03:00Z).
    expect(opening(windowOf('00:00', '02:00', 'Africa/Cairo'), '2026-04-23T20:00:00.000Z')).toEqual([
      '2026-04-23T22:00:00.000Z',
      '2026-04-23T23:00:00.000Z',
    ]);
    expect(opening(windowOf('23:30', '00:30', 'America/Santiago'), '2026-04-04T22:00:00.000Z')).toEqual([
      '2026-04-05T02:30:00.000Z',
      '2026-04-05T04:30:00.000Z',
    ]);
  });

  it('is one opening where the clock skips the time between two', () => {
    const nearlyAlways = windowOf('00:45', '00:15', 'Africa/Cairo');
    expect(opening(nearlyAlways, '2026-04-23T12:00:00.000Z')[1]).toBe('2026-04-24T21:15:00.000Z');
    expect(isInWindow(nearlyAlways, new Date('2026-04-23T22:00:00.000Z'))).toBe(true);
  });

  it('goes on through a date that a zone left out', () => {
    // Samoa went from 29 to 31 December 2011 at 10:00Z.
    expect(opening(windowOf('18:30', '06:00', 'Pacific/Apia'), '2011-12-30T05:00:00.000Z')).toEqual([
      '2011-12-30T05:00:00.000Z',
      '2011-12-30T16:00:00.000Z',
    ]);
  });
});

describe('the schema', () => {
  it('has the default 18:30 to 06:00 and pauses at the end', () => {
    expect(defaultResyncWindow).toEqual(windowOf('18:30', '06:00', 'UTC'));
    expect(resyncWindow.parse({ timeZone: 'Europe/Berlin' })).toEqual(
      windowOf('18:30', '06:00', 'Europe/Berlin'),
    );
  });

  it.each([
    ['start', '24:00', '"24:00" is not a time of day "HH:mm" from 00:00 to 23:59'],
    ['start', '6:00', '"6:00" is not a time of day "HH:mm" from 00:00 to 23:59'],
    ['end', '06:00:00', '"06:00:00" is not a time of day "HH:mm" from 00:00 to 23:59'],
    [
      'timeZone',
      'Mars/Olympus',
      '"Mars/Olympus" is not a name of the IANA time zone database, such as "Europe/Berlin" or "UTC"',
    ],
    [
      'timeZone',
      '+02:00',
      '"+02:00" is not a name of the IANA time zone database, such as "Europe/Berlin" or "UTC"',
    ],
  ])('names the bad field: %s %s', (field, value, message) => {
    const issues = resyncWindow.safeParse({ [field]: value }).error?.issues;
    expect(issues?.map((issue) => [issue.path, issue.message])).toEqual([[[field], message]]);
  });
});
