// Jobs that run survive a deployment only if the new code, replayed over their history, asks for the same things in the same order.
// What every orchestrator asks for in a few courses of events is recorded here by the version in host.json
// (test/fixtures/orchestrations.json). Who changes an order raises `defaultVersion`, lets the orchestrator go the old way for
// instances of the older version (`context.df.version`), and records the new one: UPDATE_ORCHESTRATIONS=1.
import type { OrchestrationContext } from 'durable-functions';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { orchestrators } from '../../orchestrators/table.ts';

const root = join(import.meta.dirname, '..', '..');
const file = join(root, 'test', 'fixtures', 'orchestrations.json');
const host = JSON.parse(readFileSync(join(root, 'host.json'), 'utf8')) as {
  extensions: { durableTask: { defaultVersion: string } };
};
const version = host.extensions.durableTask.defaultVersion;

interface Asked {
  asked: string;
  cancel: () => void;
}

type Answer = (activity: string, call: number, calls: number) => unknown;

const ready = {
  ok: true,
  value: {
    ...{ isReady: true, isDone: true, isMerged: true, isPaused: false, isWaiting: false },
    // Of recovery plans: two steps, and nothing to wait for.
    ...{ steps: 2, hasMoved: true, waitSeconds: 0 },
  },
};
const until = '2026-01-01T01:00:00.000Z';
const waiting = {
  ok: true,
  value: {
    ...{ isReady: false, isDone: false, isMerged: false, isPaused: true, isWaiting: true, until },
    ...{ steps: 2, hasMoved: false, waitSeconds: null },
  },
};
/** What puts a failed job in order does not fail. */
const isAbandonment = (activity: string): boolean => activity.startsWith('abandon');
const failed = { ok: false, errors: [{ code: 'StorageDenied', message: 'denied' }] };

/** What activities answer: by name, by how often this one was called, and by how many were called in all. */
const courses: Record<string, Answer> = {
  smooth: () => ready,
  'everything waits once': (_activity, call) => (call === 1 ? waiting : ready),
  'fails at once': (activity) => (isAbandonment(activity) ? ready : failed),
  'fails in the third activity': (activity, _call, calls) =>
    calls === 3 && !isAbandonment(activity) ? failed : ready,
  'is cancelled in the second activity': (activity, _call, calls) =>
    calls === 2 && !isAbandonment(activity) ? { ok: false, stop: 'cancelled' } : ready,
  'is superseded': () => ({ ok: false, stop: 'superseded' }),
};

function askedFor(kind: keyof typeof orchestrators, answer: Answer): string[] {
  const task = (asked: string): Asked => ({ asked, cancel: () => undefined });
  const df = {
    getInput: () => ({ item: 'vm-1', jobId: 'job-1', disk: 'os' }),
    currentUtcDateTime: new Date('2026-01-01T00:00:00Z'),
    callActivityWithRetry: (name: string) => task(`activity ${name}`),
    waitForExternalEvent: (name: string) => task(`event ${name}`),
    createTimer: (at: Date) => task(`timer ${at.toISOString()}`),
    Task: { any: (tasks: Asked[]) => task(`any of ${tasks.map(({ asked }) => asked).join(', ')}`) },
  };
  const steps = orchestrators[kind]({ df } as unknown as OrchestrationContext) as Generator<
    unknown,
    void,
    unknown
  >;
  const asked: string[] = [];
  const callsOf = new Map<string, number>();
  for (let next = steps.next(); next.done !== true;) {
    const { asked: text } = next.value as Asked;
    asked.push(text);
    if (asked.length > 100) throw new Error(`${kind} does not end: ${asked.slice(-5).join(', ')}`);
    const [, activity] = /^activity (.*)/.exec(text) ?? [];
    if (activity === undefined) {
      next = steps.next(undefined);
      continue;
    }
    const call = (callsOf.get(activity) ?? 0) + 1;
    callsOf.set(activity, call);
    next = steps.next(
      answer(
        activity,
        call,
        [...callsOf.values()].reduce((sum, count) => sum + count, 0),
      ),
    );
  }
  return asked;
}

type Recorded = Record<string, Record<string, string[]>>;

const now: Recorded = Object.fromEntries(
  Object.keys(orchestrators).map((kind) => [
    kind,
    Object.fromEntries(
      Object.entries(courses).map(([course, answer]) => [
        course,
        askedFor(kind as keyof typeof orchestrators, answer),
      ]),
    ),
  ]),
);

it('every orchestrator of this version asks for what it asked for when it was recorded', () => {
  const recorded = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, Recorded>)
    : {};
  if (process.env['UPDATE_ORCHESTRATIONS'])
    writeFileSync(file, `${JSON.stringify({ ...recorded, [version]: now }, null, 2)}\n`);
  else expect(now, 'see the head of this file').toEqual(recorded[version]);
});

it('the courses go different ways', () => {
  for (const ways of Object.values(now))
    expect(new Set(Object.values(ways).map((way) => way.join('\n'))).size).toBeGreaterThanOrEqual(2);
});
