// Runs activities, a bounded number at a time, first scheduled, first run. The queue is memory only: an activity is due while its task
// is open in a committed history, so what a crash drops here is queued again at the next load. At least once, never twice at the same time.
import type { HostLog, TypedData, Worker } from '../worker/types.ts';
import { eventType, type CompletedEvent, type FailedEvent, type FailureDetails } from './events.ts';
import type { FunctionIndex } from './functionIndex.ts';
import type { StepGuard } from './stepGuard.ts';

export interface ActivityWork {
  instanceId: string;
  executionId: string;
  taskId: number;
  name: string;
  /** JSON array with the one argument. */
  input: string;
}

export interface ActivityOptions {
  worker: Worker;
  functions: FunctionIndex;
  guard: StepGuard;
  log: HostLog;
  maxConcurrent: number;
  /** Makes the result durable. Does not reject, and resolves early only on a halted host. */
  complete(work: ActivityWork, event: CompletedEvent | FailedEvent): Promise<void>;
}

export class ActivityDispatcher {
  private readonly options: ActivityOptions;
  private readonly waiting = new Map<string, ActivityWork>();
  /** From the start of the function until its result is durable. */
  private readonly inFlight = new Map<string, Promise<void>>();
  private freeCount: number;
  private isDraining = false;

  constructor(options: ActivityOptions) {
    this.options = options;
    this.freeCount = options.maxConcurrent;
  }

  /** Queues an activity. Queueing one that waits or runs already changes nothing. */
  enqueue(work: ActivityWork): void {
    const key = keyOf(work);
    if (this.waiting.has(key) || this.inFlight.has(key)) return;
    this.waiting.set(key, work);
    this.startWaiting();
  }

  /** Drops what an instance has waiting. What runs goes on, and its result is ignored by the instance. */
  forget(instanceId: string): void {
    for (const [key, work] of this.waiting) if (work.instanceId === instanceId) this.waiting.delete(key);
  }

  /** Starts no more activities; resolves when the running ones are done, or after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    this.isDraining = true;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs)));
    await Promise.race([Promise.all(this.inFlight.values()), timeout]);
    clearTimeout(timer);
  }

  private startWaiting(): void {
    for (const [key, work] of this.waiting) {
      if (this.freeCount === 0 || this.isDraining) return;
      this.freeCount--;
      this.waiting.delete(key);
      this.inFlight.set(
        key,
        this.run(work).finally(() => this.inFlight.delete(key)),
      );
    }
  }

  private async run(work: ActivityWork): Promise<void> {
    let event: CompletedEvent | FailedEvent;
    try {
      this.options.guard.reach('activity.invoke:before');
      event = await this.invoke(work);
      this.options.guard.reach('activity.invoke:after');
    } catch {
      return; // The host has halted; the activity is due at the next start.
    } finally {
      this.freeCount++;
    }
    this.startWaiting();
    await this.options.complete(work, event);
  }

  private async invoke(work: ActivityWork): Promise<CompletedEvent | FailedEvent> {
    const { worker, functions, log } = this.options;
    const end = { EventId: -1, TaskScheduledId: work.taskId };
    try {
      const activity = functions.find('activity', work.name);
      if (activity === undefined) throw new Error(functions.describeMissing('activity', work.name));
      const trigger = toTriggerValue(work.input);
      const { returnValue } = await worker.invoke({
        functionId: activity.functionId,
        trigger,
        triggerMetadata: { instanceId: { string: work.instanceId }, ...(trigger && { data: trigger }) },
      });
      return {
        EventType: eventType.taskCompleted,
        Timestamp: new Date().toISOString(),
        ...end,
        Result: toResult(returnValue),
      };
    } catch (error) {
      const { message, stack } = error instanceof Error ? error : new Error(String(error));
      const failureDetails = findFailureDetails(message);
      const reason = `Activity function '${work.name}' failed: ${failureDetails?.ErrorMessage ?? message}`;
      log('warning', 'Host.Durable', `Instance ${work.instanceId}, task #${work.taskId}: ${reason}`);
      const outcome = { Reason: reason, Details: stack ?? '', FailureDetails: failureDetails ?? null };
      return { EventType: eventType.taskFailed, Timestamp: new Date().toISOString(), ...end, ...outcome };
    }
  }
}

function keyOf({ executionId, taskId }: ActivityWork): string {
  return `${executionId}/${taskId}`;
}

/** The extension's conversion to a string, whose booleans are .NET's. A string arrives JSON-encoded from the SDK; null is no value. */
function toTriggerValue(inputArray: string): TypedData | undefined {
  const [input] = JSON.parse(inputArray) as [unknown];
  if (input === null) return undefined;
  if (typeof input === 'string') return { string: input };
  if (typeof input === 'boolean') return { string: input ? 'True' : 'False' };
  return { string: JSON.stringify(input) };
}

/** JSON text of what an activity returned. */
function toResult(value: TypedData | undefined): string {
  if (value?.json !== undefined) return value.json;
  if (value?.string !== undefined) return JSON.stringify(value.string);
  if (value?.bytes !== undefined) return JSON.stringify(Buffer.from(value.bytes).toString('base64'));
  return JSON.stringify(value?.int ?? value?.double ?? null);
}

/** With an ExceptionPropertiesProvider the SDK puts the described failure, as JSON, into the error's message. */
function findFailureDetails(message: string): FailureDetails | undefined {
  if (!message.startsWith('{')) return undefined;
  try {
    const raw = JSON.parse(message) as Record<string, unknown>;
    if (typeof raw['errorType'] !== 'string' || typeof raw['errorMessage'] !== 'string') return undefined;
    return {
      ErrorType: raw['errorType'],
      ErrorMessage: raw['errorMessage'],
      StackTrace: typeof raw['stackTrace'] === 'string' ? raw['stackTrace'] : null,
      IsNonRetriable: raw['isNonRetriable'] === true,
      Properties: (raw['properties'] as Record<string, unknown> | undefined) ?? null,
    };
  } catch {
    return undefined;
  }
}
