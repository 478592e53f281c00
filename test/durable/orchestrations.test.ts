// Every kind of orchestration the host supports, run by the real SDK on Azurite, strict and not.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { activityRuns, closeGate, DurableTestBed } from './durableTestBed.ts';

let bed: DurableTestBed;
beforeAll(async () => {
  bed = await DurableTestBed.create();
});
afterAll(() => bed.close());

describe.each([false, true])('strict %s', (strict) => {
  beforeAll(async () => {
    await bed.host?.stop();
    await bed.startHost({ strict, hubName: strict ? 'StrictHub' : 'TestHub' });
  });

  test('activities run one after the other and their results come back', async () => {
    const { runtimeStatus, output } = await bed.run('sequence', { keys: ['a', 'b', 'c'] });
    expect({ runtimeStatus, output }).toEqual({ runtimeStatus: 'Completed', output: ['a', 'b', 'c'] });
  });

  test('a fan-out runs every activity once and keeps the order of the results', async () => {
    const { output } = await bed.run('fanOut', { count: 150, prefix: `fan${strict}` });
    expect(output).toEqual(Array.from({ length: 150 }, (_, index) => `fan${strict}${index}`));
    expect(activityRuns().filter((run) => String(run).startsWith(`fan${strict}`))).toHaveLength(150);
  });

  test('inputs reach an activity as Azure passes them', async () => {
    const { output } = await bed.run('inputs');
    expect(output).toEqual([
      { type: 'object', value: { a: 1 } },
      { type: 'string', value: 'text' },
      { type: 'string', value: '5' },
      { type: 'number', value: 5 },
      { type: 'string', value: 'True' },
      { type: 'undefined', value: null },
      { type: 'object', value: [1, 2] },
      { type: 'string', value: 'tr"ue' },
      null,
    ]);
  });

  test('an uncaught failure of an activity fails the orchestration with its words', async () => {
    const { runtimeStatus, output } = await bed.run('failing');
    expect(runtimeStatus).toBe('Failed');
    expect(output).toMatch(
      /^Orchestrator function 'failing' failed: Activity function 'fail' failed: no luck/,
    );
  });

  test('a caught failure is a value', async () => {
    expect((await bed.run('settled')).output).toBe("Activity function 'fail' failed: no luck");
  });

  test('a described failure keeps its type and properties, also through a sub-orchestration', async () => {
    const properties = { kind: 'fatal', input: 1 };
    expect((await bed.run('typedFailure')).output).toEqual({
      errorType: 'QuotaError',
      errorMessage: 'typed 1',
      properties,
    });
    expect((await bed.run('typedChildFailure')).output).toEqual(properties);
  });

  test('a retried activity succeeds, and the ids after it are still right', async () => {
    const key = `retry${strict}`;
    const { output } = await bed.run('retried', { key, times: 2, attempts: 4 });
    expect(output).toEqual({ value: 3, after: `after ${key}` });
  });

  test('a retried activity that never succeeds fails after its last attempt', async () => {
    const key = `exhausted${strict}`;
    const { runtimeStatus, output } = await bed.run('retried', { key, times: 9, attempts: 3 });
    expect(runtimeStatus).toBe('Failed');
    expect(output).toContain(`attempt 3 of ${key}`);
    expect(activityRuns().filter((run) => run === key)).toHaveLength(3);
  });

  test('a timer moves the orchestration’s clock by at least its delay', async () => {
    expect((await bed.run('timed', { delayMs: 60 })).output).toBeGreaterThanOrEqual(60);
  });

  test('an event beats its deadline, and the cancelled timer leaves no trace', async () => {
    const id = await bed.start('approval', { timeoutMs: 3_600_000 });
    await bed.post(`instances/${id}/raiseEvent/approve`, { by: 'me' });
    const { output } = await bed.finish(id);
    expect(output).toEqual({ payload: { by: 'me' }, echoed: `approved ${id}` });
  });

  test('a deadline beats an event that does not come', async () => {
    expect((await bed.run('approval', { timeoutMs: 30 })).output).toBe('timeout');
  });

  test('events raised before they are waited for are kept, in order', async () => {
    const id = await bed.start('collect', { count: 4 });
    for (const payload of [1, 'two', { three: 3 }])
      await bed.post(`instances/${id}/raiseEvent/item`, payload);
    await bed.post(`instances/${id}/raiseEvent/other`, 'not waited for');
    await bed.post(`instances/${id}/raiseEvent/item`);
    expect((await bed.finish(id)).output).toEqual([1, 'two', { three: 3 }, null]);
  });

  test('of two waits for one event the last one is served first', async () => {
    const id = await bed.start('waitsTwice', null);
    await bed.until(id, ({ customStatus }) => customStatus === 'waiting');
    for (const payload of ['first', 'second']) await bed.post(`instances/${id}/raiseEvent/go`, payload);
    expect((await bed.finish(id)).output).toEqual(['second', 'first']);
  });

  test('sub-orchestrations run in parallel under their own or a given id', async () => {
    const childId = `child of ${strict}`;
    const { output } = await bed.run('parent', { keys: ['x', 'y', 'z'], childId });
    expect(output).toEqual([
      ['x1', 'x2'],
      ['y1', 'y2'],
      ['z1', 'z2'],
    ]);
    expect((await bed.status(childId)).output).toEqual(['x1', 'x2']);
  });

  test('a sub-orchestration knows its parent and its input', async () => {
    const { instanceId, output } = await bed.run('parentOfInspect');
    expect(output).toEqual({ input: { from: 'parent' }, parent: instanceId, version: '' });
  });

  test('a failed sub-orchestration fails its task', async () => {
    expect((await bed.run('parentOfFailing')).output).toContain(
      "Orchestrator function 'failing' failed: Activity function 'fail' failed",
    );
  });

  test('a sub-orchestration is retried as a new instance', async () => {
    expect((await bed.run('parentWithRetry', { key: `sub${strict}`, times: 2, attempts: 3 })).output).toBe(3);
  });

  test('continueAsNew goes on with the new input and a fresh history', async () => {
    const { instanceId, output } = await bed.run('eternal', { round: 1, rounds: 4, seen: [] });
    expect(output).toEqual([1, 2, 3, 4].map((round) => `${instanceId} round ${round}`));
    const { historyEvents } = await bed.status(instanceId, 'showHistory=true');
    expect(historyEvents?.filter((event) => event['EventType'] === 'TaskCompleted')).toHaveLength(1);
  });

  test('continueAsNew forgets the events it was woken with and keeps later ones', async () => {
    const id = await bed.start('forgetful', { round: 1 });
    await bed.until(id, ({ runtimeStatus }) => runtimeStatus === 'Running');
    await bed.post(`instances/${id}/suspend`);
    for (const item of ['consumed', 'forgotten']) await bed.post(`instances/${id}/raiseEvent/item`, item);
    await bed.post(`instances/${id}/resume`);
    await bed.until(id, ({ input }) => (input as { round: number }).round === 2);
    await bed.post(`instances/${id}/raiseEvent/item`, 'later');
    expect((await bed.finish(id)).output).toBe('later');
  });

  test('large inputs, results and outputs survive', async () => {
    const { output } = await bed.run('large', { size: 200_000, ballast: 'é'.repeat(50_000) });
    expect(output).toEqual({ length: 200_000, again: 'x'.repeat(200_000) });
  });

  test('custom status is kept after the end', async () => {
    expect((await bed.run('inspect', 1)).customStatus).toEqual({ stage: 'looking' });
  });

  test('what the host does not support fails with a clear text', async () => {
    expect((await bed.run('callsHttp')).output).toMatch(
      /used context\.df\.callHttp, which the local Durable host does not support; use an activity/,
    );
    expect((await bed.run('callsUnknown')).output).toMatch(
      /The function 'missing' doesn't exist.*The app registers: .*echo/,
    );
    expect((await bed.run('chatty')).output).toMatch(/custom status is 9002 characters.*limit is 16 KB/);
  });
});

describe('what strict mode finds', () => {
  test.each([
    ['nondeterministic', /strict mode.*the same history gave two different results/],
    ['clockReader', /strict mode.*the same history gave two different results/],
    [
      'taskReuse',
      /strict mode: 'gated' is in a Task\.any or Task\.all while the same call in an earlier one is still open/,
    ],
  ])('%s fails loudly', async (name, problem) => {
    const open = closeGate('reuse');
    const { runtimeStatus, output } = await bed.run(name);
    open();
    expect(runtimeStatus).toBe('Failed');
    expect(output).toMatch(problem);
  });

  test('another activity than the history has fails without strict mode, too', async () => {
    await bed.host?.stop();
    await bed.startHost();
    const { runtimeStatus, output } = await bed.run('nondeterministic');
    expect(runtimeStatus).toBe('Failed');
    expect(output).toContain("failed: Non-Deterministic workflow detected: task #0 was activity '");
  });
});
