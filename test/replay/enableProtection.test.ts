// The orchestrator stepped by hand and replayed: the same history gives the same actions, failures end the job.
import type { OrchestrationContext, Task } from 'durable-functions';
import { describe, expect, it } from 'vitest';
import { enableProtection } from '../../orchestrators/enableProtection.ts';

interface Scheduled {
  kind: string;
  name: string;
  input?: unknown;
}

/** Stands for a task; carries what was asked. */
type FakeTask = Task & Scheduled;

const job = { item: 'vm-1', jobId: 'job-1' };
const ok = (value: unknown = null) => ({ ok: true, value });

function fakeContext(): OrchestrationContext {
  const task = (scheduled: Scheduled) => scheduled as FakeTask;
  return {
    df: {
      getInput: () => job,
      currentUtcDateTime: new Date('2026-01-01T00:00:00Z'),
      callActivityWithRetry: (name: string, _retry: unknown, input: unknown) =>
        task({ kind: 'activity', name, input }),
      waitForExternalEvent: (name: string) => task({ kind: 'event', name }),
      createTimer: (at: Date) => task({ kind: 'timer', name: at.toISOString() }),
    },
  } as unknown as OrchestrationContext;
}

/** Runs the orchestrator, answering each task in turn; returns what it scheduled. */
function run(answers: readonly unknown[]): { scheduled: string[]; inputs: unknown[]; isDone: boolean } {
  const generator = enableProtection(fakeContext()) as Generator<FakeTask, void, unknown>;
  const scheduled: string[] = [];
  const inputs: unknown[] = [];
  let step = generator.next();
  for (const answer of answers) {
    if (step.done) break;
    scheduled.push(`${step.value.kind} ${step.value.name}`);
    inputs.push(step.value.input);
    step = answer instanceof Error ? generator.throw(answer) : generator.next(answer);
  }
  if (!step.done) {
    scheduled.push(`${step.value.kind} ${step.value.name}`);
    inputs.push(step.value.input);
  }
  return { scheduled, inputs, isDone: step.done === true };
}

const begin = [
  'activity checkPrerequisites',
  'activity createReplicas',
  'activity startInitialReplication',
  'activity awaitInitialReplication',
];
const merge = 'activity mergeQueuedLogs';
const ready = ok({ isReady: true });
const notReady = ok({ isReady: false });

describe('enableProtection', () => {
  it('waits for its time and for the source, merges what queued, and finalizes', () => {
    const { scheduled, isDone } = run([
      ...[ok(), ok(), notReady, undefined, ready],
      ...[notReady, undefined, ready],
      ...[ok({ isMerged: false }), undefined, ok({ isMerged: true }), ok()],
    ]);
    expect(scheduled).toEqual([
      ...begin.slice(0, 3),
      'event changed',
      ...begin.slice(2),
      'event changed',
      'activity awaitInitialReplication',
      merge,
      'timer 2026-01-01T00:00:02.000Z',
      merge,
      'activity finalizeProtection',
    ]);
    expect(isDone).toBe(true);
  });

  it('replays every prefix of a history to the same actions', () => {
    const answers = [ok(), ok(), ready, notReady, undefined, ready, ok({ isMerged: true }), ok()];
    const whole = run(answers).scheduled;
    for (let length = 0; length <= answers.length; length++) {
      expect(run(answers.slice(0, length)).scheduled).toEqual(whole.slice(0, length + 1));
    }
  });

  it('records the errors that a step returns, and ends', () => {
    const errors = [{ code: 'DiskUnsupported', message: 'Disk d is too large.' }];
    const { scheduled, inputs, isDone } = run([{ ok: false, errors }, ok()]);
    expect(scheduled).toEqual(['activity checkPrerequisites', 'activity abandonJob']);
    expect(inputs[1]).toEqual({ ...job, kind: 'enableProtection', end: { outcome: 'failed', errors } });
    expect(isDone).toBe(true);
  });

  it('puts things in order when it was cancelled, and touches nothing when it was superseded', () => {
    const cancelled = run([ok(), { ok: false, stop: 'cancelled' }, ok()]);
    expect(cancelled.inputs.at(-1)).toEqual({
      ...job,
      kind: 'enableProtection',
      end: { outcome: 'cancelled' },
    });
    const superseded = run([ok(), { ok: false, stop: 'superseded' }]);
    expect(superseded).toMatchObject({ isDone: true });
    expect(superseded.scheduled).toHaveLength(2);
  });

  it('records a step that kept throwing until its retries were used up', () => {
    const { scheduled, inputs } = run([ok(), new Error('storage is gone'), ok()]);
    expect(scheduled.at(-1)).toBe('activity abandonJob');
    expect(inputs.at(-1)).toMatchObject({
      end: { outcome: 'failed', errors: [{ code: 'InternalError', message: 'storage is gone' }] },
    });
  });
});
