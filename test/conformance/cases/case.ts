// What the cases share: access to the target, and the form of a case (behaviour, document, check).
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'vitest';
import { Effects } from '../effects.ts';
import { Orchestrations } from '../orchestrations.ts';
import { isEmbedded, masterKey, patienceMs, type Target } from '../target.ts';

export interface Conformance {
  target: Target;
  orchestrations: Orchestrations;
  /** Effects of this run of the suite. */
  effects: Effects;
  /** A name nobody has used on this target. */
  unique(stem: string): string;
  /** A request to a function of the app by its route below /api. */
  api(route: string, init?: RequestInit): Promise<Response>;
}

/** How a group of cases gets at the target, which is open only when they run. */
export type Access = () => Conformance;

export function openConformance(target: Target): Conformance {
  const runId = randomBytes(4).toString('hex');
  let names = 0;
  return {
    target,
    orchestrations: new Orchestrations({ url: () => target.url, patienceMs }),
    effects: new Effects(target.storageConnectionString, `Conformance${runId}`),
    unique: (stem) => `${stem}-${runId}-${++names}`,
    api: (route, init) => fetch(`${target.url}/api/${route}`, init),
  };
}

/** A behaviour every host must show; `source` is the public document that promises it. */
export function holds(behaviour: string, source: string, check: () => Promise<void>): void {
  test(`${behaviour} (${source})`, check, patienceMs + 30_000);
}

/** A behaviour that only the embedded host promises, or shows in time; skipped against any other. */
export function holdsHere(behaviour: string, source: string, check: () => Promise<void>): void {
  test.skipIf(!isEmbedded)(`${behaviour} (${source}; embedded host only)`, check, patienceMs + 30_000);
}

/** A behaviour of the admin API, which a host of somebody else's opens with its master key only; skipped without that. */
export function holdsForAdmins(behaviour: string, source: string, check: () => Promise<void>): void {
  const title = `${behaviour} (${source}; with the master key)`;
  test.skipIf(!isEmbedded && masterKey === undefined)(title, check, patienceMs + 30_000);
}

/** Waits until `look` finds something. Throws an error that names `what`. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + patienceMs;
  for (let pollMs = 30; ; pollMs = Math.min(pollMs * 1.3, 1000)) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`Did not happen within ${patienceMs / 1000} s: ${what}`);
    await sleep(pollMs);
  }
}
