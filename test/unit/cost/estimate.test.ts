import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LifeboatError } from '../../../lib/errors.ts';
import { defaultInput, estimateCost, estimateSiteRecovery } from '../../../lib/cost/estimate.ts';
import type { CostEstimate, CostInput } from '../../../lib/cost/estimate.ts';
import { defaultPrices, pricesWith } from '../../../lib/cost/prices.ts';
import type { PriceName } from '../../../lib/cost/prices.ts';

const lineOf = ({ lines }: CostEstimate, what: string) => {
  const found = lines.find((line) => line.what.startsWith(what));
  if (!found) throw new Error(`no line ${what}`);
  return found;
};

const inputs = fc.record({
  machines: fc.integer({ min: 1, max: 10_000 }),
  diskGiB: fc.array(fc.double({ min: 1, max: 8192, noNaN: true }), { minLength: 1, maxLength: 8 }),
  usedShare: fc.double({ min: 0, max: 1, noNaN: true }),
  churnGiBPerDay: fc.double({ min: 0, max: 1000, noNaN: true }),
  intervalSeconds: fc.integer({ min: 30, max: 3600 }),
  retentionHours: fc.integer({ min: 0, max: 720 }),
  writeKiB: fc.double({ min: 4, max: 4096, noNaN: true }),
  memoryGiB: fc.constantFrom(2, 4),
  softDeleteDays: fc.integer({ min: 0, max: 30 }),
  hosts: fc.constant(1),
  pollSeconds: fc.integer({ min: 1, max: 60 }),
  isPrivate: fc.boolean(),
});

describe('estimateCost', () => {
  it('is quantity by price, worked out by hand for one machine', () => {
    const input: CostInput = {
      ...defaultInput,
      ...{
        diskGiB: [100],
        usedShare: 0.5,
        churnGiBPerDay: 10,
        retentionHours: 48,
        softDeleteDays: 7,
        writeKiB: 1024,
      },
    };
    const estimate = estimateCost(input);
    expect(lineOf(estimate, 'replicas')).toMatchObject({ quantity: 50, monthly: 50 * 0.045 });
    expect(lineOf(estimate, 'recovery points').quantity).toBe(20);
    expect(lineOf(estimate, 'deleted logs')).toMatchObject({ quantity: 70, monthly: 70 * 0.0184 });
    // 10 GiB a day in writes of 1 MiB, and 288 cycles a day with 10 other writes and listings each; timers list once a minute, and the
    // Functions host notes each of their 2.25 runs; the source host lists with every look, 9 a minute and 7 a cycle.
    expect(lineOf(estimate, 'blob writes').quantity).toBeCloseTo(
      30.4 * (10_240 + 288 * 17 + 1440 * (1 + 2.25 + 9)),
      3,
    );
    // One machine stays within the free grants.
    for (const what of ['events', 'logs and metrics']) expect(lineOf(estimate, what).monthly).toBe(0);
    expect(lineOf(estimate, 'alerts').monthly).toBeCloseTo(7.6);
  });

  it('adds up, and never falls when there is more to do', () => {
    fc.assert(
      fc.property(
        inputs,
        fc.constantFrom('machines', 'churnGiBPerDay', 'retentionHours', 'softDeleteDays'),
        (input, more) => {
          const { lines, monthly, monthlyPerMachine } = estimateCost(input);
          expect(monthly).toBeCloseTo(
            lines.reduce((total, line) => total + line.monthly, 0),
            6,
          );
          expect(monthlyPerMachine * input.machines).toBeCloseTo(monthly, 4);
          expect(Math.min(...lines.map((line) => line.monthly))).toBeGreaterThanOrEqual(0);
          expect(estimateCost({ ...input, [more]: input[more] + 1 }).monthly).toBeGreaterThanOrEqual(monthly);
        },
      ),
    );
  });

  it('every price counts where it applies: doubled, it never makes the whole cheaper, and once dearer', () => {
    const input: CostInput = { ...defaultInput, machines: 500, isPrivate: true };
    const total = (overrides: Partial<Record<PriceName, number>>) =>
      estimateCost(input, pricesWith(overrides)).monthly +
      estimateSiteRecovery(input, pricesWith(overrides)).monthly;
    for (const [name, { value }] of Object.entries(defaultPrices) as [PriceName, { value: number }][]) {
      const doubled = total({ [name]: value * 2 });
      if (name.startsWith('free')) expect(doubled, name).toBeLessThan(total({}));
      else expect(doubled, name).toBeGreaterThan(total({}));
    }
  });

  it.each([
    ['machines', { machines: 0 }],
    ['disk size', { diskGiB: [9000] }],
    ['number of disks', { diskGiB: [] }],
    ['used share', { usedShare: 1.2 }],
    ['interval', { intervalSeconds: 0 }],
    ['write size', { writeKiB: 8192 }],
    ['churn', { churnGiBPerDay: Number.NaN }],
  ])('refuses an impossible %s by name', (name, change) => {
    const estimate = () => estimateCost({ ...defaultInput, ...change });
    expect(estimate).toThrow(LifeboatError);
    expect(estimate).toThrow(name);
  });
});

describe('estimateSiteRecovery', () => {
  it('is the fee, disks as provisioned, and recovery points', () => {
    const { monthly } = estimateSiteRecovery({
      ...defaultInput,
      ...{ machines: 2, diskGiB: [100, 100], churnGiBPerDay: 10, retentionHours: 24 },
    });
    expect(monthly).toBeCloseTo(2 * (25 + 200 * 0.046 + 10 * 0.05), 6);
  });
});
