// Undo steps of what has been started, run last to first, and the bound on how long one may take.
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostLog } from '../worker/types.ts';
import { reasonOf } from './startError.ts';

/** A failing step is logged and does not keep the others from running; each step runs at most once. */
export class CleanUp {
  readonly #steps: [name: string, step: () => Promise<void> | void][] = [];

  add(name: string, step: () => Promise<void> | void): void {
    this.#steps.push([name, step]);
  }

  async run(log: HostLog): Promise<void> {
    for (let entry = this.#steps.pop(); entry !== undefined; entry = this.#steps.pop()) {
      const [name, step] = entry;
      try {
        await step();
      } catch (error) {
        log('error', 'Host.Shutdown', `Cannot ${name}: ${reasonOf(error)}`);
      }
    }
  }
}

/** Resolves when `work` does or the time is up, whichever comes first; rejects only when `work` does so in time. */
export async function withinMs(limitMs: number, work: Promise<unknown>): Promise<void> {
  const abort = new AbortController();
  const limit = sleep(limitMs, undefined, { signal: abort.signal }).catch(() => undefined);
  try {
    await Promise.race([work, limit]);
  } finally {
    abort.abort();
  }
}
