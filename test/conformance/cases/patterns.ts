// Orchestrations that need nobody: chains, fan-out, timers, sub-orchestrations, continueAsNew, what inputs become.
import { describe, expect } from 'vitest';
import type { Status } from '../orchestrations.ts';
import { type Access, holds } from './case.ts';

const chaining = 'Function chaining in Durable Functions';
const fanning = 'Fan-out/fan-in scenario in Durable Functions';
const timers = 'Timers in Durable Functions';
const children = 'Sub-orchestrations in Durable Functions';
const eternal = 'Eternal orchestrations in Durable Functions';
const data = 'Data persistence and serialization in Durable Functions';
const instances = 'Manage instances in Durable Functions';

export function patternCases(access: Access): void {
  describe('orchestrations', () => {
    const run = (name: string, input: unknown = {}): Promise<Status> =>
      access().orchestrations.run(name, input);
    const keysFor = (stem: string, count: number): string[] =>
      Array.from({ length: count }, () => access().unique(stem));
    const countsOf = (keys: readonly string[]): Promise<number[]> =>
      Promise.all(keys.map(async (key) => (await access().effects.of(key)).length));

    holds('a chain runs its activities in order and returns their results', chaining, async () => {
      const keys = keysFor('chain', 3);
      const status = await run('sequence', { effects: access().effects.table, keys });
      expect(status).toMatchObject({ name: 'sequence', runtimeStatus: 'Completed', output: keys });
      expect(await countsOf(keys)).toEqual([1, 1, 1]);
    });

    holds('a long chain is replayed to the right sum', chaining, async () => {
      expect((await run('echoes', { count: 60 })).output).toBe(1830);
    });

    holds('a fan-out runs every activity once, and its results keep the order', fanning, async () => {
      const keys = keysFor('fan', 40);
      expect((await run('fanOut', { effects: access().effects.table, keys })).output).toEqual(keys);
      expect(await countsOf(keys)).toEqual(keys.map(() => 1));
    });

    holds('a durable timer does not end before its time', timers, async () => {
      const { output } = await run('timed', { delayMs: 1200 });
      expect((output as { waitedMs: number }).waitedMs).toBeGreaterThanOrEqual(1200);
    });

    holds('a timer that was cancelled holds nothing up', timers, async () => {
      const { orchestrations } = access();
      const id = await orchestrations.start('approval', { timeoutMs: 3_600_000 });
      expect(await orchestrations.raise(id, 'approve', { by: 'ada' })).toBe(202);
      expect((await orchestrations.finish(id)).output).toEqual({ approved: { by: 'ada' } });
    });

    holds('a deadline beats an event that does not come', timers, async () => {
      expect((await run('approval', { timeoutMs: 300 })).output).toBe('timeout');
    });

    holds('sub-orchestrations run side by side and return their outputs', children, async () => {
      const groups = [keysFor('left', 2), keysFor('right', 2), keysFor('none', 0)];
      expect((await run('parent', { effects: access().effects.table, groups })).output).toEqual(groups);
    });

    holds('a sub-orchestration with an id is an instance of its own', children, async () => {
      const childId = access().unique('child');
      await run('namedChild', { effects: access().effects.table, childId });
      expect(await access().orchestrations.getStatus(childId)).toMatchObject({
        ...{ name: 'sequence', runtimeStatus: 'Completed', output: [childId] },
      });
    });

    holds('a sub-orchestration knows its parent, other instances have none', children, async () => {
      const { instanceId, output } = await run('parentOfInspect');
      expect((output as { parentInstanceId: string }).parentInstanceId).toBe(instanceId);
      const alone = await run('inspect');
      expect(alone.output).toEqual({ instanceId: alone.instanceId, parentInstanceId: null });
    });

    holds('continueAsNew goes on with the new input under the same id', eternal, async () => {
      const prefix = access().unique('round');
      const input = { effects: access().effects.table, prefix, round: 1, rounds: 5, seen: [] };
      const keys = [1, 2, 3, 4, 5].map((round) => `${prefix}${round}`);
      const { instanceId, output, input: lastInput } = await run('rounds', input);
      expect(output).toEqual(keys);
      expect((lastInput as { round: number }).round).toBe(5);
      expect(await countsOf(keys)).toEqual([1, 1, 1, 1, 1]);
      expect((await access().orchestrations.getStatus(instanceId)).runtimeStatus).toBe('Completed');
    });

    holds('continueAsNew starts a fresh history', eternal, async () => {
      const prefix = access().unique('fresh');
      const { instanceId } = await run('rounds', {
        ...{ effects: access().effects.table, prefix, round: 1, rounds: 3, seen: [] },
      });
      const { historyEvents } = await access().orchestrations.getStatus(instanceId, 'showHistory=true');
      expect(historyEvents?.filter(({ EventType }) => EventType === 'TaskCompleted')).toHaveLength(1);
    });

    holds('an eternal orchestration runs until it is terminated', eternal, async () => {
      const { orchestrations } = access();
      const id = await orchestrations.start('heartbeat', { beat: 1, pauseMs: 20 });
      await orchestrations.until(
        id,
        ({ customStatus }) => ((customStatus as { beat: number } | null)?.beat ?? 0) >= 4,
      );
      expect(await orchestrations.control(id, 'terminate', 'enough')).toBe(202);
      expect(await orchestrations.finish(id)).toMatchObject({
        runtimeStatus: 'Terminated',
        output: 'enough',
      });
    });

    holds('inputs and results travel as JSON: objects, arrays, texts, numbers, nothing', data, async () => {
      expect((await run('inputs')).output).toEqual([
        { type: 'object', value: { a: 1 } },
        { type: 'object', value: [1, 2] },
        { type: 'string', value: 'text' },
        { type: 'number', value: 5 },
        { type: 'undefined', value: null },
        null,
      ]);
    });

    holds('payloads above 60 KB survive as input, result and output', data, async () => {
      const text = 'é'.repeat(70_000);
      const { instanceId, output } = await run('large', { text, length: 150_000 });
      expect(output).toEqual({ inputLength: 70_000, made: 'x'.repeat(150_000) });
      expect((await access().orchestrations.getStatus(instanceId)).input).toEqual({ text, length: 150_000 });
    });

    holds(
      'times of a status are UTC, and the last change is not before the creation',
      instances,
      async () => {
        const { createdTime, lastUpdatedTime } = await run('echoes', { count: 1 });
        expect(createdTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
        expect(Date.parse(lastUpdatedTime)).toBeGreaterThanOrEqual(Date.parse(createdTime));
      },
    );
  });
}
