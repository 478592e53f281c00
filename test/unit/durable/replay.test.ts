// The walk of actions against history: which tasks it schedules, under which ids, and what it refuses.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Action } from '../../../local/durable/actions.ts';
import {
  eventType,
  isSchedulingEvent,
  type HistoryEvent,
  type SchedulingEvent,
} from '../../../local/durable/events.ts';
import { planEpisode, type ReplayPlan } from '../../../local/durable/replay.ts';

const startMs = Date.parse('2030-01-01T00:00:00.000Z');
const at = (offsetMs: number) => new Date(startMs + offsetMs).toISOString();

const activity = (functionName: string, input?: unknown): Action => ({
  kind: 'activity',
  functionName,
  input,
});
const retried = (functionName: string, attempts: number, more: object = {}): Action => ({
  kind: 'activity',
  functionName,
  input: undefined,
  retry: { firstRetryIntervalInMilliseconds: 1000, maxNumberOfAttempts: attempts, ...more },
});
const timer = (offsetMs: number, isCanceled = false): Action => ({
  kind: 'timer',
  fireAt: at(offsetMs),
  isCanceled,
});
const wait = (eventName: string): Action => ({ kind: 'externalEvent', eventName });
const any = (...children: Action[]): Action => ({ kind: 'any', children });
const all = (...children: Action[]): Action => ({ kind: 'all', children });

/** A history that grows by episodes, with the decisions of each committed as the host would. */
class History {
  readonly events: HistoryEvent[] = [];
  private nowMs = startMs;

  /** Runs an episode of the given actions with new events, and commits it. */
  episode(actions: Action[], events: HistoryEvent[] = [], { strict = false, afterMs = 0 } = {}): ReplayPlan {
    this.nowMs += afterMs;
    const isFirst = this.events.length === 0;
    this.events.push({
      EventType: eventType.orchestratorStarted,
      EventId: -1,
      Timestamp: new Date(this.nowMs).toISOString(),
    });
    if (isFirst) this.events.push(started);
    this.events.push(...events);
    const plan = planEpisode({
      actions,
      events: this.events,
      executionId: 'exec',
      now: new Date(this.nowMs).toISOString(),
      strict,
    });
    this.events.push(...plan.decisions);
    return plan;
  }
}

const started: HistoryEvent = {
  EventType: eventType.executionStarted,
  EventId: -1,
  Timestamp: at(0),
  OrchestrationInstance: { InstanceId: 'i', ExecutionId: 'exec' },
  ParentInstance: null,
  Name: 'test',
  Version: '',
  Input: null,
  Tags: null,
  ScheduledStartTime: null,
};
const base = { EventId: -1, Timestamp: at(0) };
const completed = (id: number): HistoryEvent => ({
  EventType: eventType.taskCompleted,
  ...base,
  TaskScheduledId: id,
  Result: 'null',
});
const failed = (id: number, isNonRetriable = false): HistoryEvent => ({
  EventType: eventType.taskFailed,
  ...base,
  TaskScheduledId: id,
  Reason: 'r',
  Details: '',
  FailureDetails: isNonRetriable ? { ErrorType: 'E', ErrorMessage: 'm', IsNonRetriable: true } : null,
});
const fired = (id: number): HistoryEvent => ({
  EventType: eventType.timerFired,
  ...base,
  TimerId: id,
  FireAt: at(0),
});
const raised = (name: string): HistoryEvent => ({
  EventType: eventType.eventRaised,
  ...base,
  Name: name,
  Input: '',
});

const shown = (plan: ReplayPlan) =>
  plan.decisions.map(
    (event) =>
      `${event.EventId} ${'FireAt' in event ? `timer ${Date.parse(event.FireAt) - startMs}` : event.Name}`,
  );

describe('order of tasks', () => {
  test('a sequence schedules one task an episode', () => {
    const history = new History();
    expect(shown(history.episode([activity('a')]))).toEqual(['0 a']);
    expect(shown(history.episode([activity('a'), activity('b')], [completed(0)]))).toEqual(['1 b']);
    expect(shown(history.episode([activity('a'), activity('b')], [completed(1)]))).toEqual([]);
  });

  test('a fan-out schedules all at once and is over with the last one', () => {
    const history = new History();
    const fan = all(activity('a'), activity('b'), activity('c'));
    expect(shown(history.episode([fan]))).toEqual(['0 a', '1 b', '2 c']);
    expect(shown(history.episode([fan], [completed(2), failed(0)]))).toEqual([]);
    expect(shown(history.episode([fan, activity('d')], [completed(1)]))).toEqual(['3 d']);
  });

  test('the first of several goes on while the others stay open', () => {
    const history = new History();
    const race = any(activity('a'), activity('b'));
    history.episode([race]);
    expect(shown(history.episode([race, activity('c')], [completed(1)]))).toEqual(['2 c']);
    expect(shown(history.episode([race, activity('c')], [completed(0)]))).toEqual([]);
  });

  test('an argument is a JSON array, none is null', () => {
    const plan = new History().episode([all(activity('a', { x: 1 }), activity('b'))]);
    expect(plan.decisions.map((event) => 'Input' in event && event.Input)).toEqual(['[{"x":1}]', '[null]']);
  });

  test('a sub-orchestration without id gets one from the execution and its task', () => {
    const sub: Action = { kind: 'subOrchestration', functionName: 's', input: undefined };
    const plan = new History().episode([all(activity('a'), sub, { ...sub, instanceId: 'mine' })]);
    expect(plan.decisions.map((event) => 'InstanceId' in event && event.InstanceId)).toEqual([
      false,
      'exec:0001',
      'mine',
    ]);
  });

  test('ten thousand finished steps are walked without deep recursion', () => {
    const history = new History();
    const count = 10_000;
    const steps = Array.from({ length: count }, () => wait('go'));
    const plan = history.episode(
      [...steps, activity('end')],
      Array.from({ length: count }, () => raised('go')),
    );
    expect(shown(plan)).toEqual(['0 end']);
  });
});

describe('retries', () => {
  test('wait longer each time, up to the limit', () => {
    const history = new History();
    const action = retried('a', 5, { backoffCoefficient: 3, maxRetryIntervalInMilliseconds: 5000 });
    expect(shown(history.episode([action]))).toEqual(['0 a']);
    expect(shown(history.episode([action], [failed(0)]))).toEqual(['1 timer 1000']);
    expect(shown(history.episode([action], [fired(1)], { afterMs: 1000 }))).toEqual(['2 a']);
    expect(shown(history.episode([action], [failed(2)]))).toEqual(['3 timer 4000']);
    history.episode([action], [fired(3)], { afterMs: 3000 });
    expect(shown(history.episode([action], [failed(4)]))).toEqual(['5 timer 9000']);
  });

  test('end with a timer that is due at once, before the next action', () => {
    const history = new History();
    const action = retried('a', 1);
    history.episode([action]);
    expect(shown(history.episode([action], [failed(0)], { afterMs: 70 }))).toEqual(['1 timer 70']);
    expect(shown(history.episode([action, activity('after')], [fired(1)]))).toEqual(['2 after']);
  });

  test('stop without a timer when time is up or the failure is final', () => {
    for (const [failure, afterMs] of [
      [failed(0, true), 0],
      [failed(0), 500],
    ] as const) {
      const history = new History();
      const action = retried('a', 5, { retryTimeoutInMilliseconds: 500 });
      history.episode([action]);
      expect(shown(history.episode([action, activity('after')], [failure], { afterMs }))).toEqual([
        '1 after',
      ]);
    }
  });
});

describe('timers', () => {
  test('a cancelled timer is created, reported as cancelled and waited for no more', () => {
    const history = new History();
    history.episode([any(wait('go'), timer(1000))]);
    const plan = history.episode([any(wait('go'), timer(1000, true)), activity('next')], [raised('go')]);
    expect([shown(plan), plan.canceledTimerIds]).toEqual([['1 next'], [0]]);
  });

  test('a timer of more than six days is a chain of three days each', () => {
    const day = 86_400_000;
    const history = new History();
    const long = timer(10 * day);
    expect(shown(history.episode([long]))).toEqual([`0 timer ${3 * day}`]);
    expect(shown(history.episode([long], [fired(0)], { afterMs: 3 * day }))).toEqual([`1 timer ${6 * day}`]);
    expect(shown(history.episode([long], [fired(1)], { afterMs: 3 * day }))).toEqual([`2 timer ${10 * day}`]);
    const canceled = timer(10 * day, true);
    expect(history.episode([canceled], []).canceledTimerIds).toEqual([0, 1, 2]);
  });

  test('a timer is measured from when the orchestrator creates it, even where the walk reaches it earlier', () => {
    const day = 86_400_000;
    const history = new History();
    history.episode([any(wait('go'), timer(99))]);
    // The cancelled timer ends the race at the start of the walk, nine days before the new timer is due; in truth it is four.
    const late = [any(wait('go'), timer(99, true)), timer(9 * day)];
    expect(shown(history.episode(late, [raised('go')], { afterMs: 5 * day, strict: true }))).toEqual([
      `1 timer ${9 * day}`,
    ]);
    const end = history.episode([...late, activity('end')], [fired(1)], { afterMs: 4 * day, strict: true });
    expect([shown(end), end.violation]).toEqual([['2 end'], undefined]);
  });
});

describe('external events', () => {
  test('the last who waits is served first', () => {
    const history = new History();
    const race = any(all(wait('go'), activity('never')), wait('go'));
    history.episode([race]);
    // First come, first served would leave both branches open.
    expect(shown(history.episode([race, activity('next')], [raised('go')]))).toEqual(['1 next']);
  });

  test('events nobody waits for are kept, and names are compared without case', () => {
    const history = new History();
    history.episode([activity('a')], []);
    history.episode([activity('a')], [raised('GO'), raised('other')]);
    expect(shown(history.episode([activity('a'), wait('go'), activity('b')], [completed(0)]))).toEqual([
      '1 b',
    ]);
  });
});

describe('what is refused', () => {
  test('another activity in place of the scheduled one', () => {
    const history = new History();
    history.episode([activity('a')]);
    expect(history.episode([activity('b')], [completed(0)]).violation).toMatch(
      /^Non-Deterministic workflow detected: task #0 was activity 'a' .* scheduled activity 'b' in its place/,
    );
    const other = new History();
    other.episode([activity('a')]);
    expect(other.episode([timer(5)], [completed(0)]).violation).toContain('a timer');
    const gone = new History();
    gone.episode([activity('a')]);
    expect(gone.episode([wait('x')], [completed(0)]).violation).toContain('nothing');
  });

  test('another input or due time, in strict mode only', () => {
    for (const strict of [false, true]) {
      const history = new History();
      history.episode([all(activity('a', 1), timer(10))]);
      const changed = history.episode([all(activity('a', 2), timer(10))], [completed(0)], { strict });
      expect(changed.violation?.includes('strict mode') ?? false).toBe(strict);
      const moved = new History();
      moved.episode([timer(10)]);
      expect(
        moved.episode([timer(11)], [fired(0)], { strict }).violation?.includes('due time') ?? false,
      ).toBe(strict);
    }
  });

  test('a task that is open in one combinator and used in another, in strict mode only', () => {
    for (const strict of [false, true]) {
      const history = new History();
      const [first, second] = [any(activity('a'), timer(99)), any(activity('b'), timer(99))];
      history.episode([first], [], { strict });
      const plan = history.episode([first, second], [completed(0)], { strict });
      expect(plan.violation?.includes('used in two combinators') ?? false).toBe(strict);
    }
  });

  test('equal calls are fine when the earlier one has ended, or in one combinator', () => {
    const history = new History();
    const poll = any(all(activity('poll'), activity('poll')), wait('stop'));
    history.episode([poll], [], { strict: true });
    expect(
      history.episode([poll, poll], [completed(0), completed(1)], { strict: true }).violation,
    ).toBeUndefined();
  });

  test('an action that the host does not have', () => {
    const plan = new History().episode([{ kind: 'unsupported', what: 'context.df.callHttp' }]);
    expect(plan.violation).toMatch(
      /used context\.df\.callHttp, which the local Durable host does not support/,
    );
  });
});

const leaf = fc.oneof(
  fc.constantFrom('a', 'b', 'c').map((name) => activity(name)),
  fc.constantFrom('a', 'b').map((name) => retried(name, 2)),
  fc.integer({ min: 1, max: 9 }).map((offset) => timer(offset)),
);
const tree = fc.oneof(
  leaf,
  fc.array(leaf, { minLength: 1, maxLength: 4 }).map((children) => all(...children)),
  fc.array(leaf, { minLength: 1, maxLength: 4 }).map((children) => any(...children)),
);

test('replaying a committed history schedules nothing again, and ids have no gap', () => {
  const picks = fc.array(fc.record({ pick: fc.nat(), fails: fc.boolean() }), { maxLength: 30 });
  fc.assert(
    fc.property(fc.array(tree, { minLength: 1, maxLength: 6 }), picks, (actions, ends) => {
      const history = new History();
      const open: SchedulingEvent[] = [...history.episode(actions).decisions];
      for (const { pick, fails } of ends) {
        const [task] = open.splice(pick % Math.max(open.length, 1), 1);
        if (task === undefined) break;
        const end =
          'FireAt' in task ? fired(task.EventId) : fails ? failed(task.EventId) : completed(task.EventId);
        open.push(...history.episode(actions, [end], { afterMs: 10 }).decisions);
      }
      const ids = history.events.filter(isSchedulingEvent).map((event) => event.EventId);
      expect(ids).toEqual(ids.map((_, index) => index));
      const again = planEpisode({
        actions,
        events: history.events,
        executionId: 'exec',
        now: at(0),
        strict: false,
      });
      expect(again).toMatchObject({ decisions: [] });
      expect(again.violation).toBeUndefined();
    }),
  );
});
