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

const begin = ['activity checkPrerequisites', 'activity createReplicas', 'activity startInitialReplication'];
const merge = 'activity mergeQueuedLogs';

describe('enableProtection', () => {
  it('waits for the source, merges what queued, and finalizes', () => {
    const merging = ok({ isMerged: false });
    const { scheduled, isDone } = run([
      ok(),
      ok(),
      ok(),
      undefined,
      merging,
      undefined,
      ok({ isMerged: true }),
      ok(),
    ]);
    expect(scheduled).toEqual([
      ...begin,
      'event initialReplicationCompleted',
      merge,
      'timer 2026-01-01T00:00:02.000Z',
      merge,
      'activity finalizeProtection',
    ]);
    expect(isDone).toBe(true);
  });

  it('replays every prefix of a history to the same actions', () => {
    const answers = [ok(), ok(), ok(), undefined, ok({ isMerged: true }), ok()];
    const whole = run(answers).scheduled;
    for (let length = 0; length <= answers.length; length++) {
      expect(run(answers.slice(0, length)).scheduled).toEqual(whole.slice(0, length + 1));
    }
  });

  it('records the errors that a step returns, and ends', () => {
    const errors = [{ code: 'DiskUnsupported', message: 'Disk d is too large.' }];
    const { scheduled, inputs, isDone } = run([{ ok: false, errors }, ok()]);
    expect(scheduled).toEqual(['activity checkPrerequisites', 'activity failProtection']);
    expect(inputs[1]).toEqual({ ...job, errors });
    expect(isDone).toBe(true);
  });

  it('records a step that kept throwing until its retries were used up', () => {
    const { scheduled, inputs } = run([ok(), new Error('storage is gone'), ok()]);
    expect(scheduled.at(-1)).toBe('activity failProtection');
    expect(inputs.at(-1)).toMatchObject({ errors: [{ code: 'InternalError', message: 'storage is gone' }] });
  });
});
