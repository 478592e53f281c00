import { describe, expect, it } from 'vitest';
import { hourBucket, rpoMsAt, type HourBucket } from '../../../lib/rpo/bucket.ts';
import { expectedCycles } from '../../../lib/rpo/expectedCycles.ts';
import {
  foldCycle,
  foldFailure,
  foldTime,
  rpoSeries,
  startSeries,
  type CycleSample,
  type RpoSeries,
} from '../../../lib/rpo/series.ts';

const minute = 60_000;
const intervalSeconds = 300;
const at = (time: string): Date => new Date(`2026-11-24T${time}Z`);
const cycle = (taken: string, recorded: string, more: Partial<CycleSample> = {}): CycleSample => ({
  takenAt: at(taken).toISOString(),
  recordedAt: at(recorded).toISOString(),
  bytes: 1000,
  entryCount: 10,
  ...more,
});

function live(series: RpoSeries, ...samples: CycleSample[]): { series: RpoSeries; closed: HourBucket[] } {
  const closed: HourBucket[] = [];
  for (const sample of samples) {
    const folded = foldCycle(series, sample, intervalSeconds);
    series = folded.series;
    closed.push(...folded.closed);
  }
  return { series, closed };
}

describe('foldCycle', () => {
  it('counts cycles, bytes, latency and the course of the RPO in the current hour', () => {
    const { series, closed } = live(
      startSeries(at('10:00:00')),
      cycle('10:05:00', '10:06:00', { uploadedAt: at('10:05:30').toISOString() }),
      cycle('10:10:00', '10:12:00', { bytes: 5000, entryCount: 1 }),
    );
    expect(closed).toEqual([]);
    expect(rpoSeries.parse(series)).toEqual({
      since: '2026-11-24T10:00:00.000Z',
      until: '2026-11-24T10:12:00.000Z',
      newestTakenAt: '2026-11-24T10:10:00.000Z',
      current: {
        hour: '2026-11-24T10:00:00.000Z',
        cycles: 2,
        missedCycles: 0,
        bytes: 6000,
        maxBytes: 5000,
        entries: 11,
        latencySumMs: 3 * minute,
        latencyMaxMs: 2 * minute,
        transfer: { sumMs: 0.5 * minute, cycles: 1 },
        // From 1 to 7 minutes within 6 minutes, then 2.
        rpo: {
          minMs: minute,
          maxMs: 7 * minute,
          meanMs: 4 * minute,
          lastMs: 2 * minute,
          measuredMs: 6 * minute,
        },
        failures: { network: 0, replication: 0, appConsistent: 0 },
      },
    });
  });

  it('closes an hour with its missed cycles and the RPO at its end', () => {
    const { series, closed } = live(
      startSeries(at('10:00:00')),
      ...['10:05', '10:10', '10:15', '10:20'].map((time) => cycle(`${time}:00`, `${time}:00`)),
      cycle('11:30:00', '11:30:00'),
    );
    expect(closed).toHaveLength(1);
    const [hour] = closed;
    expect(hourBucket.parse(hour)).toMatchObject({
      hour: '2026-11-24T10:00:00.000Z',
      cycles: 4,
      missedCycles: 8,
    });
    expect(hour?.rpo).toMatchObject({
      minMs: 0,
      maxMs: 40 * minute,
      lastMs: 40 * minute,
      measuredMs: 55 * minute,
    });
    expect(series.current).toMatchObject({ hour: '2026-11-24T11:00:00.000Z', cycles: 1 });
    expect(series.current.rpo).toMatchObject({
      minMs: 0,
      maxMs: 70 * minute,
      meanMs: 55 * minute,
      lastMs: 0,
    });
  });

  it('closes every hour of a gap', () => {
    const { closed } = live(
      startSeries(at('10:00:00')),
      cycle('10:55:00', '10:55:00'),
      cycle('14:01:00', '14:01:00'),
    );
    expect(
      closed.map(({ hour, cycles, missedCycles, rpo }) => [
        hour.slice(11, 13),
        cycles,
        missedCycles,
        rpo?.maxMs,
      ]),
    ).toEqual([
      ['10', 1, 11, 5 * minute],
      ['11', 0, 12, 65 * minute],
      ['12', 0, 12, 125 * minute],
      ['13', 0, 12, 185 * minute],
    ]);
  });

  it('does not fill a gap of more than 31 days', () => {
    const first = live(startSeries(at('10:00:00')), cycle('10:05:00', '10:05:00')).series;
    const { series, closed } = foldTime(first, new Date('2027-06-01T00:30:00.000Z'), intervalSeconds);
    expect(closed).toHaveLength(1 + 31 * 24);
    expect(closed[1]?.hour).toBe('2027-05-01T00:00:00.000Z');
    expect(closed.at(-1)?.hour).toBe('2027-05-31T23:00:00.000Z');
    expect(series.current.hour).toBe('2027-06-01T00:00:00.000Z');
  });

  it('expects cycles from the beginning of monitoring on', () => {
    const { closed } = foldTime(startSeries(at('10:40:00')), at('11:00:00'), intervalSeconds);
    expect(closed[0]).toMatchObject({ cycles: 0, missedCycles: 4, rpo: null });
  });

  it('counts a late cycle in the current hour, and the RPO stays that of the newest point', () => {
    const before = live(
      startSeries(at('10:00:00')),
      cycle('10:05:00', '10:05:00'),
      cycle('11:05:00', '11:05:00'),
    );
    const { series, closed } = live(before.series, cycle('10:10:00', '10:10:00'));
    expect(closed).toEqual([]);
    expect(series.current).toMatchObject({ hour: '2026-11-24T11:00:00.000Z', cycles: 2, bytes: 2000 });
    expect(series.newestTakenAt).toBe('2026-11-24T11:05:00.000Z');
    expect(series.current.rpo?.lastMs).toBe(0);
  });

  it('takes a point from the future as taken when it was recorded', () => {
    const { series } = live(startSeries(at('10:00:00')), cycle('10:30:00', '10:05:00'));
    expect(series.newestTakenAt).toBe('2026-11-24T10:05:00.000Z');
    expect(series.current).toMatchObject({ latencySumMs: 0, latencyMaxMs: 0 });
  });
});

describe('foldFailure', () => {
  it('counts by kind and closes hours as a cycle does', () => {
    let folded = foldFailure(startSeries(at('10:00:00')), 'network', at('10:01:00'), intervalSeconds);
    folded = foldFailure(folded.series, 'network', at('10:02:00'), intervalSeconds);
    expect(folded.series.current.failures).toEqual({ network: 2, replication: 0, appConsistent: 0 });
    folded = foldFailure(folded.series, 'appConsistent', at('11:00:00'), intervalSeconds);
    expect(folded.closed.map(({ failures }) => failures.network)).toEqual([2]);
    expect(folded.series.current.failures).toEqual({ network: 0, replication: 0, appConsistent: 1 });
  });
});

it('foldTime before the present changes nothing', () => {
  const series = live(startSeries(at('10:00:00')), cycle('10:05:00', '10:05:00')).series;
  expect(foldTime(series, at('10:04:00'), intervalSeconds)).toEqual({ series, closed: [] });
});

it('the RPO is the age of the newest point', () => {
  expect(rpoMsAt('2026-11-24T10:00:00.000Z', at('10:07:30'))).toBe(7.5 * minute);
  expect(rpoMsAt('2026-11-24T10:00:00.000Z', at('09:59:00'))).toBe(0);
  expect(rpoMsAt(null, at('10:00:00'))).toBeNull();
});

it('cycles are expected at the ticks of the interval, half-open', () => {
  const ms = (time: string): number => at(time).getTime();
  expect(expectedCycles(ms('10:00:00'), ms('11:00:00'), 300)).toBe(12);
  expect(expectedCycles(ms('10:00:00'), ms('10:00:00.001'), 300)).toBe(1);
  expect(expectedCycles(ms('10:00:00.001'), ms('10:05:00'), 300)).toBe(0);
  expect(expectedCycles(ms('10:00:00'), ms('11:00:00'), 30)).toBe(120);
  expect(expectedCycles(ms('10:00:00'), ms('09:00:00'), 300)).toBe(0);
});
