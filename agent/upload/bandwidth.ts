// How fast this host may send, by the hour: one limit for all uploads of the process.
import { setTimeout as sleep } from 'node:timers/promises';
import { dayMs, localMsAt } from '../../lib/schedule/localTime.ts';

/** A part of the week with a limit of its own: [startMinute, endMinute) of the local clock; end before start is on the next day. */
export interface BandwidthHours {
  /** 0 = Sunday. The day on which the part begins. */
  days: readonly number[];
  startMinute: number;
  endMinute: number;
  /** Null: no limit. */
  bytesPerSecond: number | null;
}

export interface BandwidthSchedule {
  timeZone: string;
  /** Outside of all hours. Null: no limit. */
  bytesPerSecond: number | null;
  /** The first that fits counts. */
  hours: readonly BandwidthHours[];
}

const unlimited: BandwidthSchedule = { timeZone: 'UTC', bytesPerSecond: null, hours: [] };

const minutesOfDay = 24 * 60;

function isWithin({ days, startMinute, endMinute }: BandwidthHours, day: number, minute: number): boolean {
  if (startMinute < endMinute) return days.includes(day) && minute >= startMinute && minute < endMinute;
  // Across midnight; equal ends are a whole day.
  const isSameDay = days.includes(day) && minute >= startMinute;
  return isSameDay || (days.includes((day + 6) % 7) && minute < endMinute);
}

/** Bytes a second that may be sent at that moment; null without limit. Throws `InvalidRequest` for an unknown zone. */
export function limitAt(schedule: BandwidthSchedule, at: Date): number | null {
  const localMs = localMsAt(schedule.timeZone, at.getTime());
  const day = new Date(localMs).getUTCDay();
  const minute = Math.floor((((localMs % dayMs) + dayMs) % dayMs) / 60_000) % minutesOfDay;
  const found = schedule.hours.find((hours) => isWithin(hours, day, minute));
  return found ? found.bytesPerSecond : schedule.bytesPerSecond;
}

/** What is waited for at once, so that a change of the limit is felt within a minute. */
const longestWaitMs = 60_000;

export interface LimiterClock {
  now(): Date;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

const systemClock: LimiterClock = {
  now: () => new Date(),
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, signal ? { signal } : {});
  },
};

/**
 * Spaces requests so that their bytes stay below the limit of the hour. Whoever asks first goes first; a request larger than
 * a second's bytes is let through whole and paid for by those behind it.
 */
export class BandwidthLimiter {
  readonly #schedule: BandwidthSchedule;
  readonly #clock: LimiterClock;
  #queue: Promise<void> = Promise.resolve();
  /** Bytes that were let through and are not paid for by time yet. */
  #debtBytes = 0;
  #paidUntilMs = 0;

  constructor(schedule: BandwidthSchedule = unlimited, clock: LimiterClock = systemClock) {
    this.#schedule = schedule;
    this.#clock = clock;
  }

  /** Resolves when the bytes may be sent. Throws the signal's reason. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    if (this.#schedule.bytesPerSecond === null && this.#schedule.hours.length === 0) return;
    const turn = this.#queue.then(() => this.#wait(bytes, signal));
    // Whoever gives up does not hold those behind it.
    this.#queue = turn.catch(() => undefined);
    await turn;
  }

  async #wait(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    for (;;) {
      signal?.throwIfAborted();
      const now = this.#clock.now();
      const limit = limitAt(this.#schedule, now);
      const elapsedMs = Math.max(0, now.getTime() - this.#paidUntilMs);
      this.#paidUntilMs = now.getTime();
      if (limit === null) {
        this.#debtBytes = 0;
        return;
      }
      this.#debtBytes = Math.max(0, this.#debtBytes - (limit * elapsedMs) / 1000);
      if (this.#debtBytes <= 0) {
        this.#debtBytes = bytes;
        return;
      }
      await this.#clock.sleep(Math.min(longestWaitMs, Math.ceil((this.#debtBytes * 1000) / limit)), signal);
    }
  }
}
