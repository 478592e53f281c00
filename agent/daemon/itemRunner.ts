// The loop of one item: ask, do a step, wait; report what failed and try again at the service's times.
import { setTimeout as sleep } from 'node:timers/promises';
import { isLifeboatError } from '../../lib/errors.ts';
import type { Assignment } from '../serviceClient.ts';
import { isOffline, isOutdated, messageOf, sourceCodeOf } from './failures.ts';
import { abortOpen, letGo, type ItemContext } from './itemContext.ts';
import { workOn, type Next } from './itemWork.ts';

/** Between two looks at an item that waits for its next attempt. */
const retryLookMs = 15_000;
const leastPauseMs = 50;

export class ItemRunner {
  readonly #context: ItemContext;
  readonly #pollMs: number;
  /** The attempt after a failure: not before this time, unless the service forgets the failure. */
  #retry: { at: Date | null; seen: boolean; generation: number | null } | undefined;
  /** Of the resynchronization that the last assignment named. */
  #generation: number | null = null;

  constructor(context: ItemContext, pollMs: number) {
    this.#context = context;
    this.#pollMs = pollMs;
  }

  /** Runs until the item is not protected any more, or the signal aborts. Never throws. */
  async run(): Promise<void> {
    const { signal, log, item } = this.#context;
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      try {
        const assignment = await this.#context.feed.find(item);
        if (!assignment) {
          log(`${item}: not protected any more`);
          break;
        }
        const next = this.#mayTry(assignment)
          ? await workOn(this.#context, assignment, this.#pollMs)
          : this.#laterLook();
        await this.#pause(next);
      } catch (error) {
        if (!isOver()) await this.#fail(error);
      }
    }
    await letGo(this.#context).catch((error: unknown) => log(`${item}: ${messageOf(error)}`));
  }

  #laterLook(): Next {
    const lookMs = Date.now() + Math.min(retryLookMs, this.#pollMs);
    const atMs = this.#retry?.at?.getTime() ?? lookMs;
    return { at: new Date(Math.min(atMs, lookMs)) };
  }

  /** False while a failure waits for its next attempt. A resynchronization that begins, or an administrator, ends the waiting. */
  #mayTry({ retry, resync }: Assignment): boolean {
    this.#generation = resync?.generation ?? null;
    const waiting = this.#retry;
    if (!waiting) return true;
    const isOver = waiting.at !== null && Date.now() >= waiting.at.getTime();
    const isForgotten = waiting.seen && !retry;
    if (retry) waiting.seen = true;
    const isNewResync = this.#generation !== null && this.#generation !== waiting.generation;
    if (!isOver && !isForgotten && !isNewResync) return false;
    this.#retry = undefined;
    return true;
  }

  async #pause(next: Next): Promise<void> {
    const ms = next === 'now' ? 0 : Math.max(leastPauseMs, next.at.getTime() - Date.now());
    if (ms > 0) await sleep(ms, undefined, { signal: this.#context.signal }).catch(() => undefined);
  }

  /** Tells the service, and waits as it says. While it does not answer, every look asks again. */
  async #fail(error: unknown): Promise<void> {
    const { item, client, log, report, signal } = this.#context;
    if (isOutdated(error)) {
      log(`${item}: ${messageOf(error)}`);
      await this.#pause({ at: new Date(Date.now() + 1000) });
      return;
    }
    if (isOffline(error)) {
      report({ doing: `waiting for the service: ${messageOf(error)}` });
      log(`${item}: ${messageOf(error)}`);
      await this.#pause({ at: new Date(Date.now() + this.#pollMs) });
      return;
    }
    const code = sourceCodeOf(error);
    const message = messageOf(error).slice(0, 4000);
    log(`${item}: ${code}: ${message}`);
    await this.#letGo(error);
    try {
      const { nextAttemptAt } = await client.reportFailure(item, {
        code,
        message,
        occurredAt: new Date().toISOString(),
      });
      this.#retry = {
        at: nextAttemptAt === null ? null : new Date(nextAttemptAt),
        seen: false,
        generation: this.#generation,
      };
      report({
        doing: `failed (${code}): ${message}${nextAttemptAt === null ? '' : `; again at ${nextAttemptAt}`}`,
      });
    } catch (reportError) {
      if (signal.aborted) return;
      log(`${item}: the failure cannot be reported: ${messageOf(reportError)}`);
      await this.#pause({ at: new Date(Date.now() + this.#pollMs) });
    }
  }

  /** A cycle whose logs are made stays open: they are sent again. Others are given up, and a lost reference is forgotten. */
  async #letGo(error: unknown): Promise<void> {
    const { state, log, item } = this.#context;
    try {
      if (state.current.pending === null) await abortOpen(this.#context);
      if (isLifeboatError(error, 'TrackingLost') && state.current.reference !== null)
        await state.update({ reference: null });
    } catch (cleanupError) {
      log(`${item}: ${messageOf(cleanupError)}`);
    }
  }
}
