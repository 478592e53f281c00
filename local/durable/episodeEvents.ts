// The events around an orchestrator's own: what an episode begins and ends with, and the history as the app receives it.
import type { OrchestratorState } from './actions.ts';
import { eventType, type ExecutionStartedEvent, type FailureDetails, type HistoryEvent } from './events.ts';
import type { StoredEvent } from './historyStore.ts';
import type { InboxMessage } from './inboxStore.ts';
import type { InstanceRecord } from './instanceRecord.ts';

export interface EpisodeInput {
  record: InstanceRecord;
  history: readonly StoredEvent[];
  messages: readonly InboxMessage[];
}

export interface EpisodeEnding {
  status: 'Completed' | 'Failed';
  /** JSON text. */
  output: string;
}

export function freshEvents({ record, history, messages }: EpisodeInput): StoredEvent[] {
  // A clock that went back, or a timer that fired a moment early, must not make the orchestrator's time run backwards.
  const earliestMs = [history.at(-1)?.event.Timestamp, ...messages.map(({ event }) => dueTimeOf(event))]
    .map((time) => (time === undefined ? 0 : Date.parse(time)))
    .reduce((a, b) => Math.max(a, b), 0);
  const now = new Date(Math.max(Date.now(), earliestMs)).toISOString();
  return [
    toStored({ EventType: eventType.orchestratorStarted, EventId: -1, Timestamp: now }),
    ...(history.length === 0 ? [toStored(startedEvent(record))] : []),
    ...messages.map(({ event, json, blobName }) => ({
      event,
      json,
      ...(blobName === undefined ? {} : { blobName }),
    })),
  ];
}

function dueTimeOf(event: HistoryEvent): string | undefined {
  return event.EventType === eventType.timerFired ? event.FireAt : undefined;
}

function startedEvent(record: InstanceRecord): ExecutionStartedEvent {
  return {
    EventType: eventType.executionStarted,
    EventId: -1,
    Timestamp: record.startedAt,
    OrchestrationInstance: { InstanceId: record.instanceId, ExecutionId: record.executionId },
    ParentInstance: record.parent
      ? { OrchestrationInstance: { InstanceId: record.parent.instanceId } }
      : null,
    Name: record.name,
    Version: record.version,
    Input: record.input?.text ?? null,
    Tags: null,
    ScheduledStartTime: null,
  };
}

export function toPayload({ record, history }: EpisodeInput, fresh: readonly StoredEvent[]): string {
  const mark = (stored: StoredEvent, isPlayed: boolean) =>
    `${stored.json.slice(0, -1)},"IsPlayed":${isPlayed}}`;
  const events = [
    ...history.map((stored) => mark(stored, true)),
    ...fresh.map((stored) => mark(stored, false)),
  ];
  const rest = JSON.stringify({
    instanceId: record.instanceId,
    isReplaying: history.length > 0,
    parentInstanceId: record.parent?.instanceId ?? null,
    upperSchemaVersion: 1,
    upperSchemaVersionNew: 3,
    longRunningTimerIntervalDuration: '3.00:00:00',
    maximumShortTimerDuration: '6.00:00:00',
    defaultHttpAsyncRequestSleepTimeMillseconds: 30_000,
  });
  return `{"history":[${events.join(',')}],"input":${record.input?.text ?? 'null'},${rest.slice(1)}`;
}

export function closingEvents(now: string, state: OrchestratorState, continuesAsNew: boolean): StoredEvent[] {
  const closed = toStored({ EventType: eventType.orchestratorCompleted, EventId: -1, Timestamp: now });
  return state.isDone && !continuesAsNew
    ? [completedEvent(now, 'Completed', state.output), closed]
    : [closed];
}

/** The failure's description stays in the history; the message to a parent takes it from there. */
export function completedEvent(
  now: string,
  status: EpisodeEnding['status'],
  output: string,
  failureDetails?: unknown,
): StoredEvent {
  return toStored({
    EventType: eventType.executionCompleted,
    EventId: -1,
    Timestamp: now,
    OrchestrationStatus: status,
    Result: output,
    ...(failureDetails === undefined ? {} : { FailureDetails: failureDetails as FailureDetails }),
  });
}

export function timestampOf(fresh: readonly StoredEvent[]): string {
  const first = fresh[0];
  if (first === undefined) throw new Error('an episode has at least its OrchestratorStarted event');
  return first.event.Timestamp;
}

/** An event with its text; a blob for a long text is made when it is committed. */
export function toStored(event: HistoryEvent): StoredEvent {
  return { event, json: JSON.stringify(event) };
}
