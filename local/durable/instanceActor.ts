// The one loop that works on an instance. Everybody else asks it: deliver a message, start, suspend, terminate, purge.
// Requests are served one at a time, in turns; between turns memory and tables agree, or memory is dropped.
// After an error nothing in memory is believed: the instance is loaded again, and its open work dispatched again.
import type { EpisodeRunner } from './episode.ts';
import { errorText } from './errorText.ts';
import { eventType, type ControlEvent } from './events.ts';
import type { Gate } from './gate.ts';
import type { Message } from './inboxStore.ts';
import type { InstanceRecord } from './instanceRecord.ts';
import { isSameLink, newRecord, type StartOutcome, type StartRequest } from './instanceStart.ts';
import type { InstanceWriter } from './instanceWriter.ts';
import type { LoadedInstance } from './loadedInstance.ts';
import type { Outgoing } from './outgoing.ts';
import { HostHalted, type StepGuard } from './stepGuard.ts';
import type { HostLog } from '../worker/types.ts';

export interface ActorContext {
  writer: InstanceWriter;
  episodes: EpisodeRunner;
  outgoing: Outgoing;
  /** Bounds how many instances talk to the storage at a time. A turn never waits for another instance. */
  gate: Gate;
  guard: StepGuard;
  log: HostLog;
  /** Called when the actor has nothing to do. */
  onIdle(actor: InstanceActor): void;
}

interface Command {
  run(): Promise<void>;
  reject(error: unknown): void;
}

interface Delivery {
  message: Message;
  resolve(outcome: 'accepted' | 'gone'): void;
  reject(error: unknown): void;
}

export class InstanceActor {
  readonly instanceId: string;
  private readonly context: ActorContext;
  /** undefined: not loaded; null: there is no such instance. */
  private loaded: LoadedInstance | null | undefined;
  private deliveries: Delivery[] = [];
  private readonly commands: Command[] = [];
  private isWoken = false;
  private loop: Promise<void> | undefined;

  constructor(instanceId: string, context: ActorContext) {
    this.instanceId = instanceId;
    this.context = context;
  }

  /** False when keeping this actor saves nothing: no instance, or a finished one. */
  get isWorthKeeping(): boolean {
    return this.loaded !== undefined && this.loaded !== null && !this.loaded.isFinished;
  }

  /** Resolves when the loop has ended; immediately when it is not running. */
  async settled(): Promise<void> {
    await this.loop;
  }

  /**
   * Loads the instance after a start of the host, clears what a crash left, dispatches its open work and runs it if it can run.
   * Resolves after the first attempt; loading is repeated until it works.
   */
  async wake(): Promise<void> {
    this.isWoken = true;
    const loading = this.command(async () => {
      const loaded = await this.load();
      if (loaded) await this.context.writer.sweepHistory(loaded);
    });
    await loading.catch(() => undefined);
  }

  /** Resolves when the message is durable, or `gone` when there is no such unfinished instance. @throws on storage errors. */
  deliver(message: Message): Promise<'accepted' | 'gone'> {
    return new Promise((resolve, reject) => {
      this.deliveries.push({ message, resolve, reject });
      this.ensureLoop();
    });
  }

  /** Starts the instance unless it is unfinished; a finished one is replaced. */
  start(request: StartRequest): Promise<StartOutcome> {
    return this.command(() => this.startNow(request));
  }

  /** Suspends, resumes or terminates. Doing what is the case already changes nothing. */
  control(kind: ControlEvent['EventType'], reason: string): Promise<'done' | 'finished' | 'missing'> {
    return this.command(async () => {
      const loaded = await this.load();
      if (loaded === null) return 'missing';
      if (loaded.isFinished) return 'finished';
      const isSuspended = loaded.record.status === 'Suspended';
      if (kind === eventType.executionSuspended && isSuspended) return 'done';
      if (kind === eventType.executionResumed && !isSuspended) return 'done';
      await this.context.writer.commitControl(loaded, kind, reason);
      if (loaded.record.status === 'Terminated') this.end(loaded.record);
      return 'done';
    });
  }

  /** Deletes everything about a finished instance. */
  purge(): Promise<'purged' | 'running' | 'missing'> {
    return this.command(async () => {
      const loaded = await this.load();
      if (loaded === null) return 'missing';
      if (!loaded.isFinished) return 'running';
      await this.context.writer.purge(this.instanceId);
      this.loaded = null;
      return 'purged';
    });
  }

  private command<T>(action: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = async () => {
        resolve(await action());
      };
      this.commands.push({ run, reject });
      this.ensureLoop();
    });
  }

  private ensureLoop(): void {
    this.loop ??= this.runLoop().finally(() => {
      this.loop = undefined;
      if (this.hasWork()) this.ensureLoop();
      else this.context.onIdle(this);
    });
  }

  private hasWork(): boolean {
    return (
      this.isWoken ||
      this.deliveries.length > 0 ||
      this.commands.length > 0 ||
      (this.loaded?.isRunnable ?? false)
    );
  }

  private async runLoop(): Promise<void> {
    const { gate, guard, log } = this.context;
    let failureCount = 0;
    // The first turn starts later, so that messages sent in one go are accepted in one go.
    await Promise.resolve();
    while (this.hasWork()) {
      try {
        await gate.run(() => this.turn());
        failureCount = 0;
      } catch (error) {
        this.loaded = undefined;
        if (error instanceof HostHalted || guard.isHalted) {
          this.abandon(error);
          return;
        }
        // Loading again is due even if nobody asks: open work may not have been dispatched.
        this.isWoken = true;
        const pauseMs = Math.min(500 * 2 ** failureCount++, 30_000);
        log(
          'warning',
          'Host.Durable',
          `Instance ${this.instanceId}: ${errorText(error)}. It is loaded again in ${pauseMs / 1000} s.`,
        );
        await guard.pause(pauseMs);
      }
    }
  }

  /** A halted host keeps nobody waiting, and its loop has no work any more. */
  private abandon(error: unknown): void {
    this.isWoken = false;
    for (const waiting of [...this.deliveries.splice(0), ...this.commands.splice(0)]) waiting.reject(error);
  }

  private async turn(): Promise<void> {
    this.context.guard.reach('turn');
    if (this.isWoken) {
      await this.load();
      this.isWoken = false;
    }
    await this.acceptDeliveries();
    await this.runCommand();
    if (this.loaded?.isRunnable) await this.runEpisode(this.loaded);
  }

  private async runCommand(): Promise<void> {
    const command = this.commands.shift();
    if (command === undefined) return;
    try {
      await command.run();
    } catch (error) {
      command.reject(error);
      throw error;
    }
  }

  private async acceptDeliveries(): Promise<void> {
    if (this.deliveries.length === 0) return;
    const batch = this.deliveries.splice(0);
    try {
      const loaded = await this.load();
      const isGone = loaded === null || loaded.isFinished;
      const messages = batch.map((delivery) => delivery.message);
      if (!isGone) await this.context.writer.accept(loaded, messages);
      for (const delivery of batch) delivery.resolve(isGone ? 'gone' : 'accepted');
    } catch (error) {
      for (const delivery of batch) delivery.reject(error);
      throw error;
    }
  }

  private async runEpisode(loaded: LoadedInstance): Promise<void> {
    const { writer, episodes, outgoing } = this.context;
    const messages = loaded.selectMessages();
    if (messages.length === 0 && loaded.record.historyLength > 0) {
      loaded.consumeInbox();
      return writer.sweepInbox(loaded);
    }
    const outcome = await episodes.run({ record: loaded.record, history: loaded.history, messages });
    await writer.commitEpisode(loaded, outcome);
    if (outcome.next) outgoing.forget(this.instanceId);
    else if (loaded.isFinished) this.end(loaded.record);
    else outgoing.dispatch(loaded.record, outcome.decisions);
    for (const taskId of outcome.canceledTimerIds) outgoing.cancelTimer(this.instanceId, taskId);
  }

  private async load(): Promise<LoadedInstance | null> {
    if (this.loaded !== undefined) return this.loaded;
    const loaded = (await this.context.writer.load(this.instanceId)) ?? null;
    this.loaded = loaded;
    if (loaded === null) return null;
    const { outgoing, log, writer } = this.context;
    if (loaded.damage !== undefined)
      log('error', 'Host.Durable', `Instance ${this.instanceId} has failed. ${loaded.damage}`);
    // After an error it is unknown what followed the last commit, so all of it follows now.
    if (this.isWoken || loaded.damage !== undefined) {
      if (loaded.isFinished) this.end(loaded.record);
      else outgoing.forget(this.instanceId);
    }
    if (!loaded.isFinished) outgoing.dispatch(loaded.record, loaded.listTasksToDispatch());
    await writer.sweepInbox(loaded);
    return loaded;
  }

  private async startNow(request: StartRequest): Promise<StartOutcome> {
    const record = newRecord(this.instanceId, request);
    // Most ids are new: inserting without looking first saves a request.
    const created = this.loaded ? undefined : await this.context.writer.create(record);
    if (created) {
      this.loaded = created;
      return 'started';
    }
    if (this.loaded === null) this.loaded = undefined;
    const existing = await this.load();
    if (existing === null)
      throw new Error(`Instance ${this.instanceId} was deleted while it was being started; start it again.`);
    if (existing.record.executionId === record.executionId) return 'started';
    if (isSameLink(existing.record, request)) {
      if (existing.isFinished) this.context.outgoing.finished(existing.record);
      return 'known';
    }
    if (!existing.isFinished) return 'running';
    await this.context.writer.replace(existing, record);
    return 'started';
  }

  private end(record: InstanceRecord): void {
    this.context.outgoing.forget(this.instanceId);
    this.context.outgoing.finished(record);
  }
}
