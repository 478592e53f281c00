// Failures: of activities, of sub-orchestrations, with and without retry.
import { describe, expect } from 'vitest';
import type { Status } from '../orchestrations.ts';
import { type Access, holds } from './case.ts';

const errors = 'Handling errors in Durable Functions';
const retry = 'Handling errors in Durable Functions, "Automatic retry on failure"';

export function errorCases(access: Access): void {
  describe('failures', () => {
    const run = (name: string, input: unknown): Promise<Status> => access().orchestrations.run(name, input);
    const runsOf = async (key: string): Promise<number> => (await access().effects.of(key)).length;
    const retried = (name: string, key: string, times: number, attempts: number): Promise<Status> =>
      run(name, { effects: access().effects.table, key, times, attempts });

    holds('an uncaught failure of an activity fails the orchestration, with its words', errors, async () => {
      const { runtimeStatus, output } = await run('failing', { why: 'luck' });
      expect(runtimeStatus).toBe('Failed');
      expect(output).toMatch(
        /Orchestrator function 'failing' failed:.*Activity function 'fail' failed:.*no luck/s,
      );
    });

    holds('the orchestrator can catch a failure of an activity', errors, async () => {
      const { runtimeStatus, output } = await run('caught', { why: 'chance' });
      expect(runtimeStatus).toBe('Completed');
      expect(output).toMatch(/^caught: .*no chance/s);
    });

    holds('the orchestrator can catch a failure of a sub-orchestration', errors, async () => {
      const { runtimeStatus, output } = await run('parentOfFailing', { why: 'way' });
      expect(runtimeStatus).toBe('Completed');
      expect(output).toMatch(/^caught: .*no way/s);
    });

    holds('a retried activity succeeds at last, and the orchestration goes on', retry, async () => {
      const key = access().unique('flaky');
      expect((await retried('retried', key, 2, 5)).output).toEqual({ done: true, after: `after-${key}` });
      expect(await runsOf(key)).toBe(3);
    });

    holds('a retried activity runs no more often than allowed, then fails', retry, async () => {
      const key = access().unique('hopeless');
      const { runtimeStatus, output } = await retried('retried', key, 99, 3);
      expect(runtimeStatus).toBe('Failed');
      expect(output).toContain(`run 3 of ${key}`);
      expect([await runsOf(key), await runsOf(`after-${key}`)]).toEqual([3, 0]);
    });

    holds('a failed sub-orchestration is retried as a whole', retry, async () => {
      const key = access().unique('flaky-child');
      expect((await retried('parentWithRetry', key, 1, 3)).output).toBe(true);
      expect(await runsOf(key)).toBe(2);
    });

    holds('a retried sub-orchestration that never succeeds fails its parent', retry, async () => {
      const key = access().unique('hopeless-child');
      expect((await retried('parentWithRetry', key, 99, 2)).runtimeStatus).toBe('Failed');
      expect(await runsOf(key)).toBe(2);
    });
  });
}
