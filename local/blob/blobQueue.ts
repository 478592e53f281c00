// The internal queue between noticing a blob and running its function: survives a crash, retries a failing blob
// at once, and after `poisonBlobThreshold` attempts moves its message to the poison queue of the data account.
// A message is invisible for a short while that is renewed as long as its run goes on, so that a host that
// was killed finds its work again soon after the next start.
import type { DequeuedMessageItem, QueueClient } from '@azure/storage-queue';
import { reasonOf } from '../process/startError.ts';
import type { HostLog } from '../worker/types.ts';
import { type BlobMessage, formatBlobMessage, parseBlobMessage, poisonQueueName } from './blobMessage.ts';
import type { BlobFunction } from './blobFunction.ts';
import type { BlobRun } from './blobInvocation.ts';

export interface BlobQueueOptions {
  /** `azure-webjobs-blobtrigger-{hostId}` of the host's own account. */
  queue: QueueClient;
  maxDegreeOfParallelism: number;
  poisonBlobThreshold: number;
  /** The function a message names, undefined when the app has it no more. */
  findFunction: (functionId: string) => BlobFunction | undefined;
  /** Runs the message's function; rejects with the handler's error. */
  run: (blobFunction: BlobFunction, message: BlobMessage) => Promise<BlobRun>;
  log: HostLog;
}

/** A message that runs: the pop receipt changes with each renewal. */
interface RunningMessage {
  id: string;
  popReceipt: string;
  /** The renewal under way: settling must wait for it, or it would use a receipt that is no longer valid. */
  renewing: Promise<void>;
}

const visibilitySeconds = 5;
const renewEveryMs = 1500;
const batchSize = 32;
const idlePollMs = 1000;
/** Other writers of the queue are rare, so an idle host asks ever less often. */
const maximumIdlePollMs = 3000;

export class BlobQueue {
  readonly #options: BlobQueueOptions;
  readonly #running = new Map<string, RunningMessage>();
  #timer: NodeJS.Timeout | undefined;
  #polling: Promise<void> | undefined;
  #pollAgain = false;
  #idlePollMs = idlePollMs;
  #isStopped = true;

  constructor(options: BlobQueueOptions) {
    this.#options = options;
  }

  /** Creates the queue; messages sent before `start` wait in it. */
  async open(): Promise<void> {
    await this.#options.queue.createIfNotExists();
  }

  /** Begins to run messages. Call after `open`. */
  start(): void {
    this.#isStopped = false;
    this.#wake();
  }

  /** Takes no further message; running ones go on and are still settled. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#polling;
  }

  async send(message: BlobMessage): Promise<void> {
    await this.#options.queue.sendMessage(formatBlobMessage(message), { messageTimeToLive: -1 });
    this.#wake();
  }

  /** Polls now; a poll that is under way is followed by another. */
  #wake(): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#pollAgain = true;
    this.#polling ??= this.#pollWhileAsked().finally(() => {
      this.#polling = undefined;
      if (!this.#isStopped) this.#timer = setTimeout(() => this.#wake(), this.#idlePollMs);
    });
  }

  async #pollWhileAsked(): Promise<void> {
    while (this.#pollAgain && !this.#isStopped) {
      this.#pollAgain = false;
      try {
        await this.#poll();
      } catch (error) {
        this.#options.log('warning', 'Host.Blobs', `Cannot read the blob queue: ${reasonOf(error)}`);
      }
    }
  }

  async #poll(): Promise<void> {
    const free = this.#options.maxDegreeOfParallelism - this.#running.size;
    // A run that ends wakes the queue, so a full house waits for that.
    if (free <= 0) return;
    const { receivedMessageItems: items } = await this.#options.queue.receiveMessages({
      numberOfMessages: Math.min(free, batchSize),
      visibilityTimeout: visibilitySeconds,
    });
    this.#idlePollMs = items.length > 0 ? idlePollMs : Math.min(maximumIdlePollMs, this.#idlePollMs * 1.5);
    if (items.length > 0) this.#pollAgain = true;
    for (const item of items) {
      const already = this.#running.get(item.messageId);
      // The event loop was blocked so long that our own message came back: it still runs, under a new receipt.
      if (already !== undefined) already.popReceipt = item.popReceipt;
      else void this.#process(item);
    }
  }

  async #process(item: DequeuedMessageItem): Promise<void> {
    const handle: RunningMessage = {
      id: item.messageId,
      popReceipt: item.popReceipt,
      renewing: Promise.resolve(),
    };
    this.#running.set(handle.id, handle);
    const renewal = setInterval(() => {
      handle.renewing = handle.renewing.then(() => this.#renew(handle, visibilitySeconds));
    }, renewEveryMs);
    try {
      const isSettled = await this.#runMessage(item);
      clearInterval(renewal);
      await handle.renewing;
      if (isSettled) await this.#options.queue.deleteMessage(handle.id, handle.popReceipt);
      else {
        // Before it can be seen again: a poll that receives it at once must take it as a new attempt.
        this.#forget(handle);
        await this.#renew(handle, 0);
      }
    } catch (error) {
      // The message becomes visible again by itself; the run is repeated then.
      this.#options.log('warning', 'Host.Blobs', `Cannot settle a blob message: ${reasonOf(error)}`);
    } finally {
      clearInterval(renewal);
      this.#forget(handle);
      this.#wake();
    }
  }

  /** The next attempt at the same message may be running already, under a handle of its own. */
  #forget(handle: RunningMessage): void {
    if (this.#running.get(handle.id) === handle) this.#running.delete(handle.id);
  }

  /** True when the message is done with: it succeeded, has nothing to do, or is poison. */
  async #runMessage({ messageText, dequeueCount }: DequeuedMessageItem): Promise<boolean> {
    const { findFunction, run, log, poisonBlobThreshold } = this.#options;
    const message = parseBlobMessage(messageText);
    const blobFunction = message === undefined ? undefined : findFunction(message.FunctionId);
    if (message === undefined || blobFunction === undefined) return true;
    const what = `${message.ContainerName}/${message.BlobName}`;
    if (dequeueCount > poisonBlobThreshold) {
      // The host died in every earlier attempt.
      await this.#moveToPoison(blobFunction, message);
      return true;
    }
    try {
      const outcome = await run(blobFunction, message);
      if (outcome !== 'done') log('debug', 'Host.Blobs', `${what} is ${outcome}; nothing to run.`);
      return true;
    } catch {
      // The worker has logged the error.
      log(
        'warning',
        'Host.Blobs',
        `${blobFunction.loaded.name} failed for ${what}, attempt ${dequeueCount} of ${poisonBlobThreshold}.`,
      );
      if (dequeueCount < poisonBlobThreshold) return false;
      await this.#moveToPoison(blobFunction, message);
      return true;
    }
  }

  async #moveToPoison({ account, loaded }: BlobFunction, message: BlobMessage): Promise<void> {
    const poison = account.queues.getQueueClient(poisonQueueName);
    await poison.createIfNotExists();
    await poison.sendMessage(formatBlobMessage(message), { messageTimeToLive: -1 });
    const what = `${message.ContainerName}/${message.BlobName}`;
    this.#options.log(
      'error',
      'Host.Blobs',
      `${loaded.name}: ${what} moved to the queue ${poisonQueueName}.`,
    );
  }

  async #renew(handle: RunningMessage, seconds: number): Promise<void> {
    try {
      // No text: the update would replace the message by it.
      const answer = await this.#options.queue.updateMessage(
        handle.id,
        handle.popReceipt,
        undefined,
        seconds,
      );
      if (answer.popReceipt !== undefined) handle.popReceipt = answer.popReceipt;
    } catch (error) {
      this.#options.log('debug', 'Host.Blobs', `Cannot renew a blob message: ${reasonOf(error)}`);
    }
  }
}
