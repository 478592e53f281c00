import { describe, expect, it } from 'vitest';
import type { HourBucket } from '../../../lib/rpo/bucket.ts';
import { rollUpDays } from '../../../lib/rpo/days.ts';
import { downSample, rpoChart } from '../../../lib/rpo/chart.ts';
import { foldCycle, foldFailure, foldTime, startSeries, type RpoSeries } from '../../../lib/rpo/series.ts';
import { monitoringStart, replicationStatistics } from '../../../lib/rpo/statistics.ts';

const minute = 60_000;
const intervalSeconds = 300;
const begin = Date.parse('2026-11-24T00:00:00.000Z');

/** A day with a cycle every 5 minutes, recorded after 30 seconds, and an outage from 06:00 to 09:00. */
function dayWithOutage(): { series: RpoSeries; closed: HourBucket[] } {
  let series = startSeries(new Date(begin));
  const closed: HourBucket[] = [];
  const take = (folded: { series: RpoSeries; closed: HourBucket[] }): void => {
    series = folded.series;
    closed.push(...folded.closed);
  };
  for (let minutes = 0; minutes < 24 * 60; minutes += 5) {
    const takenMs = begin + minutes * minute;
    if (minutes >= 6 * 60 && minutes < 9 * 60) {
      if (minutes % 30 === 0) take(foldFailure(series, 'network', new Date(takenMs), intervalSeconds));
      continue;
    }
    const sample = {
      takenAt: new Date(takenMs).toISOString(),
      uploadedAt: new Date(takenMs + 10_000).toISOString(),
      recordedAt: new Date(takenMs + 30_000).toISOString(),
      bytes: minutes === 600 ? 1_000_000 : 1000,
      entryCount: 4,
    };
    take(foldCycle(series, sample, intervalSeconds));
  }
  return { series, closed };
}

describe('statistics', () => {
  const { series, closed } = dayWithOutage();
  const now = new Date(begin + 24 * 60 * minute - 1);

  it('are those of the monitoring interval', () => {
    const found = replicationStatistics(series, closed, { now, intervalSeconds, monitoringHours: 24 });
    expect(found).toMatchObject({
      from: '2026-11-24T00:00:00.000Z',
      to: now.toISOString(),
      successfulCycles: 252,
      expectedCycles: 287,
      missedCycles: 35,
      bytes: 251_000 + 1_000_000,
      averageBytes: 1_251_000 / 252,
      maxBytes: 1_000_000,
      averageLatencyMs: 30_000,
      maxLatencyMs: 30_000,
      averageTransferMs: 10_000,
      networkFailures: 6,
      replicationFailures: 0,
      appConsistentFailures: 0,
    });
    expect(found.missedPercent).toBeCloseTo((100 * 35) / 287);
    // The last point before the outage was taken at 05:55, the first after it is recorded at 09:00:30.
    expect(found.rpo?.maxMs).toBe(185.5 * minute);
  });

  it('leave out what is older', () => {
    const found = replicationStatistics(series, closed, { now, intervalSeconds });
    expect(monitoringStart({ now, intervalSeconds }).toISOString()).toBe('2026-11-24T11:00:00.000Z');
    expect(found).toMatchObject({
      from: '2026-11-24T11:00:00.000Z',
      successfulCycles: 156,
      expectedCycles: 155,
      missedCycles: 0,
      missedPercent: 0,
      maxBytes: 1000,
      networkFailures: 0,
    });
  });

  it('begin with the series, and miss nothing before the first cycle could be there', () => {
    const young = startSeries(new Date('2026-11-24T10:59:00.000Z'));
    const statistics = (time: string) => {
      const moment = new Date(`2026-11-24T${time}.000Z`);
      const lived = foldTime(young, moment, intervalSeconds);
      return replicationStatistics(lived.series, lived.closed, { now: moment, intervalSeconds });
    };
    expect(statistics('11:04:59')).toMatchObject({
      from: '2026-11-24T10:59:00.000Z',
      expectedCycles: 0,
      missedPercent: 0,
      averageBytes: null,
      averageLatencyMs: null,
      averageTransferMs: null,
      rpo: null,
    });
    expect(statistics('11:05:01')).toMatchObject({ expectedCycles: 1, missedCycles: 1, missedPercent: 100 });
  });

  it('roll up into the day', () => {
    const [day, ...others] = rollUpDays([...closed, series.current].reverse());
    expect(others).toEqual([]);
    expect(day).toMatchObject({ day: '2026-11-24', cycles: 252, missedCycles: 36, bytes: 1_251_000 });
    expect(day?.rpo).toMatchObject({ maxMs: 185.5 * minute, lastMs: 0.5 * minute });
  });

  it('show the outage in a chart of six points', () => {
    const points = downSample(rpoChart(closed), 6);
    expect(points).toHaveLength(6);
    expect(Math.max(...points.map(({ max }) => max))).toBe(185.5 * minute);
    expect(points[0]).toMatchObject({ at: '2026-11-24T00:00:00.000Z', min: 0.5 * minute, max: 5.5 * minute });
  });
});

it('a chart leaves out what has no recovery point yet, and is not thinned out when it is short', () => {
  const { closed } = foldTime(startSeries(new Date(begin)), new Date(begin + 180 * minute), intervalSeconds);
  expect(closed).toHaveLength(3);
  expect(rpoChart(closed)).toEqual([]);
  const points = [1, 2, 3].map((hour) => ({
    at: new Date(begin + hour * 60 * minute).toISOString(),
    min: hour,
    max: hour,
    mean: hour,
    weight: 1,
  }));
  expect(downSample(points, 3)).toEqual(points);
  expect(downSample(points, 1)).toEqual([{ at: points[0]?.at, min: 1, max: 3, mean: 2, weight: 3 }]);
  expect(() => downSample(points, 0)).toThrow('Invariant broken: a chart has at least one point');
});
