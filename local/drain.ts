// How a stop treats work that runs: it refuses new work, lets running work end, and bounds the wait.
import type { DurableHost } from './durable/durableHost.ts';
import type { HttpFrontDoor } from './http/httpFrontDoor.ts';
import { withinMs } from './process/cleanUp.ts';
import { type Triggers, durableTriggers } from './triggers.ts';
import type { TrackedWorker } from './worker/trackedWorker.ts';
import type { HostLog } from './worker/types.ts';

const drainMs = 10_000;
/** Durable gets this long even when the others have used up the time: it has state to leave in order. */
const durableStopMs = 2_000;

/** Afterwards nothing new begins. Resolves in time even when an invocation never ends, and then says so in the log. */
export async function drain(parts: {
  door: HttpFrontDoor;
  triggers: Triggers;
  durable: DurableHost | undefined;
  worker: TrackedWorker;
  log: HostLog;
}): Promise<void> {
  const { door, triggers, durable, worker, log } = parts;
  const deadline = Date.now() + drainMs;
  door.stopAccepting();
  // Durable goes last: a handler that still runs may start an orchestration, and must not be refused.
  await withinMs(
    drainMs,
    Promise.all([triggers.stop(), worker.drain(drainMs, (type) => !durableTriggers.has(type))]),
  );
  await withinMs(Math.max(durableStopMs, deadline - Date.now()), Promise.resolve(durable?.stop()));
  const left = worker.running();
  if (left > 0) log('warning', 'Host.Shutdown', `${left} invocations did not end in time.`);
}
