// Every durable step passes here, before and after. Tests crash the host at a step by throwing; from then on no step of this host
// gets through any more, just as if the process were gone. A stopped host uses the same gate, so a late activity cannot write.

/** Thrown at a step of a host that has stopped or crashed. Nothing to handle: the next host takes over from the tables. */
export class HostHalted extends Error {
  constructor(cause?: unknown) {
    super('The Durable host has halted; its work continues at the next start.', { cause });
    this.name = 'HostHalted';
  }
}

export class StepGuard {
  private readonly onFaultPoint: ((name: string) => void) | undefined;
  private readonly pauses = new Set<() => void>();
  private halted = false;

  constructor(onFaultPoint?: (name: string) => void) {
    this.onFaultPoint = onFaultPoint;
  }

  get isHalted(): boolean {
    return this.halted;
  }

  /** @throws HostHalted once the host is halted, or when the test's hook crashes it here. */
  reach(step: string): void {
    if (this.halted) throw new HostHalted();
    try {
      this.onFaultPoint?.(step);
    } catch (error) {
      this.halt();
      throw new HostHalted(error);
    }
  }

  /** Runs one durable step between its two fault points. */
  async step<T>(name: string, run: () => Promise<T>): Promise<T> {
    this.reach(`${name}:before`);
    const result = await run();
    this.reach(`${name}:after`);
    return result;
  }

  /** May be called twice. */
  halt(): void {
    this.halted = true;
    for (const end of this.pauses) end();
  }

  /** Resolves after `delayMs`, or as soon as the host halts. */
  async pause(delayMs: number): Promise<void> {
    if (this.halted) return;
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.pauses.delete(end);
        resolve();
      };
      const timer = setTimeout(end, delayMs);
      this.pauses.add(end);
    });
  }
}
