// Who waits for which external event during a walk. The extension keeps a stack of waiters for each name (the last one is served first),
// keeps events that nobody waits for, and compares names without case.
import { WalkTask } from './walkTask.ts';

export class EventWaits {
  private readonly waiting = new Map<string, WalkTask[]>();
  private readonly bufferedCounts = new Map<string, number>();

  /** A task that the next event of this name completes; done at once when one is kept. */
  wait(eventName: string): WalkTask {
    const name = eventName.toLowerCase();
    const bufferedCount = this.bufferedCounts.get(name) ?? 0;
    if (bufferedCount > 0) {
      this.bufferedCounts.set(name, bufferedCount - 1);
      return WalkTask.completed();
    }
    const task = new WalkTask();
    const stack = this.waiting.get(name) ?? [];
    stack.push(task);
    this.waiting.set(name, stack);
    return task;
  }

  raise(eventName: string): void {
    const name = eventName.toLowerCase();
    const waiter = this.waiting.get(name)?.pop();
    if (waiter) waiter.complete();
    else this.bufferedCounts.set(name, (this.bufferedCounts.get(name) ?? 0) + 1);
  }
}
