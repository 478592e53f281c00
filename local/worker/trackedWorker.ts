// The app as the rest of the host uses it: adds the inputs the host itself provides (the Durable client),
// limits and logs each invocation, and counts the running ones so that a stop can wait for them.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { invokeWithin } from './functionTimeout.ts';
import type { HostLog, Invocation, InvocationResult, LoadedFunction, TypedData, Worker } from './types.ts';

export interface TrackedWorkerOptions {
  worker: Worker;
  log: HostLog;
  /** Undefined for no limit. Orchestrators have none: Azure starts such an episode again for ever. */
  timeoutMs: number | undefined;
  /** Value for an input binding the host provides; undefined for any other. Asked at each invocation. */
  provideInput: (bindingType: string) => TypedData | undefined;
}

export class TrackedWorker implements Worker {
  readonly functions: readonly LoadedFunction[];
  readonly #options: TrackedWorkerOptions;
  readonly #byId: ReadonlyMap<string, LoadedFunction>;
  /** Running invocations by the type of their trigger. */
  readonly #running = new Map<string, number>();

  constructor(options: TrackedWorkerOptions) {
    this.#options = options;
    this.functions = options.worker.functions;
    this.#byId = new Map(this.functions.map((loaded) => [loaded.functionId, loaded]));
  }

  /** Number of invocations that have not ended, of the trigger types that `isCounted` accepts. */
  running(isCounted: (triggerType: string) => boolean = () => true): number {
    return [...this.#running].reduce((sum, [type, count]) => sum + (isCounted(type) ? count : 0), 0);
  }

  async invoke(invocation: Invocation): Promise<InvocationResult> {
    const { worker, log, timeoutMs } = this.#options;
    const invocationId = invocation.invocationId ?? randomUUID();
    const loaded = this.#byId.get(invocation.functionId);
    const category = `Function.${loaded?.name ?? invocation.functionId}`;
    const startedAt = performance.now();
    const triggerType = loaded?.trigger.type ?? '';
    const leave = this.#enter(triggerType);
    log('debug', category, `Executing (Id=${invocationId})`);
    try {
      const result = await invokeWithin({
        functionName: loaded?.name ?? invocation.functionId,
        timeoutMs: triggerType === 'orchestrationTrigger' ? undefined : timeoutMs,
        log,
        invoke: async () => {
          const inputs = { ...this.#hostInputs(loaded), ...invocation.inputs };
          return worker.invoke({ ...invocation, invocationId, inputs });
        },
        onEnded: leave,
      });
      log('debug', category, `Executed (Succeeded, Id=${invocationId}, Duration=${elapsedMs(startedAt)}ms)`);
      return result;
    } catch (error) {
      // Orchestrators answer through an error when they fail; the Durable host says it in its own words.
      const level = isOrchestratorState(error) ? 'debug' : 'error';
      log(
        level,
        category,
        `Executed (Failed, Id=${invocationId}, Duration=${elapsedMs(startedAt)}ms): ${describe(error)}`,
      );
      throw error;
    }
  }

  terminate(): Promise<void> {
    return this.#options.worker.terminate();
  }

  /** Waits until none of the counted invocations runs, at most `timeoutMs`. */
  async drain(timeoutMs: number, isCounted?: (triggerType: string) => boolean): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (this.running(isCounted) > 0 && Date.now() < deadline) await sleep(20);
  }

  #enter(triggerType: string): () => void {
    const add = (change: number): unknown =>
      this.#running.set(triggerType, (this.#running.get(triggerType) ?? 0) + change);
    add(1);
    return () => add(-1);
  }

  #hostInputs(loaded: LoadedFunction | undefined): Record<string, TypedData> {
    const inputs: Record<string, TypedData> = {};
    for (const binding of loaded?.bindings ?? []) {
      if (binding.direction !== 'in' || binding === loaded?.trigger) continue;
      const value = this.#options.provideInput(binding.type);
      if (value !== undefined) inputs[binding.name] = value;
    }
    return inputs;
  }
}

function elapsedMs(startedAt: number): number {
  return Math.round(performance.now() - startedAt);
}

function isOrchestratorState(error: unknown): boolean {
  return error instanceof Error && error.message.includes('$OutOfProcData$:');
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
