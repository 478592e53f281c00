// One unfinished instance in memory: what the tables say about it, and nothing that they do not imply.
// Dropping a LoadedInstance loses nothing; it is loaded again when it is needed.
import {
  eventType,
  findEndedTaskId,
  isSchedulingEvent,
  type HistoryEvent,
  type SchedulingEvent,
} from './events.ts';
import type { StoredEvent } from './historyStore.ts';
import type { InboxMessage } from './inboxStore.ts';
import { isFinished, type InstanceRecord } from './instanceRecord.ts';
import type { VersionedRecord } from './instanceStore.ts';

export class LoadedInstance {
  versioned: VersionedRecord;
  /** Committed events of the current execution. */
  history: StoredEvent[];
  /** Scheduled tasks of the current execution that have not ended; cancelled timers are not among them. */
  openTasks: Map<number, SchedulingEvent>;
  /** Messages above the cursor, in order. */
  inbox: InboxMessage[];
  /** Rows of the inbox that may be deleted. */
  consumedSequences: number[];
  nextSequence: number;
  /** Set when the storage has lost part of the instance, which has therefore just been made Failed. */
  damage?: string;

  constructor(
    versioned: VersionedRecord,
    history: StoredEvent[] = [],
    inboxRows: readonly InboxMessage[] = [],
  ) {
    const cursor = versioned.record.inboxCursor;
    this.versioned = versioned;
    this.history = history;
    this.openTasks = new Map();
    this.applyToOpenTasks(history);
    this.inbox = inboxRows.filter((message) => message.sequence > cursor);
    this.consumedSequences = inboxRows
      .filter((message) => message.sequence <= cursor)
      .map((message) => message.sequence);
    this.nextSequence = Math.max(cursor, ...inboxRows.map((message) => message.sequence)) + 1;
  }

  /** A finished instance: its messages are void and its history is of no use to anybody here. */
  static finished(versioned: VersionedRecord, sequences: readonly number[]): LoadedInstance {
    const loaded = new LoadedInstance(versioned);
    loaded.consumedSequences = [...sequences];
    loaded.nextSequence = Math.max(versioned.record.inboxCursor, ...sequences) + 1;
    return loaded;
  }

  get record(): InstanceRecord {
    return this.versioned.record;
  }

  get isFinished(): boolean {
    return isFinished(this.record.status);
  }

  /** True when an episode has something to do. */
  get isRunnable(): boolean {
    if (this.isFinished || this.record.status === 'Suspended') return false;
    return this.record.historyLength === 0 || this.inbox.length > 0;
  }

  /** The messages that an episode may see: no second end of a task, nothing of another execution. */
  selectMessages(): InboxMessage[] {
    const endedTaskIds = new Set<number>();
    return this.inbox.filter(({ event, executionId }) => {
      if (executionId !== undefined && executionId !== this.record.executionId) return false;
      const taskId = findEndedTaskId(event);
      if (taskId === undefined) return true;
      if (!this.openTasks.has(taskId) || endedTaskIds.has(taskId)) return false;
      endedTaskIds.add(taskId);
      return true;
    });
  }

  /** Open tasks that nothing in the inbox ends yet: exactly these are to be running somewhere. */
  listTasksToDispatch(): SchedulingEvent[] {
    const ending = new Set(this.selectMessages().map(({ event }) => findEndedTaskId(event)));
    return [...this.openTasks.values()].filter((task) => !ending.has(task.EventId));
  }

  /** Moves all messages in memory to the consumed ones. */
  consumeInbox(): void {
    this.consumedSequences.push(...this.inbox.map((message) => message.sequence));
    this.inbox = [];
  }

  /** Takes over what a commit has written. */
  applyCommit(versioned: VersionedRecord, events: readonly StoredEvent[]): void {
    if (versioned.record.executionId !== this.record.executionId) {
      this.history = [];
      this.openTasks.clear();
    }
    this.versioned = versioned;
    this.history.push(...events);
    this.applyToOpenTasks(events);
  }

  private applyToOpenTasks(events: readonly StoredEvent[]): void {
    for (const { event } of events) {
      if (isSchedulingEvent(event)) this.openTasks.set(event.EventId, event);
      const endedTaskId = findEndedTaskId(event) ?? findCanceledTimerId(event);
      if (endedTaskId !== undefined) this.openTasks.delete(endedTaskId);
    }
  }
}

function findCanceledTimerId(event: HistoryEvent): number | undefined {
  return event.EventType === eventType.generic ? event.CanceledTimerId : undefined;
}
