// Walks the actions an orchestrator reports against its history, exactly as the Durable extension does, and returns what is new.
// Pure. The extension invokes the top-level actions one after the other, awaiting each; the moment an action is invoked decides the
// id of its task, and the app's SDK counts the same ids on its side. So the walk must keep the extension's habits, awkward ones included:
//  - after the last failed attempt of a retried action it still creates a timer, due at once;
//  - several waits for one event name are served last in, first out;
//  - a cancelled timer counts as finished from the moment it is created.
import type {
  Action,
  ActionRetryOptions,
  ActivityAction,
  CompoundAction,
  SubOrchestrationAction,
  TimerAction,
} from './actions.ts';
import {
  eventType,
  findEndedTaskId,
  isSchedulingEvent,
  type HistoryEvent,
  type SchedulingEvent,
} from './events.ts';
import { EventWaits } from './eventWaits.ts';
import { describeMismatch } from './replayErrors.ts';
import { ReuseDetector } from './reuseDetector.ts';
import { WalkTask } from './walkTask.ts';

export interface ReplayInput {
  actions: readonly Action[];
  /** Committed history followed by the events of this episode. */
  events: readonly HistoryEvent[];
  executionId: string;
  /** Timestamp of the decisions, ISO 8601. */
  now: string;
  /** Also compares inputs and due times with the history, and refuses a task that is used in two combinators. */
  strict: boolean;
}

export interface ReplayPlan {
  /** Scheduling events that the history does not have yet, by ascending id. */
  decisions: SchedulingEvent[];
  /** All timers that the orchestrator has cancelled so far. */
  canceledTimerIds: number[];
  /** Set when the orchestration must fail: the text says why and what to change. */
  violation?: string;
}

type CallAction = ActivityAction | SubOrchestrationAction;

type NewSchedulingEvent = SchedulingEvent extends infer E
  ? E extends unknown
    ? Omit<E, 'EventId' | 'Timestamp'>
    : never
  : never;

/** Plans one episode. Deterministic in its input; never throws for what an orchestrator may do wrong, see `violation`. */
export function planEpisode(input: ReplayInput): ReplayPlan {
  return new Walk(input).run();
}

class Walk {
  private readonly input: ReplayInput;
  private readonly scheduled = new Map<number, SchedulingEvent>();
  private readonly unconfirmed = new Set<number>();
  private readonly open = new Map<number, WalkTask>();
  private readonly eventWaits = new EventWaits();
  private readonly canceledTimerIds: number[] = [];
  /** Timers in a chain. Their due times are not the orchestrator's choice, so strict mode does not compare them. */
  private readonly linkIds = new Set<number>();
  private readonly reuse: ReuseDetector | undefined;
  private nextActionIndex = 0;
  /** The orchestrator's clock at the event that is applied, and at the end of this episode. */
  private clockMs = 0;
  private readonly episodeClockMs: number;
  private readonly recorded: ReadonlyMap<number, SchedulingEvent>;
  private violation: string | undefined;

  constructor(input: ReplayInput) {
    this.input = input;
    this.recorded = new Map(input.events.filter(isSchedulingEvent).map((event) => [event.EventId, event]));
    this.episodeClockMs = input.events.reduce((clockMs, event) => {
      return event.EventType === eventType.orchestratorStarted ? Date.parse(event.Timestamp) : clockMs;
    }, 0);
    if (input.strict) this.reuse = new ReuseDetector();
  }

  run(): ReplayPlan {
    for (const event of this.input.events) {
      this.apply(event);
      if (this.violation !== undefined) break;
    }
    this.violation ??= this.reuse?.violation;
    const decisions = [...this.unconfirmed]
      .sort((a, b) => a - b)
      .flatMap((id) => this.scheduled.get(id) ?? []);
    const plan = { decisions, canceledTimerIds: this.canceledTimerIds };
    return this.violation === undefined ? plan : { ...plan, violation: this.violation };
  }

  private apply(event: HistoryEvent): void {
    if (event.EventType === eventType.orchestratorStarted) {
      this.clockMs = Math.max(this.clockMs, Date.parse(event.Timestamp));
    } else if (event.EventType === eventType.executionStarted) {
      this.advance();
    } else if (event.EventType === eventType.eventRaised) {
      this.eventWaits.raise(event.Name);
    } else if (isSchedulingEvent(event)) {
      this.confirm(event);
    } else {
      this.endTask(event);
    }
  }

  private endTask(event: HistoryEvent): void {
    const taskId = findEndedTaskId(event);
    if (taskId === undefined) return;
    const hasFailed =
      event.EventType === eventType.taskFailed || event.EventType === eventType.subOrchestrationFailed;
    this.open
      .get(taskId)
      ?.complete(hasFailed ? { isNonRetriable: event.FailureDetails?.IsNonRetriable ?? false } : undefined);
    this.open.delete(taskId);
  }

  /** Invokes top-level actions until one is not done; a loop, because thousands may be done already. */
  private advance(): void {
    for (;;) {
      const action = this.input.actions[this.nextActionIndex];
      if (action === undefined) return;
      this.nextActionIndex++;
      this.reuse?.enterTopLevel(action);
      const task = this.invoke(action);
      if (!task.isDone) {
        task.whenDone(() => this.advance());
        return;
      }
    }
  }

  private invoke(action: Action): WalkTask {
    switch (action.kind) {
      case 'activity':
      case 'subOrchestration': {
        const task =
          action.retry === undefined ? this.call(action) : this.callWithRetry(action, action.retry);
        this.reuse?.note(action, task);
        return task;
      }
      case 'timer':
        return this.createTimer(action);
      case 'externalEvent':
        return this.eventWaits.wait(action.eventName);
      case 'any':
      case 'all':
        return this.combine(action);
      case 'continueAsNew':
        return WalkTask.completed();
      case 'unsupported':
        this.violation ??= `it used ${action.what}, which the local Durable host does not support; use an activity instead.`;
        return new WalkTask();
    }
  }

  private combine(action: CompoundAction): WalkTask {
    const tasks = action.children.map((child) => this.invoke(child));
    return action.kind === 'any' ? WalkTask.any(tasks) : WalkTask.all(tasks);
  }

  private call(action: CallAction): WalkTask {
    if (action.kind === 'subOrchestration') return this.callSubOrchestration(action);
    const input = JSON.stringify([action.input ?? null]);
    return this.schedule({
      EventType: eventType.taskScheduled,
      Name: action.functionName,
      Version: '',
      Input: input,
    });
  }

  private callSubOrchestration(action: SubOrchestrationAction): WalkTask {
    const defaultId = `${this.input.executionId}:${this.scheduled.size.toString(16).padStart(4, '0')}`;
    return this.schedule({
      EventType: eventType.subOrchestrationCreated,
      Name: action.functionName,
      Version: action.version ?? '',
      InstanceId: action.instanceId ?? defaultId,
      Input: action.input === undefined ? null : JSON.stringify(action.input),
    });
  }

  private callWithRetry(action: CallAction, options: ActionRetryOptions): WalkTask {
    const outcome = new WalkTask();
    const expiresAtMs = this.clockMs + (options.retryTimeoutInMilliseconds ?? Infinity);
    let attemptCount = 0;
    const attempt = (): void => {
      const task = this.call(action);
      task.whenDone(() => {
        if (!task.hasFailed) {
          outcome.complete();
          return;
        }
        attemptCount++;
        const fail = () => outcome.complete({ isNonRetriable: task.isNonRetriable });
        // Without a timer: the SDK keeps waiting for one, so such an instance stays Running for ever, in Azure too.
        if (task.isNonRetriable || this.clockMs >= expiresAtMs) {
          fail();
          return;
        }
        const isLast = attemptCount >= options.maxNumberOfAttempts;
        const delayMs = isLast ? 0 : retryDelayMs(options, attemptCount);
        this.scheduleTimer(new Date(this.clockMs + delayMs).toISOString()).whenDone(isLast ? fail : attempt);
      });
    };
    attempt();
    return outcome;
  }

  private createTimer(action: TimerAction): WalkTask {
    if (action.isCanceled) {
      this.waitUntil(action.fireAt, (id) => this.canceledTimerIds.push(id));
      return WalkTask.completed();
    }
    const task = this.waitUntil(action.fireAt);
    this.reuse?.note(action, task);
    return task;
  }

  /**
   * Timers of more than 6 days are chains of timers of 3 days, on both sides of the protocol. Whether a timer is one was decided when
   * the orchestrator created it: the history knows for old ones, and new ones are created now, even if the walk reaches them earlier.
   */
  private waitUntil(fireAt: string, onTimer?: (taskId: number) => void): WalkTask {
    const dueMs = Date.parse(fireAt);
    const id = this.scheduled.size;
    onTimer?.(id);
    const past = this.recorded.get(id);
    const isLink =
      past !== undefined && 'FireAt' in past
        ? dueMs - Date.parse(past.FireAt) > timerLinkMs
        : dueMs - this.episodeClockMs > longestTimerMs;
    if (!isLink) return this.scheduleTimer(fireAt);
    this.linkIds.add(id);
    const outcome = new WalkTask();
    this.scheduleTimer(new Date(this.episodeClockMs + timerLinkMs).toISOString()).whenDone(() => {
      if (this.clockMs >= dueMs) outcome.complete();
      else this.waitUntil(fireAt, onTimer).whenDone(() => outcome.complete());
    });
    return outcome;
  }

  private scheduleTimer(fireAt: string): WalkTask {
    return this.schedule({ EventType: eventType.timerCreated, FireAt: fireAt });
  }

  private schedule(event: NewSchedulingEvent): WalkTask {
    const id = this.scheduled.size;
    const task = new WalkTask();
    this.scheduled.set(id, { EventId: id, Timestamp: this.input.now, ...event });
    this.unconfirmed.add(id);
    this.open.set(id, task);
    return task;
  }

  private confirm(past: SchedulingEvent): void {
    const { EventId: id } = past;
    const comparesDetails = this.input.strict && !this.linkIds.has(id);
    this.violation ??= describeMismatch(past, this.scheduled.get(id), comparesDetails);
    this.unconfirmed.delete(id);
  }
}

const dayMs = 24 * 60 * 60 * 1000;
const longestTimerMs = 6 * dayMs;
const timerLinkMs = 3 * dayMs;

/** Milliseconds to wait after the given number of failed attempts. */
function retryDelayMs(options: ActionRetryOptions, failedAttemptCount: number): number {
  const growth = (options.backoffCoefficient ?? 1) ** (failedAttemptCount - 1);
  return Math.min(
    options.firstRetryIntervalInMilliseconds * growth,
    options.maxRetryIntervalInMilliseconds ?? Infinity,
    maxDelayMs,
  );
}

/** Keeps due times inside what a Date can hold. */
const maxDelayMs = 3650 * dayMs;
