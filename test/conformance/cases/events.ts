// External events and custom status: what comes early, in which order, and to whom it cannot go.
import { describe, expect } from 'vitest';
import type { Orchestrations } from '../orchestrations.ts';
import { type Access, holds, holdsHere } from './case.ts';

const events = 'Handling external events in Durable Functions';
const customStatus = 'Custom orchestration status in Durable Functions';
const httpApi = 'HTTP API reference for Durable Functions';

export function eventCases(access: Access): void {
  describe('events', () => {
    const orchestrations = (): Orchestrations => access().orchestrations;
    const startWaiting = async (names: string[], name = 'collect'): Promise<string> => {
      const id = await orchestrations().start(name, { names });
      await orchestrations().until(id, ({ runtimeStatus }) => runtimeStatus === 'Running');
      return id;
    };

    holds('an event wakes the orchestration and brings its payload', events, async () => {
      const id = await startWaiting(['go']);
      expect(await orchestrations().raise(id, 'go', { list: [1, 'two', null] })).toBe(202);
      expect((await orchestrations().finish(id)).output).toEqual([{ list: [1, 'two', null] }]);
    });

    holds('events that come before they are waited for are kept, in their order', events, async () => {
      const id = await startWaiting(['first', 'item', 'item', 'item']);
      for (const payload of ['a', 'b', 'c']) await orchestrations().raise(id, 'item', payload);
      await orchestrations().raise(id, 'first', 'opened');
      expect((await orchestrations().finish(id)).output).toEqual(['opened', 'a', 'b', 'c']);
    });

    holds('an event nobody waits for changes nothing', events, async () => {
      const id = await startWaiting(['go']);
      expect(await orchestrations().raise(id, 'unwanted', 1)).toBe(202);
      await orchestrations().raise(id, 'go', 2);
      expect((await orchestrations().finish(id)).output).toEqual([2]);
    });

    holds('Task.all waits for several events, in whatever order they come', events, async () => {
      const id = await startWaiting(['a', 'b', 'c'], 'allOf');
      for (const name of ['c', 'a', 'b']) await orchestrations().raise(id, name, name.toUpperCase());
      expect((await orchestrations().finish(id)).output).toEqual(['A', 'B', 'C']);
    });

    holdsHere(
      'several waits for one name are served last in, first out',
      'source of the extension',
      async () => {
        const id = await startWaiting(['go', 'go'], 'allOf');
        await orchestrations().raise(id, 'go', 'A');
        await orchestrations().raise(id, 'go', 'B');
        expect((await orchestrations().finish(id)).output).toEqual(['B', 'A']);
      },
    );

    holds('an event for an unknown instance is 404, for a finished one 410', httpApi, async () => {
      const { instanceId } = await orchestrations().run('echoes', { count: 1 });
      expect(await orchestrations().raise(instanceId, 'late', 1)).toBe(410);
      expect(await orchestrations().raise(access().unique('nobody'), 'go', 1)).toBe(404);
    });

    holds('the custom status shows what was set last, and stays after the end', customStatus, async () => {
      const id = await orchestrations().start('reporting');
      const stageIs = (stage: string) => (status: { customStatus: unknown }) =>
        (status.customStatus as { stage: string } | null)?.stage === stage;
      await orchestrations().until(id, stageIs('first'));
      await orchestrations().raise(id, 'next');
      await orchestrations().until(id, stageIs('second'));
      await orchestrations().raise(id, 'next');
      expect(await orchestrations().finish(id)).toMatchObject({
        ...{ runtimeStatus: 'Completed', output: 'done', customStatus: { stage: 'second', percent: 50 } },
      });
    });
  });
}
