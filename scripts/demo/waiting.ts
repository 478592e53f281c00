// Waiting for what the service does by itself. What does not come within the time is an error that shows the item's
// state and health, so that a failed demo says why.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProtectedItem } from '../../agent/vaultClient.ts';
import type { Demo } from './demo.ts';

const timeoutMs = 60_000;
const pollMs = 150;

function describe({ properties }: ProtectedItem): string {
  const { protectionState, replicationHealth, healthErrors } = properties;
  const errors = healthErrors.map(({ errorCode, errorMessage }) => `${errorCode}: ${errorMessage}`);
  return `state ${protectionState}, health ${replicationHealth}${errors.map((error) => `\n  ${error}`).join('')}`;
}

/** Polls until `find` returns something. Throws an Error that names `what` and the state of the item. */
export async function waitFor<T>(demo: Demo, what: string, find: () => Promise<T | undefined>): Promise<T> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (Date.now() > deadlineMs) {
      const state = describe(await demo.vault.getProtectedItem(demo.itemSegments));
      throw new Error(`Waited ${timeoutMs / 1000} s for ${what}; the item: ${state}`);
    }
    await sleep(pollMs, undefined, { signal: demo.signal });
  }
}

/** Waits for the recovery point of a cycle. */
export async function waitForPoint(demo: Demo, cycle: number): Promise<void> {
  await waitFor(demo, `recovery point of cycle ${cycle}`, async () => {
    const points = await demo.vault.listRecoveryPoints(demo.itemSegments);
    return points.find(({ properties }) => properties.providerSpecificDetails.cycle === cycle);
  });
}

/** Waits until the item's health shows an error of this code; returns its message. */
export async function waitForHealthError(demo: Demo, code: string): Promise<string> {
  return waitFor(demo, `health error ${code}`, async () => {
    const { properties } = await demo.vault.getProtectedItem(demo.itemSegments);
    return properties.healthErrors.find(({ errorCode }) => errorCode === code)?.errorMessage;
  });
}

/** Waits until the item is in this state. */
export async function waitForState(demo: Demo, state: string): Promise<void> {
  await waitFor(demo, `state ${state}`, async () => {
    const { properties } = await demo.vault.getProtectedItem(demo.itemSegments);
    return properties.protectionState === state ? true : undefined;
  });
}
