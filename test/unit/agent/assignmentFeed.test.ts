// All items of a host look at the service at the same moments, so that one request answers them all.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { AssignmentFeed } from '../../../agent/daemon/assignmentFeed.ts';
import type { ServiceClient } from '../../../agent/serviceClient.ts';

const feedOf = () => new AssignmentFeed({} as ServiceClient, 'site1');

it('the next look is common to all items, and neither at once nor much later than asked for', () => {
  const feed = feedOf();
  const times = fc.array(fc.integer({ min: 1.7e12, max: 1.9e12 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 600_000 }), times, (pollMs, moments) => {
      for (const now of moments) {
        const waitMs = feed.nextLook(pollMs, now).getTime() - now;
        expect(waitMs).toBeGreaterThanOrEqual(pollMs / 2 - 2);
        expect(waitMs).toBeLessThanOrEqual(1.5 * pollMs + 2);
        // Whoever asks a little later, before that half, is told the same moment.
        const next = feed.nextLook(pollMs, now).getTime();
        const before = next - Math.ceil(pollMs / 2) - 2;
        if (before > now)
          expect(Math.abs(feed.nextLook(pollMs, before).getTime() - next)).toBeLessThanOrEqual(1);
      }
    }),
  );
});

it('two hosts do not look in step', () => {
  const moments = Array.from({ length: 8 }, () => feedOf().nextLook(15_000, 1.8e12).getTime());
  expect(new Set(moments).size).toBeGreaterThan(1);
});
