// One cycle at a time, for trackers that hold something of the source while a cycle is open.
import { LifeboatError } from '../../lib/errors.ts';
import type { FrozenCycle } from './tracker.ts';

interface OpenableCycle extends FrozenCycle {
  /** False once it is confirmed or aborted. */
  readonly isOpen: boolean;
}

/** The cycle that a tracker has open, if any. */
export class OneCycle<T extends OpenableCycle> {
  readonly #source: string | undefined;
  #cycle: T | undefined;
  #isFreezing = false;

  /** `source` is named in the error. */
  constructor(source?: string) {
    this.#source = source;
  }

  /** Freezes, unless a cycle is open or being opened: `TrackerBusy`. What `freeze` throws leaves no cycle. */
  async begin(freeze: () => Promise<T>): Promise<T> {
    if (this.#isFreezing || this.#cycle?.isOpen === true) throw this.#busy();
    this.#isFreezing = true;
    try {
      this.#cycle = await freeze();
      return this.#cycle;
    } finally {
      this.#isFreezing = false;
    }
  }

  /** Aborts the cycle when it is open. May be called twice. */
  async end(): Promise<void> {
    await this.#cycle?.abort();
    this.#cycle = undefined;
  }

  #busy(): LifeboatError {
    const source = this.#source;
    return source === undefined
      ? new LifeboatError('TrackerBusy', 'A cycle of this machine is still open.')
      : new LifeboatError('TrackerBusy', `${source}: a cycle is still open`, { target: source });
  }
}
