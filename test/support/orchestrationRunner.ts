// Durable in a test process: the product's own orchestrators, replayed from a recorded history at every step, with the
// product's own activities. Time is the context's clock; what the "process" knew survives its death, as in Durable.
import type { OrchestrationContext } from 'durable-functions';
import { runActivity } from '../../functions/activities/run.ts';
import { LifeboatError } from '../../lib/errors.ts';
import { changedEvent } from '../../lib/protection/orchestrations.ts';
import type { ItemJob, OrchestrationClient } from '../../lib/protection/orchestrations.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import type { ActivityName, ActivityResult } from '../../orchestrators/activities.ts';
import { orchestrators } from '../../orchestrators/table.ts';

type Asked =
  | { kind: 'activity'; name: string; input: object }
  | { kind: 'event'; name: string }
  | { kind: 'timer'; at: string }
  | { kind: 'any'; tasks: Asked[] };

/** What the orchestrator asked for and how it ended; `at` is the time that it then reads. */
export interface HistoryEntry {
  asked: string;
  at: string;
  value: unknown;
}

interface Instance {
  kind: keyof typeof orchestrators;
  input: object;
  startedAt: string;
  history: HistoryEntry[];
  events: number;
  isOver: boolean;
  isRunning: boolean;
  /** Set while an activity waits for its next try. */
  retryAt: number | undefined;
  attempt: number;
}

const firstRetryMs = 5000;
const longestRetryMs = 30 * 60_000;

const textOf = (asked: Asked): string => JSON.stringify(asked);

/** The context that an orchestrator sees: it asks, and reads its own time. */
function contextOf(input: object, now: () => Date): OrchestrationContext {
  const task = (asked: Asked): Asked & { isCompleted: boolean; cancel: () => void } => ({
    ...asked,
    isCompleted: false,
    cancel: () => undefined,
  });
  return {
    df: {
      getInput: () => input,
      get currentUtcDateTime() {
        return now();
      },
      callActivityWithRetry: (name: string, _retry: unknown, given: object) =>
        task({ kind: 'activity', name, input: given }),
      waitForExternalEvent: (name: string) => task({ kind: 'event', name }),
      createTimer: (at: Date) => task({ kind: 'timer', at: at.toISOString() }),
      Task: { any: (tasks: Asked[]) => task({ kind: 'any', tasks }) },
    },
  } as unknown as OrchestrationContext;
}

/** An orchestration as it was recorded. */
export type RecordedInstance = Pick<Instance, 'kind' | 'input' | 'startedAt' | 'history'>;

/** Replays the history; returns what the orchestrator asks for next, undefined at its end. Throws when it asks for something else. */
function replay({ kind, input, startedAt, history }: RecordedInstance): Asked | undefined {
  let now = startedAt;
  const generator = orchestrators[kind](contextOf(input, () => new Date(now)));
  const step = (value: unknown) => generator.next(value as never) as IteratorResult<unknown, void>;
  let result = step(undefined);
  for (const entry of history) {
    if (result.done) throw new Error(`${kind} is not deterministic: it ended before ${entry.asked}`);
    const asked = textOf(result.value as Asked);
    if (asked !== entry.asked)
      throw new Error(`${kind} is not deterministic: ${asked} instead of ${entry.asked}`);
    now = entry.at;
    if (entry.asked.includes('"any"')) {
      // The task of the pair that fired is completed.
      const tasks = (result.value as { tasks: { kind: string; isCompleted?: boolean }[] }).tasks;
      for (const each of tasks) each.isCompleted = each.kind === entry.value;
    }
    result = step(entry.value);
  }
  return result.done ? undefined : (result.value as Asked);
}

/** As `replay`; what is asked for as the text that histories hold. */
export function replayHistory(instance: RecordedInstance): string | undefined {
  const asked = replay(instance);
  return asked && textOf(asked);
}

export class OrchestrationRunner implements OrchestrationClient {
  readonly instances = new Map<string, Instance>();
  /** Replaced by a test that lets the process die. */
  context: ReplicationContext;
  /** Activities that run now: what they start goes on when they have ended, as in Durable. */
  #running = 0;
  readonly #later = new Set<string>();
  /** Events that get lost. */
  losesEvents = false;

  constructor(context: ReplicationContext) {
    this.context = context;
  }

  async start(name: string, instanceId: string, input: object): Promise<void> {
    if (this.instances.has(instanceId)) return;
    this.instances.set(instanceId, {
      ...{
        kind: name as keyof typeof orchestrators,
        input,
        startedAt: this.context.clock.now().toISOString(),
      },
      ...{ history: [], events: 0, isOver: false, isRunning: false, retryAt: undefined, attempt: 0 },
    });
    await this.#advance(instanceId);
  }

  async raiseEvent(instanceId: string, eventName: string): Promise<void> {
    const instance = this.instances.get(instanceId);
    if (!instance || instance.isOver || this.losesEvents) return;
    if (eventName !== changedEvent) throw new Error(`nobody waits for event ${eventName}`);
    instance.events++;
    await this.#advance(instanceId);
  }

  /** Everything that can go on now: timers and retries that are due, activities that a death cut. */
  async run(): Promise<void> {
    for (const id of [...this.instances.keys()]) await this.#advance(id);
  }

  async #advance(id: string): Promise<void> {
    const instance = this.instances.get(id);
    if (!instance || instance.isOver || instance.isRunning) return;
    if (this.#running > 0) {
      this.#later.add(id);
      return;
    }
    instance.isRunning = true;
    try {
      while (await this.#step(instance));
    } finally {
      instance.isRunning = false;
    }
    const [next] = this.#later;
    if (next === undefined) return;
    this.#later.delete(next);
    await this.#advance(next);
  }

  /** One task of the instance; false when it has to wait, or is over. */
  async #step(instance: Instance): Promise<boolean> {
    const asked = replay(instance);
    if (!asked) {
      instance.isOver = true;
      return false;
    }
    const outcome = await this.#outcomeOf(instance, asked);
    if (outcome === undefined) return false;
    instance.history.push({ asked: textOf(asked), at: this.context.clock.now().toISOString(), ...outcome });
    return true;
  }

  async #outcomeOf(instance: Instance, asked: Asked): Promise<{ value: unknown } | undefined> {
    const now = this.context.clock.now().getTime();
    switch (asked.kind) {
      case 'event':
        if (instance.events === 0) return undefined;
        instance.events--;
        return { value: null };
      case 'timer':
        return now >= Date.parse(asked.at) ? { value: null } : undefined;
      case 'any': {
        for (const each of asked.tasks) {
          const outcome = await this.#outcomeOf(instance, each);
          if (outcome) return { value: each.kind };
        }
        return undefined;
      }
      case 'activity':
        return this.#activity(instance, asked.name as ActivityName, asked.input as ItemJob, now);
    }
  }

  async #activity(
    instance: Instance,
    name: ActivityName,
    input: ItemJob,
    now: number,
  ): Promise<{ value: ActivityResult<object | null> } | undefined> {
    if (instance.retryAt !== undefined && now < instance.retryAt) return undefined;
    // A death ends the process: nothing of the activity may turn it into an answer.
    let death: { error: unknown } | undefined;
    const fault = (point: string): void => {
      try {
        this.context.fault(point);
      } catch (error) {
        death = { error };
        throw error;
      }
    };
    this.#running++;
    try {
      const stopAt = new Date(now + 5 * 60_000);
      // JSON, as the protocol has it.
      const given = JSON.parse(JSON.stringify(input)) as ItemJob;
      const value = await runActivity({ ...this.context, fault }, name, given, {
        stopAt,
        orchestrations: this,
      });
      if (death) throw death.error;
      instance.retryAt = undefined;
      instance.attempt = 0;
      return { value: JSON.parse(JSON.stringify(value)) as ActivityResult<object | null> };
    } catch (error) {
      if (death || !(error instanceof LifeboatError)) throw error;
      const pauseMs = Math.min(longestRetryMs, firstRetryMs * 2 ** instance.attempt++);
      instance.retryAt = this.context.clock.now().getTime() + pauseMs;
      return undefined;
    } finally {
      this.#running--;
    }
  }
}
