// History events of the Durable out-of-process protocol: the field names and numbers are the extension's, because the app's SDK reads them.
// An event is a plain JSON object and never changes after it was made; `IsPlayed` is added when it is sent to the app.

/** `EventType` numbers (DTFx `EventType`). */
export const eventType = {
  executionStarted: 0,
  executionCompleted: 1,
  executionTerminated: 3,
  taskScheduled: 4,
  taskCompleted: 5,
  taskFailed: 6,
  subOrchestrationCreated: 7,
  subOrchestrationCompleted: 8,
  subOrchestrationFailed: 9,
  timerCreated: 10,
  timerFired: 11,
  orchestratorStarted: 12,
  orchestratorCompleted: 13,
  eventRaised: 15,
  generic: 17,
  executionSuspended: 19,
  executionResumed: 20,
} as const;

type Types = typeof eventType;

/** `EventId` is the task's sequence number on events that schedule something and -1 on all others. Times are ISO 8601. */
interface EventBase {
  EventId: number;
  Timestamp: string;
}

/** The wire form of a failure that the app described with properties (SDK: `TaskFailedError.failureDetails`). */
export interface FailureDetails {
  ErrorType: string;
  ErrorMessage: string;
  StackTrace?: string | null;
  IsNonRetriable?: boolean;
  Properties?: Record<string, unknown> | null;
  InnerFailure?: FailureDetails | null;
}

export interface ExecutionStartedEvent extends EventBase {
  EventType: Types['executionStarted'];
  OrchestrationInstance: { InstanceId: string; ExecutionId: string };
  ParentInstance: { OrchestrationInstance: { InstanceId: string } } | null;
  Name: string;
  Version: string;
  /** JSON text. */
  Input: string | null;
  Tags: null;
  ScheduledStartTime: null;
}

export interface TaskScheduledEvent extends EventBase {
  EventType: Types['taskScheduled'];
  Name: string;
  Version: string;
  /** JSON array with the one argument. */
  Input: string;
}

export interface SubOrchestrationCreatedEvent extends EventBase {
  EventType: Types['subOrchestrationCreated'];
  Name: string;
  Version: string;
  InstanceId: string;
  /** JSON text. */
  Input: string | null;
}

export interface TimerCreatedEvent extends EventBase {
  EventType: Types['timerCreated'];
  FireAt: string;
}

/** An event that an orchestrator's action causes; its `EventId` is the task id that a completion refers to. */
export type SchedulingEvent = TaskScheduledEvent | SubOrchestrationCreatedEvent | TimerCreatedEvent;

export interface CompletedEvent extends EventBase {
  EventType: Types['taskCompleted'] | Types['subOrchestrationCompleted'];
  TaskScheduledId: number;
  /** JSON text; the SDK parses it always, so "no value" is the text `null`. */
  Result: string;
}

export interface FailedEvent extends EventBase {
  EventType: Types['taskFailed'] | Types['subOrchestrationFailed'];
  TaskScheduledId: number;
  Reason: string;
  Details: string;
  FailureDetails: FailureDetails | null;
}

export interface TimerFiredEvent extends EventBase {
  EventType: Types['timerFired'];
  TimerId: number;
  FireAt: string;
}

export interface EventRaisedEvent extends EventBase {
  EventType: Types['eventRaised'];
  Name: string;
  /** JSON text, or empty for "no value". */
  Input: string;
}

/** Any event that answers a scheduling event. */
export type TaskEndEvent = CompletedEvent | FailedEvent | TimerFiredEvent;

export interface MarkerEvent extends EventBase {
  EventType: Types['orchestratorStarted'] | Types['orchestratorCompleted'];
}

/** Records that the orchestrator cancelled a timer; a kind of event that the SDK skips. */
export interface TimerCanceledEvent extends EventBase {
  EventType: Types['generic'];
  CanceledTimerId: number;
}

export interface ControlEvent extends EventBase {
  EventType: Types['executionSuspended'] | Types['executionResumed'] | Types['executionTerminated'];
  Reason: string;
}

export interface ExecutionCompletedEvent extends EventBase {
  EventType: Types['executionCompleted'];
  OrchestrationStatus: string;
  /** JSON text. */
  Result: string;
  FailureDetails?: FailureDetails;
}

export type HistoryEvent =
  | ExecutionStartedEvent
  | SchedulingEvent
  | TaskEndEvent
  | EventRaisedEvent
  | MarkerEvent
  | TimerCanceledEvent
  | ControlEvent
  | ExecutionCompletedEvent;

/** What the inbox carries. */
export type InboxEvent = TaskEndEvent | EventRaisedEvent;

/** True for events that an action of the orchestrator causes. */
export function isSchedulingEvent(event: HistoryEvent): event is SchedulingEvent {
  return (
    event.EventType === eventType.taskScheduled ||
    event.EventType === eventType.subOrchestrationCreated ||
    event.EventType === eventType.timerCreated
  );
}

/** The task that an event ends, or undefined when it ends none. */
export function findEndedTaskId(event: HistoryEvent): number | undefined {
  if ('TaskScheduledId' in event) return event.TaskScheduledId;
  return event.EventType === eventType.timerFired ? event.TimerId : undefined;
}
