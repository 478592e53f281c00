// Retention as promises: what is never lost, what is not kept for ever, and that it does not matter when somebody looks.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RetentionPoint } from '../../lib/recoveryPoints/representatives.ts';
import { nextPruneAt, planRetention } from '../../lib/recoveryPoints/retention.ts';
import type { RetentionTiers } from '../../lib/recoveryPoints/tiers.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const begin = Date.parse('2026-10-01T00:00:00Z');

const arbitraryTiers: fc.Arbitrary<RetentionTiers> = fc.record({
  allHours: fc.nat(30),
  hourlyHours: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 100 })),
  dailyDays: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 30 })),
});

/** Points of one item in order of cycles: dense stretches and gaps; now and then the source's clock goes back. */
const arbitraryPoints = fc
  .array(
    fc.record({
      pauseMinutes: fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: 1, max: 40 }) },
        { weight: 2, arbitrary: fc.integer({ min: 1, max: 40 * 60 }) },
        { weight: 1, arbitrary: fc.integer({ min: -90, max: 0 }) },
      ),
      consistency: fc.constantFrom<RetentionPoint['consistency']>('crash', 'crash', 'crash', 'application'),
      isPinned: fc.integer({ min: 0, max: 15 }).map((value) => value === 0),
    }),
    { maxLength: 150 },
  )
  .map((steps) => {
    let takenMs = begin;
    return steps.map(({ pauseMinutes, consistency, isPinned }, index): RetentionPoint => {
      takenMs += pauseMinutes * minuteMs;
      const pinnedBy = isPinned ? ['job'] : [];
      return { cycle: index + 1, takenAt: new Date(takenMs).toISOString(), consistency, pinnedBy };
    });
  });

/** The points that exist at a moment. */
const takenUntil = (points: readonly RetentionPoint[], at: Date): RetentionPoint[] => {
  const after = points.findIndex(({ takenAt }) => Date.parse(takenAt) > at.getTime());
  return after === -1 ? [...points] : points.slice(0, after);
};

const arbitraryMoments = (count: number): fc.Arbitrary<Date[]> =>
  fc
    .array(fc.nat(45 * 24 * 60), { minLength: count, maxLength: count })
    .map((minutes) => minutes.sort((a, b) => a - b).map((minute) => new Date(begin + minute * minuteMs)));

const cyclesOf = (points: readonly RetentionPoint[]): number[] => points.map(({ cycle }) => cycle);
const spans = (points: readonly RetentionPoint[], spanMs: number): Set<number> =>
  new Set(points.map(({ takenAt }) => Math.floor(Date.parse(takenAt) / spanMs)));

describe('retention', () => {
  it('divides the points, and prunes nothing more the second time', () => {
    fc.assert(
      fc.property(
        arbitraryPoints,
        arbitraryTiers,
        arbitraryMoments(1),
        (points, tiers, [now = new Date()]) => {
          const { keep, prune } = planRetention(points, tiers, now);
          expect([...cyclesOf(keep), ...cyclesOf(prune)].sort((a, b) => a - b)).toEqual(cyclesOf(points));
          expect(planRetention(keep, tiers, now)).toEqual({ keep, prune: [] });
        },
      ),
      { numRuns: 300 },
    );
  });

  it('leaves the same whether it was done at any earlier moments or not, while points are added', () => {
    fc.assert(
      fc.property(arbitraryPoints, arbitraryTiers, arbitraryMoments(6), (points, tiers, moments) => {
        let survivors: RetentionPoint[] = [];
        let seen = 0;
        for (const now of moments) {
          const existing = takenUntil(points, now);
          const added = existing.slice(seen);
          seen = Math.max(seen, existing.length);
          survivors = planRetention([...survivors, ...added], tiers, now).keep;
          const atOnce = planRetention(points.slice(0, seen), tiers, now).keep;
          expect(cyclesOf(survivors)).toEqual(cyclesOf(atOnce));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('keeps what the tiers promise', () => {
    fc.assert(
      fc.property(
        arbitraryPoints,
        arbitraryTiers,
        arbitraryMoments(1),
        (points, tiers, [now = new Date()]) => {
          const { keep, prune } = planRetention(points, tiers, now);
          const ageMs = ({ takenAt }: RetentionPoint): number => now.getTime() - Date.parse(takenAt);
          for (const point of prune) {
            expect(ageMs(point)).toBeGreaterThanOrEqual(tiers.allHours * hourMs);
            expect(point.pinnedBy).toEqual([]);
          }
          const within = (reachMs: number) => points.filter((point) => ageMs(point) < reachMs);
          for (const [spanMs, reachMs] of [
            [hourMs, tiers.hourlyHours * hourMs],
            [dayMs, tiers.dailyDays * dayMs],
          ] as const) {
            const keptSpans = spans(keep, spanMs);
            for (const span of spans(within(reachMs), spanMs)) expect(keptSpans.has(span)).toBe(true);
            const consistent = (some: readonly RetentionPoint[]) =>
              some.filter(({ consistency }) => consistency === 'application');
            const keptConsistent = spans(consistent(keep), spanMs);
            for (const span of spans(consistent(within(reachMs)), spanMs))
              expect(keptConsistent.has(span)).toBe(true);
          }
          const newest = points.at(-1);
          const newestConsistent = points.findLast(({ consistency }) => consistency === 'application');
          for (const point of [newest, newestConsistent]) if (point) expect(keep).toContain(point);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('keeps no more than the tiers promise', () => {
    fc.assert(
      fc.property(
        arbitraryPoints,
        arbitraryTiers,
        arbitraryMoments(1),
        (points, tiers, [now = new Date()]) => {
          const { keep } = planRetention(points, tiers, now);
          const past = keep.filter(
            ({ takenAt, pinnedBy }) =>
              pinnedBy.length === 0 && now.getTime() - Date.parse(takenAt) >= tiers.allHours * hourMs,
          );
          const hours = tiers.hourlyHours > 0 ? tiers.hourlyHours + 1 : 0;
          const days = tiers.dailyDays > 0 ? tiers.dailyDays + 1 : 0;
          expect(past.length).toBeLessThanOrEqual(hours + days + 2);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('has nothing to do before nextPruneAt, and something from then on', () => {
    fc.assert(
      fc.property(
        arbitraryPoints,
        arbitraryTiers,
        arbitraryMoments(1),
        (points, tiers, [now = new Date()]) => {
          const { keep, prune } = planRetention(points, tiers, now);
          if (prune.length > 0) expect(nextPruneAt(points, tiers, now)).toEqual(now);
          const next = nextPruneAt(keep, tiers, now);
          const forEver = new Date(now.getTime() + 1000 * dayMs);
          if (next === undefined) {
            expect(planRetention(keep, tiers, forEver).prune).toEqual([]);
            return;
          }
          expect(next.getTime()).toBeGreaterThan(now.getTime());
          expect(planRetention(keep, tiers, new Date(next.getTime() - 1)).prune).toEqual([]);
          expect(planRetention(keep, tiers, next).prune).not.toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
  });
});
