// Armed timers. They live in memory only: which timers are due follows from the committed histories, so each load arms them again.
// A timer never fires early, and a delay longer than setTimeout can take is waited for in pieces.

interface ArmedTimer {
  dueMs: number;
  fire: () => void;
  handle: NodeJS.Timeout;
}

const longestTimeoutMs = 2 ** 31 - 1;

export class TimerService {
  private readonly armed = new Map<string, Map<number, ArmedTimer>>();

  /** Calls `fire` once, at `dueMs` (Unix time) or soon after. Arming a timer that is armed already changes nothing. */
  arm(instanceId: string, taskId: number, dueMs: number, fire: () => void): void {
    const timers = this.armed.get(instanceId) ?? new Map<number, ArmedTimer>();
    this.armed.set(instanceId, timers);
    if (timers.has(taskId)) return;
    const timer: ArmedTimer = {
      dueMs,
      fire,
      handle: setTimeout(() => this.check(instanceId, taskId), delayUntil(dueMs)),
    };
    timers.set(taskId, timer);
  }

  cancel(instanceId: string, taskId: number): void {
    const timers = this.armed.get(instanceId);
    const timer = timers?.get(taskId);
    if (timers === undefined || timer === undefined) return;
    clearTimeout(timer.handle);
    timers.delete(taskId);
    if (timers.size === 0) this.armed.delete(instanceId);
  }

  cancelAllOf(instanceId: string): void {
    for (const taskId of [...(this.armed.get(instanceId)?.keys() ?? [])]) this.cancel(instanceId, taskId);
  }

  cancelAll(): void {
    for (const instanceId of [...this.armed.keys()]) this.cancelAllOf(instanceId);
  }

  private check(instanceId: string, taskId: number): void {
    const timer = this.armed.get(instanceId)?.get(taskId);
    if (timer === undefined) return;
    if (Date.now() < timer.dueMs) {
      timer.handle = setTimeout(() => this.check(instanceId, taskId), delayUntil(timer.dueMs));
      return;
    }
    this.cancel(instanceId, taskId);
    timer.fire();
  }
}

function delayUntil(dueMs: number): number {
  return Math.min(Math.max(dueMs - Date.now(), 0), longestTimeoutMs);
}
