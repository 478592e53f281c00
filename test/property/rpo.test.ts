// The series against a plain list of what happened, read minute by minute.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HourBucket } from '../../lib/rpo/bucket.ts';
import { downSample, type ChartPoint } from '../../lib/rpo/chart.ts';
import { rollUpDays } from '../../lib/rpo/days.ts';
import { foldCycle, foldTime, startSeries, type CycleSample, type RpoSeries } from '../../lib/rpo/series.ts';

const minuteMs = 60_000;
const begin = Date.parse('2026-11-24T08:17:00.000Z');
const intervalSeconds = 300;
const iso = (minutes: number): string => new Date(begin + minutes * minuteMs).toISOString();

interface Event {
  recordedMinute: number;
  takenMinute: number;
  bytes: number;
}

const sampleOf = ({ recordedMinute, takenMinute, bytes }: Event): CycleSample => ({
  recordedAt: iso(recordedMinute),
  takenAt: iso(takenMinute),
  bytes,
  entryCount: bytes % 7,
});

/** Cycles in the order of their recording, on whole minutes, with gaps of up to ten hours; latencies of up to half an hour. */
const arbitraryEvents = fc
  .array(
    fc.record({
      pause: fc.oneof({ weight: 5, arbitrary: fc.nat(15) }, { weight: 1, arbitrary: fc.nat(600) }),
      latency: fc.integer({ min: -5, max: 30 }),
      bytes: fc.nat(1_000_000),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((steps) => {
    let minutes = 0;
    return steps.map(({ pause, latency, bytes }): Event => {
      minutes += pause;
      return { recordedMinute: minutes, takenMinute: minutes - latency, bytes };
    });
  });

function live(
  events: readonly Event[],
  ticks: readonly number[] = [],
): { series: RpoSeries; closed: HourBucket[] } {
  let series = startSeries(new Date(begin));
  const closed: HourBucket[] = [];
  const due = [...ticks].sort((a, b) => a - b);
  const take = (folded: { series: RpoSeries; closed: HourBucket[] }): void => {
    series = folded.series;
    closed.push(...folded.closed);
  };
  const tickUntil = (minute: number): void => {
    while (due[0] !== undefined && due[0] <= minute)
      take(foldTime(series, new Date(iso(due.shift() ?? 0)), intervalSeconds));
  };
  for (const event of events) {
    tickUntil(event.recordedMinute);
    take(foldCycle(series, sampleOf(event), intervalSeconds));
  }
  tickUntil(Infinity);
  return { series, closed };
}

/** A point cannot show a later moment than that of its recording. */
const newestOf = (events: readonly Event[]): number =>
  Math.max(...events.map(({ takenMinute, recordedMinute }) => Math.min(takenMinute, recordedMinute)));

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

describe('the series', () => {
  it('loses nothing, in whatever order the cycles come, and closes each hour once', () => {
    fc.assert(
      fc.property(
        arbitraryEvents.chain((events) => fc.shuffledSubarray(events, { minLength: events.length })),
        (events) => {
          const { series, closed } = live(events);
          const all = [...closed, series.current];
          expect(sum(all.map(({ cycles }) => cycles))).toBe(events.length);
          expect(sum(all.map(({ bytes }) => bytes))).toBe(sum(events.map(({ bytes }) => bytes)));
          expect(sum(all.map(({ entries }) => entries))).toBe(sum(events.map(({ bytes }) => bytes % 7)));
          expect(Math.max(...all.map(({ maxBytes }) => maxBytes))).toBe(
            Math.max(...events.map(({ bytes }) => bytes)),
          );
          const first = Date.parse('2026-11-24T08:00:00.000Z');
          expect(all.map(({ hour }) => Date.parse(hour))).toEqual(
            all.map((_unused, index) => first + index * 60 * minuteMs),
          );
          expect(series.newestTakenAt).toBe(iso(newestOf(events)));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('has the RPO of a clock that is read every minute', () => {
    fc.assert(
      fc.property(arbitraryEvents, (events) => {
        const { closed } = live(events);
        for (const { hour, rpo, cycles, missedCycles } of closed) {
          const from = (Date.parse(hour) - begin) / minuteMs;
          const ages: number[] = [];
          for (let minute = from; minute < from + 60; minute++) {
            const points = events.filter(({ recordedMinute }) => recordedMinute <= minute);
            if (points.length > 0) ages.push(minute - newestOf(points));
          }
          if (ages.length === 0) {
            expect(rpo).toBeNull();
            continue;
          }
          const recordedHere = events.filter(
            ({ recordedMinute }) => recordedMinute >= from && recordedMinute < from + 60,
          );
          expect(cycles).toBe(recordedHere.length);
          const expected = Date.parse(hour) < begin ? 8 : 12;
          expect(missedCycles).toBe(Math.max(0, expected - recordedHere.length));
          // Within a minute the RPO grows by one; the peak before a cycle is the end of the minute before it.
          const lastMinutes = (ages.at(-1) ?? NaN) + 1;
          expect(rpo?.lastMs).toBe(lastMinutes * minuteMs);
          // Right after each cycle too: of two in the same minute the first may have been an old one.
          const afterCycles = recordedHere.map(
            (event) => event.recordedMinute - newestOf(events.slice(0, events.indexOf(event) + 1)),
          );
          expect(rpo?.maxMs).toBe(Math.max(...ages.map((age) => age + 1), ...afterCycles) * minuteMs);
          expect(rpo?.minMs).toBe(Math.min(...ages, ...afterCycles) * minuteMs);
          expect(rpo?.measuredMs).toBe(ages.length * minuteMs);
          expect((rpo?.meanMs ?? NaN) / minuteMs).toBeCloseTo(sum(ages) / ages.length + 0.5, 6);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('is the same however often the timer ticks', () => {
    fc.assert(
      fc.property(arbitraryEvents, fc.array(fc.nat(3000), { maxLength: 60 }), (events, ticks) => {
        const end = Math.max(3000, ...events.map(({ recordedMinute }) => recordedMinute));
        const ticked = live(events, [...ticks, end]);
        const plain = live(events, [end]);
        const withoutMean = ({ rpo, ...counts }: HourBucket) => ({
          ...counts,
          rpo: rpo && { ...rpo, meanMs: 0 },
        });
        const hoursOf = ({ series, closed }: ReturnType<typeof live>) => [...closed, series.current];
        expect(hoursOf(ticked).map(withoutMean)).toEqual(hoursOf(plain).map(withoutMean));
        hoursOf(ticked).forEach(({ rpo }, index) =>
          expect(rpo?.meanMs ?? 0).toBeCloseTo(hoursOf(plain)[index]?.rpo?.meanMs ?? 0, 3),
        );
      }),
      { numRuns: 300 },
    );
  });

  it('rolls up into days that have the same totals', () => {
    fc.assert(
      fc.property(arbitraryEvents, (events) => {
        const { series, closed } = live(events);
        const hours = [...closed, series.current];
        const days = rollUpDays(hours);
        expect(new Set(days.map(({ day }) => day))).toEqual(
          new Set(hours.map(({ hour }) => hour.slice(0, 10))),
        );
        for (const field of ['cycles', 'missedCycles', 'bytes', 'entries', 'latencySumMs'] as const)
          expect(sum(days.map((day) => day[field]))).toBe(sum(hours.map((hour) => hour[field])));
        expect(days.at(-1)?.rpo?.lastMs).toBe(hours.at(-1)?.rpo?.lastMs);
        expect(Math.max(...days.map(({ rpo }) => rpo?.maxMs ?? 0))).toBe(
          Math.max(...hours.map(({ rpo }) => rpo?.maxMs ?? 0)),
        );
      }),
      { numRuns: 200 },
    );
  });
});

describe('downSample', () => {
  const arbitraryPoints = fc.array(
    fc
      .record({
        minute: fc.nat(100_000),
        min: fc.nat(1000),
        more: fc.nat(1000),
        weight: fc.integer({ min: 1, max: 3600 }),
      })
      .map(({ minute, min, more, weight }): ChartPoint => ({
        at: iso(minute),
        min,
        max: min + more,
        mean: min + more / 3,
        weight,
      })),
    { minLength: 1, maxLength: 300 },
  );

  it('keeps minimum, maximum and mean in at most that many points', () => {
    fc.assert(
      fc.property(arbitraryPoints, fc.integer({ min: 1, max: 100 }), (points, most) => {
        const found = downSample(points, most);
        expect(found.length).toBeLessThanOrEqual(most);
        expect(Math.min(...found.map(({ min }) => min))).toBe(Math.min(...points.map(({ min }) => min)));
        expect(Math.max(...found.map(({ max }) => max))).toBe(Math.max(...points.map(({ max }) => max)));
        const area = (some: readonly ChartPoint[]): number =>
          sum(some.map(({ mean, weight }) => mean * weight));
        expect(sum(found.map(({ weight }) => weight))).toBe(sum(points.map(({ weight }) => weight)));
        expect(area(found) / area(points) || 1).toBeCloseTo(1, 9);
        const times = found.map(({ at }) => Date.parse(at));
        expect(times).toEqual([...times].sort((a, b) => a - b));
        for (const { min, mean, max } of found) {
          expect(mean).toBeGreaterThanOrEqual(min - 1e-9);
          expect(mean).toBeLessThanOrEqual(max + 1e-9);
        }
      }),
      { numRuns: 300 },
    );
  });
});
