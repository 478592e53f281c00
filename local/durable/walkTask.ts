// A task during the walk of an orchestrator's actions: finished or not, failed or not, and who waits for it.
// It calls its waiters synchronously, because the order in which tasks are continued decides the ids of the next ones.

export class WalkTask {
  isDone = false;
  hasFailed = false;
  /** The failure forbids further attempts, whatever the retry policy says. */
  isNonRetriable = false;
  private waiters: (() => void)[] = [];

  /** Completes the task; later calls change nothing. */
  complete(failure?: { isNonRetriable: boolean }): void {
    if (this.isDone) return;
    this.isDone = true;
    this.hasFailed = failure !== undefined;
    this.isNonRetriable = failure?.isNonRetriable ?? false;
    const waiters = this.waiters;
    this.waiters = [];
    for (const waiter of waiters) waiter();
  }

  /** Runs `waiter` now if the task is done, otherwise once when it gets done. */
  whenDone(waiter: () => void): void {
    if (this.isDone) waiter();
    else this.waiters.push(waiter);
  }

  static completed(): WalkTask {
    const task = new WalkTask();
    task.complete();
    return task;
  }

  /** Done with the first of the tasks. */
  static any(tasks: readonly WalkTask[]): WalkTask {
    const any = new WalkTask();
    for (const task of tasks) task.whenDone(() => any.complete());
    return any;
  }

  /** Done with the last of the tasks, as in .NET: a failure does not end it early. */
  static all(tasks: readonly WalkTask[]): WalkTask {
    const all = new WalkTask();
    let openCount = tasks.length;
    if (openCount === 0) all.complete();
    for (const task of tasks) {
      task.whenDone(() => {
        if (--openCount === 0)
          all.complete(tasks.some((one) => one.hasFailed) ? { isNonRetriable: false } : undefined);
      });
    }
    return all;
  }
}
