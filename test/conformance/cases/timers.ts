// Timer functions: the schedule, the timer object, running on request, retries by the host.
import { describe, expect } from 'vitest';
import { Effects } from '../effects.ts';
import { masterKey } from '../target.ts';
import { type Access, eventually, holds, holdsForAdmins } from './case.ts';

const trigger = 'Timer trigger for Azure Functions';
const retries = 'Azure Functions error handling and retries';
const manualRun = 'Manually run a non HTTP-triggered function';
const effectsTable = 'ConformanceTimers';

interface Run {
  timer: { isPastDue: boolean; scheduleStatus: unknown };
}

export function timerCases(access: Access): void {
  describe('timers', () => {
    const effects = (): Effects => new Effects(access().target.storageConnectionString, effectsTable);
    /** Runs a function now; the embedded host wants no key for that. */
    const runNow = async (name: string): Promise<number> => {
      const headers = { 'content-type': 'application/json', 'x-functions-key': masterKey ?? '' };
      const init = { method: 'POST', body: '{"input":""}', headers };
      return (await fetch(`${access().target.url}/admin/functions/${name}`, init)).status;
    };

    holds('a function runs again and again by its schedule, and is not past due', trigger, async () => {
      const runs = await eventually('three runs of the timer function "often"', async () => {
        const [latest] = await effects().of<Run[]>('often');
        return (latest?.detail.length ?? 0) >= 3 ? latest?.detail : undefined;
      });
      expect(runs.slice(1).map(({ timer }) => timer.isPastDue)).not.toContain(true);
    });

    holds('a schedule of more than once a minute has no monitor', trigger, async () => {
      const latest = await eventually(
        'a run of "often"',
        async () => (await effects().of<Run[]>('often'))[0],
      );
      expect(latest.detail.map(({ timer }) => timer.scheduleStatus ?? null)).toEqual(
        latest.detail.map(() => null),
      );
    });

    holdsForAdmins('POST /admin/functions/<name> runs a timer function now', manualRun, async () => {
      const runsBefore = (await effects().of('yearly')).length;
      expect(await runNow('yearly')).toBe(202);
      const run = await eventually(
        'a run of "yearly"',
        async () => (await effects().of('yearly'))[runsBefore],
      );
      expect(run.detail).toMatchObject({ isPastDue: false, schedule: { adjustForDST: true } });
    });

    holdsForAdmins(
      'a failing function is run again by its retry policy, and no more often',
      retries,
      async () => {
        const runsBefore = (await effects().of('stubborn')).length;
        expect(await runNow('stubborn')).toBe(202);
        const runs = await eventually('three runs of "stubborn"', async () => {
          const found = (await effects().of<{ retryCount: number | null }>('stubborn')).slice(runsBefore);
          return found.length >= 3 ? found : undefined;
        });
        expect(runs.map(({ detail }) => detail.retryCount)).toEqual([null, 1, 2]);
      },
    );
  });
}
