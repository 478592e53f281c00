// The assignments of this site, asked for once for all items that want them at about the same time.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Assignment, ServiceClient } from '../serviceClient.ts';

/** Answers that are younger count as now. */
const freshMs = 200;

export class AssignmentFeed {
  readonly #client: ServiceClient;
  readonly #site: string;
  /** Of this process, so that hosts do not ask in step. */
  readonly #phaseMs = Math.random() * 3_600_000;
  #last: { atMs: number; answer: Promise<Map<string, Assignment>> } | undefined;

  constructor(client: ServiceClient, site: string) {
    this.#client = client;
    this.#site = site;
  }

  /**
   * When to look again if nothing presses, half to one and a half `pollMs` from now: the same moment for all items of this process,
   * so that one request answers them all.
   */
  nextLook(pollMs: number, now = Date.now()): Date {
    const looks = Math.floor((now + pollMs / 2 - this.#phaseMs) / pollMs) + 1;
    return new Date(looks * pollMs + this.#phaseMs);
  }

  /** All of the site, by item. Throws as the client. */
  list(): Promise<Map<string, Assignment>> {
    const now = Date.now();
    if (this.#last && now - this.#last.atMs < freshMs) return this.#last.answer;
    const answer = this.#client
      .listAssignments(this.#site)
      .then((all) => new Map(all.map((each) => [each.item, each])));
    answer.catch(() => undefined);
    this.#last = { atMs: now, answer };
    return answer;
  }

  /** The item's, or undefined when it is not protected any more. */
  async find(item: string): Promise<Assignment | undefined> {
    return (await this.list()).get(item);
  }

  /** Asks again until `isWanted` says yes or the time is over; returns the last answer. */
  async waitFor(
    item: string,
    isWanted: (assignment: Assignment) => boolean,
    { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
  ): Promise<Assignment | undefined> {
    const deadlineMs = Date.now() + timeoutMs;
    for (let pauseMs = freshMs; ; pauseMs = Math.min(2 * pauseMs, 2000)) {
      signal.throwIfAborted();
      const found = await this.find(item);
      if (!found || isWanted(found) || Date.now() >= deadlineMs) return found;
      await sleep(pauseMs, undefined, { signal });
    }
  }
}
