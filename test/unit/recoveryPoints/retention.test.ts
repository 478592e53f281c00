import { describe, expect, it } from 'vitest';
import type { RetentionPoint } from '../../../lib/recoveryPoints/representatives.ts';
import { nextPruneAt, planRetention } from '../../../lib/recoveryPoints/retention.ts';
import { retentionTiers, type RetentionTiers } from '../../../lib/recoveryPoints/tiers.ts';

const now = new Date('2026-11-24T12:30:00.000Z');

function point(cycle: number, takenAt: string, more: Partial<RetentionPoint> = {}): RetentionPoint {
  return { cycle, takenAt: new Date(takenAt).toISOString(), consistency: 'crash', pinnedBy: [], ...more };
}
const application = { consistency: 'application' } as const;

const kept = (points: readonly RetentionPoint[], tiers: RetentionTiers, at = now): number[] =>
  planRetention(points, tiers, at).keep.map(({ cycle }) => cycle);

describe('planRetention', () => {
  it('keeps every point for allHours, half-open', () => {
    const points = [
      point(1, '2026-11-24T10:29:59.999Z'),
      point(2, '2026-11-24T10:30:00Z'),
      point(3, '2026-11-24T10:30:00.001Z'),
      point(4, '2026-11-24T12:25:00Z'),
    ];
    expect(kept(points, { allHours: 2, hourlyHours: 0, dailyDays: 0 })).toEqual([3, 4]);
  });

  it('keeps of each hour the newest application-consistent point, else the newest', () => {
    const points = [
      point(1, '2026-11-24T07:59:59Z'),
      point(2, '2026-11-24T08:00:00Z'),
      point(3, '2026-11-24T08:10:00Z', application),
      point(4, '2026-11-24T08:20:00Z', application),
      point(5, '2026-11-24T08:59:59Z'),
      point(6, '2026-11-24T09:00:00Z'),
      point(7, '2026-11-24T09:30:00Z'),
      point(8, '2026-11-24T12:25:00Z'),
    ];
    expect(kept(points, { allHours: 1, hourlyHours: 24, dailyDays: 0 })).toEqual([1, 4, 7, 8]);
  });

  it('keeps an hour until its end is hourlyHours old', () => {
    const tiers = { allHours: 0, hourlyHours: 4, dailyDays: 0 };
    const points = [point(1, '2026-11-24T08:05:00Z'), point(2, '2026-11-24T12:25:00Z')];
    expect(kept(points, tiers, new Date('2026-11-24T12:59:59.999Z'))).toEqual([1, 2]);
    expect(kept(points, tiers, new Date('2026-11-24T13:00:00.000Z'))).toEqual([2]);
  });

  it('keeps one point of each day of 30', () => {
    const points = Array.from({ length: 40 * 24 }, (_unused, hour) =>
      point(hour + 1, new Date(Date.parse('2026-10-16T00:15:00Z') + hour * 3_600_000).toISOString()),
    ).filter(({ takenAt }) => Date.parse(takenAt) <= now.getTime());
    const { keep } = planRetention(points, { allHours: 2, hourlyHours: 24, dailyDays: 30 }, now);
    const days = keep.map(({ takenAt }) => takenAt.slice(0, 10));
    expect(new Set(days).size).toBe(31);
    expect(days[0]).toBe('2026-10-25');
    expect(keep.slice(0, 29).map(({ takenAt }) => takenAt.slice(11, 16))).toEqual(Array(29).fill('23:15'));
    expect(keep.length).toBe(29 + 25);
  });

  it('never prunes the newest point, the newest application-consistent one, nor a pinned one', () => {
    const points = [
      point(1, '2026-01-01T00:00:00Z', application),
      point(2, '2026-01-01T01:00:00Z', application),
      point(3, '2026-01-01T02:00:00Z', { pinnedBy: ['job-7'] }),
      point(4, '2026-01-01T03:00:00Z'),
      point(5, '2026-01-01T04:00:00Z'),
    ];
    expect(kept(points, { allHours: 0, hourlyHours: 0, dailyDays: 0 })).toEqual([2, 3, 5]);
    expect(planRetention([], { allHours: 1, hourlyHours: 1, dailyDays: 1 }, now)).toEqual({
      keep: [],
      prune: [],
    });
  });

  it('keeps a point that a clock ahead of ours dated', () => {
    const points = [point(1, '2026-11-24T12:40:00Z'), point(2, '2026-11-24T12:41:00Z')];
    expect(kept(points, { allHours: 1, hourlyHours: 0, dailyDays: 0 })).toEqual([1, 2]);
  });
});

describe('nextPruneAt', () => {
  const tiers = { allHours: 2, hourlyHours: 4, dailyDays: 0 };

  it('is now when something is to be pruned', () => {
    const points = [point(1, '2026-11-24T01:00:00Z'), point(2, '2026-11-24T12:00:00Z')];
    expect(nextPruneAt(points, tiers, now)).toEqual(now);
  });

  it('is when the first point leaves its last tier', () => {
    const points = [
      point(1, '2026-11-24T10:40:00Z'),
      point(2, '2026-11-24T10:50:00Z'),
      point(3, '2026-11-24T12:00:00Z'),
    ];
    expect(nextPruneAt(points, tiers, now)?.toISOString()).toBe('2026-11-24T12:40:00.000Z');
    expect(nextPruneAt(points.slice(1), tiers, now)?.toISOString()).toBe('2026-11-24T15:00:00.000Z');
  });

  it('is undefined when only points are left that stay', () => {
    const pinned = point(1, '2026-11-24T01:00:00Z', { pinnedBy: ['drill'] });
    expect(nextPruneAt([pinned, point(2, '2026-11-24T02:00:00Z')], tiers, now)).toBeUndefined();
    expect(nextPruneAt([], tiers, now)).toBeUndefined();
  });
});

describe('the schema of the tiers', () => {
  it.each([
    { allHours: 24, hourlyHours: 0, dailyDays: 0 },
    { allHours: 0, hourlyHours: 720, dailyDays: 30 },
    { allHours: 24, hourlyHours: 24, dailyDays: 1 },
    { allHours: 0, hourlyHours: 0, dailyDays: 0 },
  ])('takes %o', (tiers) => {
    expect(retentionTiers.parse(tiers)).toEqual(tiers);
  });

  it.each([
    ['allHours', 721, '721 is more than 720 hours'],
    ['allHours', 1.5, '1.5 is not a whole number of hours'],
    ['hourlyHours', -1, '-1 is less than 0 hours'],
    ['dailyDays', 31, '31 is more than 30 days'],
    ['dailyDays', '7', '"7" is not a whole number of days'],
    [
      'hourlyHours',
      12,
      '12 hours end before allHours (24); tiers reach back from now: use more, or 0 for none',
    ],
    [
      'dailyDays',
      2,
      '2 days end before the 72 hours of a finer tier; tiers reach back from now: use more, or 0 for none',
    ],
  ])('refuses %s = %s', (field, value, message) => {
    const tiers = { allHours: 24, hourlyHours: 72, dailyDays: 7, [field]: value };
    const issues = retentionTiers.safeParse(tiers).error?.issues;
    expect(issues?.map((issue) => [issue.path, issue.message])).toEqual([[[field], message]]);
  });
});
