// Time that moves only when a test says so.
import type { Clock } from '../../lib/clock.ts';

export const minuteMs = 60_000;
export const hourMs = 60 * minuteMs;

export class ManualClock implements Clock {
  #ms: number;

  constructor(start: string) {
    this.#ms = Date.parse(start);
  }

  now(): Date {
    return new Date(this.#ms);
  }

  advance(ms: number): void {
    this.#ms += ms;
  }
}
