// Time and identity as dependencies, so that tests decide both.

export interface Clock {
  now(): Date;
}

/** Makes new lower-case UUIDs. */
export type NewId = () => string;

export const systemClock: Clock = { now: () => new Date() };
