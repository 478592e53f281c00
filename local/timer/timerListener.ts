// Runs one timer function: at its occurrences, once at the start when one was missed or `runOnStartup` says so.
// Runs never overlap; occurrences that pass during a run collapse into one right after it. A failed run does
// not change the schedule.
import { reasonOf } from '../process/startError.ts';
import { invokeWithRetry } from '../worker/retryPolicy.ts';
import type { HostLog, LoadedFunction, TypedData, Worker } from '../worker/types.ts';
import type { Schedule } from './ncrontab.ts';
import { type TimerStatus, type TimerStatusBlob, judgeStatus, toStatusJson } from './timerStatus.ts';

/** setTimeout takes no more. */
const maximumDelayMs = 2 ** 31 - 1;

export interface TimerListenerOptions {
  loaded: LoadedFunction;
  schedule: Schedule;
  worker: Worker;
  log: HostLog;
  /** Absent when the monitor is off (`useMonitor: false`, or more than one run a minute). */
  statusBlob: TimerStatusBlob | undefined;
}

export class TimerListener {
  readonly #options: TimerListenerOptions;
  readonly #abort = new AbortController();
  #status: TimerStatus | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TimerListenerOptions) {
    this.#options = options;
  }

  get loaded(): LoadedFunction {
    return this.#options.loaded;
  }

  /** Reads the status and arms the timer; a missed occurrence runs at once, in the background. */
  async start(): Promise<void> {
    const { schedule, statusBlob, loaded, log } = this.#options;
    const judged = judgeStatus(await statusBlob?.find(), schedule, new Date());
    this.#status = judged.status;
    if (judged.status !== undefined) await statusBlob?.save(judged.status);
    const isOnStartup = loaded.trigger['runOnStartup'] === true;
    if (judged.isPastDue)
      log('information', 'Host.Timer', `${loaded.name} missed an occurrence and runs now.`);
    if (judged.isPastDue || isOnStartup) void this.#runThenArm(judged.isPastDue);
    else this.#arm(new Date());
  }

  /** No further run begins; a running one goes on. */
  stop(): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
  }

  /** Runs the function now, outside its schedule. Rejects with the handler's error. */
  async runNow(isPastDue = false): Promise<void> {
    const { worker, loaded, log, statusBlob } = this.#options;
    const scheduleStatus =
      statusBlob === undefined || this.#status === undefined ? null : toStatusJson(this.#status);
    const trigger: TypedData = {
      json: JSON.stringify({
        Schedule: { AdjustForDST: true },
        ScheduleStatus: scheduleStatus,
        IsPastDue: isPastDue,
      }),
    };
    const invocation = { functionId: loaded.functionId, trigger };
    await invokeWithRetry({ worker, invocation, retry: loaded.retry, log, signal: this.#abort.signal });
  }

  async #runThenArm(isPastDue: boolean, due?: Date): Promise<void> {
    const now = new Date();
    // A timeout may end a moment early by this clock; counted from then, the same occurrence would come again.
    const startedAt = due !== undefined && due > now ? due : now;
    try {
      await this.runNow(isPastDue);
    } catch {
      // The worker has logged it, and the schedule goes on.
    }
    if (this.#abort.signal.aborted) return;
    await this.#record(startedAt);
    this.#arm(startedAt);
  }

  async #record(last: Date): Promise<void> {
    const { schedule, statusBlob, log, loaded } = this.#options;
    const next = schedule.next(last);
    if (next === undefined) return;
    this.#status = { last, next, lastUpdated: last };
    try {
      await statusBlob?.save(this.#status);
    } catch (error) {
      log('warning', 'Host.Timer', `Cannot save the status of ${loaded.name}: ${reasonOf(error)}`);
    }
  }

  /** Arms for the first occurrence after `after`; one that has passed meanwhile runs at once. */
  #arm(after: Date): void {
    if (this.#abort.signal.aborted) return;
    const next = this.#options.schedule.next(after);
    if (next === undefined) return;
    const delayMs = Math.max(0, next.getTime() - Date.now());
    if (delayMs > maximumDelayMs) this.#timer = setTimeout(() => this.#arm(after), maximumDelayMs);
    else this.#timer = setTimeout(() => void this.#runThenArm(false, next), delayMs);
  }
}
