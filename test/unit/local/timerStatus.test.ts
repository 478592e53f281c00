// What a start makes of the status that an earlier host left.
import { expect, it } from 'vitest';
import { parseSchedule } from '../../../local/timer/ncrontab.ts';
import { judgeStatus, toStatusJson } from '../../../local/timer/timerStatus.ts';

const schedule = parseSchedule('0 0 * * * *');
const at = (time: string): Date => new Date(`2026-11-24T${time}Z`);

it('a first start records the next occurrence and misses none', () => {
  expect(judgeStatus(undefined, schedule, at('10:30:00'))).toEqual({
    status: { next: at('11:00:00'), lastUpdated: at('10:30:00') },
    isPastDue: false,
  });
});

it('an occurrence that nobody ran is past due', () => {
  const found = { last: at('09:00:00'), next: at('10:00:00'), lastUpdated: at('09:00:00') };
  expect(judgeStatus(found, schedule, at('12:30:00'))).toEqual({ status: found, isPastDue: true });
  expect(judgeStatus(found, schedule, at('09:59:00'))).toEqual({ status: found, isPastDue: false });
});

it('before the first run the time of the record counts', () => {
  const found = { next: at('10:00:00'), lastUpdated: at('09:10:00') };
  expect(judgeStatus(found, schedule, at('10:00:01')).isPastDue).toBe(true);
});

it('a changed schedule misses nothing', () => {
  const found = { last: at('09:00:00'), next: at('09:05:00'), lastUpdated: at('09:00:00') };
  expect(judgeStatus(found, schedule, at('12:30:00'))).toEqual({
    status: { last: at('09:00:00'), next: at('13:00:00'), lastUpdated: at('12:30:00') },
    isPastDue: false,
  });
});

it('is written as .NET writes it', () => {
  expect(toStatusJson({ next: at('11:00:00'), lastUpdated: at('10:30:00') })).toEqual({
    Last: '0001-01-01T00:00:00',
    Next: '2026-11-24T11:00:00.000+00:00',
    LastUpdated: '2026-11-24T10:30:00.000+00:00',
  });
});
