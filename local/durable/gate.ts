// Lets a bounded number of asynchronous calls run at a time; the others wait their turn, first come, first served.

export class Gate {
  private freeCount: number;
  private readonly waiters: (() => void)[] = [];

  constructor(limit: number) {
    this.freeCount = limit;
  }

  async run<T>(action: () => Promise<T>): Promise<T> {
    if (this.freeCount > 0) this.freeCount--;
    else await new Promise<void>((resolve) => this.waiters.push(resolve));
    try {
      return await action();
    } finally {
      const next = this.waiters.shift();
      if (next) next();
      else this.freeCount++;
    }
  }
}
