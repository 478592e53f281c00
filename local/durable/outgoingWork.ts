// Carries out what committed state implies: queues activities, arms timers, starts sub-orchestrations, tells parents.
// Whatever fails is tried again until it works or the host halts; whatever is lost follows from the tables again at the next load.
import { randomUUID } from 'node:crypto';
import type { HostLog } from '../worker/types.ts';
import type { ActivityDispatcher } from './activities.ts';
import { errorText } from './errorText.ts';
import {
  eventType,
  type FailureDetails,
  type InboxEvent,
  type SchedulingEvent,
  type SubOrchestrationCreatedEvent,
} from './events.ts';
import type { FunctionIndex } from './functionIndex.ts';
import type { HistoryStore } from './historyStore.ts';
import type { Message } from './inboxStore.ts';
import type { Outgoing } from './outgoing.ts';
import { describeInvalidInstanceId } from './instanceId.ts';
import type { InstanceRegistry } from './instanceRegistry.ts';
import type { InstanceRecord } from './instanceRecord.ts';
import { HostHalted, type StepGuard } from './stepGuard.ts';
import type { TimerService } from './timers.ts';

export interface OutgoingOptions {
  activities: ActivityDispatcher;
  timers: TimerService;
  functions: FunctionIndex;
  history: HistoryStore;
  guard: StepGuard;
  log: HostLog;
  /** Called lazily: the registry needs this object first. */
  registry: () => InstanceRegistry;
  onFinished: (record: InstanceRecord) => void;
}

export class OutgoingWork implements Outgoing {
  private readonly options: OutgoingOptions;
  private readonly running = new Set<Promise<void>>();

  constructor(options: OutgoingOptions) {
    this.options = options;
  }

  dispatch(record: InstanceRecord, tasks: readonly SchedulingEvent[]): void {
    for (const task of tasks) this.dispatchOne(record, task);
  }

  cancelTimer(instanceId: string, taskId: number): void {
    this.options.timers.cancel(instanceId, taskId);
  }

  forget(instanceId: string): void {
    this.options.timers.cancelAllOf(instanceId);
    this.options.activities.forget(instanceId);
  }

  finished(record: InstanceRecord): void {
    this.options.onFinished(record);
    const { parent } = record;
    if (parent === undefined) return;
    void this.keepTrying(`telling ${parent.instanceId} that ${record.instanceId} has finished`, async () => {
      const event = await this.toParentEvent(record, parent.taskId);
      this.options.guard.reach('parent.notify:before');
      await this.deliver(parent.instanceId, {
        messageId: newMessageId(),
        executionId: parent.executionId,
        event,
      });
      this.options.guard.reach('parent.notify:after');
    });
  }

  /** Makes the end of a task durable; resolves when it is, or when the host has halted. */
  complete(work: { instanceId: string; executionId: string }, event: InboxEvent): Promise<void> {
    const message: Message = { messageId: newMessageId(), executionId: work.executionId, event };
    return this.keepTrying(`recording the end of a task of ${work.instanceId}`, () =>
      this.deliver(work.instanceId, message),
    );
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    while (this.running.size > 0) await Promise.all(this.running);
  }

  private dispatchOne(record: InstanceRecord, task: SchedulingEvent): void {
    const { instanceId, executionId } = record;
    switch (task.EventType) {
      case eventType.taskScheduled:
        this.options.activities.enqueue({
          instanceId,
          executionId,
          taskId: task.EventId,
          name: task.Name,
          input: task.Input,
        });
        return;
      case eventType.timerCreated:
        this.options.timers.arm(instanceId, task.EventId, Date.parse(task.FireAt), () => {
          const fired = {
            EventType: eventType.timerFired,
            EventId: -1,
            Timestamp: new Date().toISOString(),
            TimerId: task.EventId,
            FireAt: task.FireAt,
          };
          void this.complete({ instanceId, executionId }, fired);
        });
        return;
      case eventType.subOrchestrationCreated:
        void this.keepTrying(`starting sub-orchestration ${task.InstanceId}`, () =>
          this.startChild(record, task),
        );
    }
  }

  private async startChild(parent: InstanceRecord, task: SubOrchestrationCreatedEvent): Promise<void> {
    const problem = this.describeUnstartable(task) ?? (await this.tryStart(parent, task));
    if (problem === undefined) return;
    const event = {
      EventType: eventType.subOrchestrationFailed,
      EventId: -1,
      Timestamp: new Date().toISOString(),
      TaskScheduledId: task.EventId,
      Reason: problem,
      Details: '',
      FailureDetails: null,
    };
    await this.deliver(parent.instanceId, {
      messageId: newMessageId(),
      executionId: parent.executionId,
      event,
    });
  }

  private describeUnstartable(task: SubOrchestrationCreatedEvent): string | undefined {
    const invalidId = describeInvalidInstanceId(task.InstanceId);
    if (invalidId !== undefined) return invalidId;
    const { functions } = this.options;
    return functions.find('orchestrator', task.Name)
      ? undefined
      : functions.describeMissing('orchestrator', task.Name);
  }

  /** Why the child cannot be started; undefined when it is started, now or earlier. */
  private async tryStart(
    parent: InstanceRecord,
    task: SubOrchestrationCreatedEvent,
  ): Promise<string | undefined> {
    const { guard, registry } = this.options;
    guard.reach('child.start:before');
    const outcome = await registry()
      .get(task.InstanceId)
      .start({
        name: task.Name,
        version: task.Version,
        parent: { instanceId: parent.instanceId, executionId: parent.executionId, taskId: task.EventId },
        ...(task.Input === null ? {} : { input: { text: task.Input } }),
      });
    guard.reach('child.start:after');
    if (outcome !== 'running') return undefined;
    return `An instance with id '${task.InstanceId}' is running already; give the sub-orchestration another id, or none.`;
  }

  private async toParentEvent(record: InstanceRecord, taskId: number): Promise<InboxEvent> {
    // A finished instance has an output always, be it null; it has none when the storage lost it.
    const result =
      record.output?.text ??
      JSON.stringify(`The output of '${record.instanceId}' is missing from the storage.`);
    const base = { EventId: -1, Timestamp: new Date().toISOString(), TaskScheduledId: taskId };
    if (record.status === 'Completed' && record.output !== undefined)
      return { EventType: eventType.subOrchestrationCompleted, ...base, Result: result };
    const output: unknown = JSON.parse(result);
    const reason =
      typeof output === 'string' && output !== ''
        ? output
        : `Sub-orchestration '${record.name}' was terminated.`;
    const failure = { Reason: reason, Details: '', FailureDetails: await this.findFailureDetails(record) };
    return { EventType: eventType.subOrchestrationFailed, ...base, ...failure };
  }

  /** A failed episode ends with ExecutionCompleted and OrchestratorCompleted. */
  private async findFailureDetails(record: InstanceRecord): Promise<FailureDetails | null> {
    if (record.status !== 'Failed') return null;
    const { instanceId, executionId, historyLength } = record;
    const tail = await this.options.history.read(
      instanceId,
      executionId,
      historyLength,
      Math.max(0, historyLength - 2),
    );
    for (const { event } of tail)
      if (event.EventType === eventType.executionCompleted) return event.FailureDetails ?? null;
    return null;
  }

  private async deliver(instanceId: string, message: Message): Promise<void> {
    await this.options.registry().get(instanceId).deliver(message);
  }

  private keepTrying(what: string, action: () => Promise<void>): Promise<void> {
    const trying = this.tryUntilDone(what, action).finally(() => this.running.delete(trying));
    this.running.add(trying);
    return trying;
  }

  private async tryUntilDone(what: string, action: () => Promise<void>): Promise<void> {
    const { guard, log } = this.options;
    for (let failureCount = 0; !guard.isHalted; failureCount++) {
      try {
        await action();
        return;
      } catch (error) {
        if (error instanceof HostHalted) return;
        log('warning', 'Host.Durable', `Failed at ${what}, trying again: ${errorText(error)}`);
        await guard.pause(Math.min(500 * 2 ** failureCount, 30_000));
      }
    }
  }
}

function newMessageId(): string {
  return randomUUID();
}
