// What the management API shows of an instance. Times have second precision and finished tasks are shown without their scheduling
// event, because that is what Azure answers and clients have come to rely on.
import {
  eventType,
  findEndedTaskId,
  isSchedulingEvent,
  type HistoryEvent,
  type SchedulingEvent,
} from './events.ts';
import type { InstanceRecord } from './instanceRecord.ts';

/** An instance as the API shows it; `historyEvents` only when asked for. */
export interface StatusView {
  name: string;
  instanceId: string;
  runtimeStatus: string;
  input: unknown;
  customStatus: unknown;
  output: unknown;
  createdTime: string;
  lastUpdatedTime: string;
  historyEvents?: Record<string, unknown>[];
}

export function toStatusView(record: InstanceRecord, showInput: boolean): StatusView {
  return {
    name: record.name,
    instanceId: record.instanceId,
    runtimeStatus: record.status,
    input: showInput ? parse(record.input?.text) : null,
    customStatus: parse(record.customStatus),
    output: parse(record.output?.text),
    createdTime: toSeconds(record.createdAt),
    lastUpdatedTime: toSeconds(record.lastUpdatedAt),
  };
}

/** History for people: what happened, without the bookkeeping. Results are left out unless `showOutput`. */
export function toHistoryView(
  events: readonly HistoryEvent[],
  showOutput: boolean,
): Record<string, unknown>[] {
  const scheduled = new Map<number, SchedulingEvent>();
  for (const event of events) if (isSchedulingEvent(event)) scheduled.set(event.EventId, event);
  const ended = new Set(events.map(findEndedTaskId));
  return events
    .filter((event) => isShown(event, ended))
    .map((event) => describe(event, scheduled, showOutput));
}

const eventNames = new Map<number, string>([
  [eventType.executionStarted, 'ExecutionStarted'],
  [eventType.executionCompleted, 'ExecutionCompleted'],
  [eventType.executionTerminated, 'ExecutionTerminated'],
  [eventType.taskScheduled, 'TaskScheduled'],
  [eventType.taskCompleted, 'TaskCompleted'],
  [eventType.taskFailed, 'TaskFailed'],
  [eventType.subOrchestrationCreated, 'SubOrchestrationInstanceCreated'],
  [eventType.subOrchestrationCompleted, 'SubOrchestrationInstanceCompleted'],
  [eventType.subOrchestrationFailed, 'SubOrchestrationInstanceFailed'],
  [eventType.timerCreated, 'TimerCreated'],
  [eventType.timerFired, 'TimerFired'],
  [eventType.eventRaised, 'EventRaised'],
  [eventType.executionSuspended, 'ExecutionSuspended'],
  [eventType.executionResumed, 'ExecutionResumed'],
]);

function isShown(event: HistoryEvent, ended: ReadonlySet<number | undefined>): boolean {
  return eventNames.has(event.EventType) && !(isSchedulingEvent(event) && ended.has(event.EventId));
}

function describe(
  event: HistoryEvent,
  scheduled: ReadonlyMap<number, SchedulingEvent>,
  showOutput: boolean,
): Record<string, unknown> {
  const view: Record<string, unknown> = {
    EventType: eventNames.get(event.EventType),
    Timestamp: event.Timestamp,
  };
  const taskId = findEndedTaskId(event);
  const start = taskId === undefined ? undefined : scheduled.get(taskId);
  if (start) view['ScheduledTime'] = start.Timestamp;
  if (start && 'Name' in start) view['FunctionName'] = start.Name;
  if ('Name' in event) view[event.EventType === eventType.eventRaised ? 'Name' : 'FunctionName'] = event.Name;
  if ('FireAt' in event) view['FireAt'] = event.FireAt;
  if ('InstanceId' in event) view['InstanceId'] = event.InstanceId;
  return { ...view, ...describeEnd(event, showOutput) };
}

function describeEnd(event: HistoryEvent, showOutput: boolean): Record<string, unknown> {
  const view: Record<string, unknown> = {};
  if ('OrchestrationStatus' in event) view['OrchestrationStatus'] = event.OrchestrationStatus;
  if ('Reason' in event) view['Reason'] = event.Reason;
  if (showOutput && 'Details' in event) view['Details'] = event.Details;
  if (showOutput && 'Result' in event) view['Result'] = parse(event.Result);
  return view;
}

function parse(json: string | undefined): unknown {
  return json === undefined ? null : (JSON.parse(json) as unknown);
}

function toSeconds(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}
