// NCRONTAB, the schedule language of timer triggers, computed by croner where the two agree.
// What croner reads differently is translated or refused: day-of-month AND day-of-week (croner's default is OR),
// a reversed range `22-5` is swapped to `5-22`, `5/15` means from 5 on every 15, weekdays are 0–6 only.
import { Cron } from 'croner';
import { parseTimeSpanMs } from '../settings/timeSpan.ts';

interface Field {
  name: string;
  minimum: number;
  maximum: number;
  names: readonly string[];
}

const months = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const weekdays = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

const fields: readonly Field[] = [
  { name: 'second', minimum: 0, maximum: 59, names: [] },
  { name: 'minute', minimum: 0, maximum: 59, names: [] },
  { name: 'hour', minimum: 0, maximum: 23, names: [] },
  { name: 'day of month', minimum: 1, maximum: 31, names: [] },
  { name: 'month', minimum: 1, maximum: 12, names: months },
  { name: 'day of week', minimum: 0, maximum: 6, names: weekdays },
];

export class Schedule {
  readonly #cron: Cron;

  /** Use parseSchedule. */
  constructor(cron: Cron) {
    this.#cron = cron;
  }

  /** First occurrence strictly after `after`; undefined when there is none (30 February). */
  next(after: Date): Date | undefined {
    return this.#cron.nextRun(after) ?? undefined;
  }

  /** True when the schedule fires at least twice within a minute, looking at its next occurrences. */
  isMoreOftenThanEachMinute(from: Date): boolean {
    let earlier = this.next(from);
    for (let count = 0; count < 5 && earlier !== undefined; count++) {
      const later = this.next(earlier);
      if (later !== undefined && later.getTime() - earlier.getTime() < 60_000) return true;
      earlier = later;
    }
    return false;
  }
}

/** Parses five fields (from the minute on) or six; throws Error that names the field. `timeZone` is an IANA name. */
export function parseSchedule(expression: string, timeZone = 'UTC'): Schedule {
  if (parseTimeSpanMs(expression) !== undefined) {
    throw new Error(
      `"${expression}" is a time span, which Azure takes as a schedule on App Service plans only. ` +
        'Write it as NCRONTAB: "0 */5 * * * *" is every five minutes.',
    );
  }
  const parts = expression.trim().split(/\s+/);
  if (parts.length === 5) parts.unshift('0');
  if (parts.length !== 6) {
    throw new Error(
      `"${expression}" is not a schedule: NCRONTAB has six fields, {second} {minute} {hour} {day} {month} {day of week}.`,
    );
  }
  const normalized = fields.map((field, index) => normalizeField(field, parts[index] ?? '', expression));
  return new Schedule(
    new Cron(normalized.join(' '), { mode: '6-part', domAndDow: true, timezone: timeZone, paused: true }),
  );
}

function normalizeField(field: Field, text: string, expression: string): string {
  return text
    .split(',')
    .map((item) => {
      const normalized = normalizeItem(field, item);
      if (normalized !== undefined) return normalized;
      throw new Error(
        `"${item}" is not valid as the ${field.name} (${field.minimum}–${field.maximum}) of the schedule "${expression}".`,
      );
    })
    .join(',');
}

function normalizeItem(field: Field, item: string): string | undefined {
  const [range = '', stepText, ...more] = item.split('/');
  const step = stepText === undefined ? 1 : toNumber(stepText);
  if (more.length > 0 || step === undefined || step < 1) return undefined;
  const bounds = toBounds(field, range, stepText !== undefined);
  if (bounds === undefined) return undefined;
  const [start, end] = bounds;
  if (start === end) return String(start);
  if (step === 1) return start === field.minimum && end === field.maximum ? '*' : `${start}-${end}`;
  // A list is free of every disagreement on what a step counts from.
  const values: number[] = [];
  for (let value = start; value <= end; value += step) values.push(value);
  return values.join(',');
}

/** First and last value of `*`, `a`, `a-b`; a lone `a` before a step runs to the field's end. */
function toBounds(field: Field, range: string, hasStep: boolean): [number, number] | undefined {
  if (range === '*' || range === '?') return range === '*' ? [field.minimum, field.maximum] : undefined;
  const [startText = '', endText, ...more] = range.split('-');
  const start = toValue(field, startText);
  if (more.length > 0 || start === undefined) return undefined;
  if (endText === undefined) return [start, hasStep ? field.maximum : start];
  const end = toValue(field, endText);
  if (end === undefined) return undefined;
  return start <= end ? [start, end] : [end, start];
}

function toValue(field: Field, text: string): number | undefined {
  const named = text.length >= 3 ? field.names.findIndex((name) => text.toUpperCase().startsWith(name)) : -1;
  const value = named >= 0 ? named + field.minimum : toNumber(text);
  return value !== undefined && value >= field.minimum && value <= field.maximum ? value : undefined;
}

function toNumber(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : undefined;
}
