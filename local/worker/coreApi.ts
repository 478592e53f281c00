// The object that `require('@azure/functions-core')` gives the app: registrations, hooks, log, programming model.
// Invariant: what can be registered is what the real worker would accept, and nothing after `lock()`.
import type { HostLog, LogLevel } from './types.ts';

/** A registration as the app passed it. */
export interface FunctionMetadata {
  name: string;
  functionId?: string;
  bindings: Record<string, CoreBinding>;
  retryOptions?: Record<string, unknown>;
  [member: string]: unknown;
}

export interface CoreBinding {
  type: string;
  direction: string;
  properties?: Record<string, string>;
  [option: string]: unknown;
}

export type FunctionCallback = (...args: unknown[]) => unknown;

export type Hook = (context: Record<string, unknown>) => unknown;

export const hookNames = ['preInvocation', 'postInvocation', 'appStart', 'appTerminate', 'log'] as const;
export type HookName = (typeof hookNames)[number];

/** The part of `@azure/functions` that turns RPC messages into handler calls and back. */
export interface ProgrammingModel {
  name: string;
  version: string;
  getInvocationModel(context: unknown): InvocationModel | Promise<InvocationModel>;
  getCapabilities?(
    capabilities: Record<string, string>,
  ): Promise<Record<string, string>> | Record<string, string>;
}

export interface InvocationModel {
  getArguments(): Promise<{ context: unknown; inputs: unknown[] }>;
  invokeFunction(context: unknown, inputs: unknown[], callback: FunctionCallback): Promise<unknown>;
  getResponse(context: unknown, result: unknown): Promise<CoreResponse>;
}

/** What a programming model answers after one call: `returnValue` and `data` are TypedData, null or absent. */
export interface CoreResponse {
  returnValue?: unknown;
  outputData?: { name: string; data: unknown }[];
}

export interface Registration {
  metadata: FunctionMetadata;
  functionId: string;
  callback: FunctionCallback;
}

/** Undoes a registration; a second `dispose` does nothing. */
export class Disposable {
  #undo: (() => void) | undefined;

  constructor(undo?: () => void) {
    this.#undo = undo;
  }

  static from(...parts: { dispose(): unknown }[]): Disposable {
    return new Disposable(() => {
      for (const part of parts) part.dispose();
    });
  }

  dispose(): void {
    this.#undo?.();
    this.#undo = undefined;
  }
}

/** State behind the core API: one per process, since the app's libraries keep the first one they see. */
export class CoreRegistry {
  readonly registrations = new Map<string, Registration>();
  readonly appHookData: Record<string, unknown> = {};
  readonly #hooks = new Map<HookName, Hook[]>(hookNames.map((name) => [name, []]));
  readonly #log: HostLog;
  #model: ProgrammingModel | undefined;
  #isLocked = false;

  constructor(log: HostLog) {
    this.#log = log;
  }

  get programmingModel(): ProgrammingModel | undefined {
    return this.#model;
  }

  /** From here on registrations are refused: the host has been told the list of functions. */
  lock(): void {
    this.#isLocked = true;
  }

  /** The hooks of a kind, in the order of registration; a copy, so that a hook may dispose itself. */
  hooks(name: HookName): readonly Hook[] {
    return [...(this.#hooks.get(name) ?? [])];
  }

  /** Sends a line through the app's log hooks, which may rewrite it, to the host's log. */
  emit(
    level: string,
    category: string,
    message: string,
    invocation?: { functionName: string; context: unknown },
  ): void {
    const line: Record<string, unknown> = {
      level,
      category,
      message,
      invocationContext: invocation?.context,
    };
    for (const hook of this.hooks('log')) hook(line);
    if (line['level'] === 'none') return;
    const speaker = invocation === undefined ? 'Worker' : `Function.${invocation.functionName}`;
    const suffix = category === 'user' && invocation !== undefined ? '.User' : '';
    this.#log(toLogLevel(line['level']), speaker + suffix, String(line['message']));
  }

  #register(metadata: FunctionMetadata, callback: FunctionCallback): Disposable {
    if (this.#isLocked) throw new Error('A function can only be registered during app startup.');
    const functionId = metadata.functionId ?? metadata.name;
    if (this.registrations.has(functionId)) {
      throw new Error(`A function with id "${functionId}" has already been registered.`);
    }
    this.registrations.set(functionId, { metadata, functionId, callback });
    return new Disposable(() => {
      if (this.#isLocked) throw new Error('A function can only be disposed during app startup.');
      this.registrations.delete(functionId);
    });
  }

  #registerHook(name: string, hook: Hook): Disposable {
    const hooks = this.#hooks.get(name as HookName);
    if (hooks === undefined) {
      throw Object.assign(new RangeError(`Unrecognized hook "${name}"`), {
        isAzureFunctionsSystemError: true,
      });
    }
    hooks.push(hook);
    return new Disposable(() => {
      const index = hooks.indexOf(hook);
      if (index >= 0) hooks.splice(index, 1);
    });
  }

  /** The module object for the app. */
  toModule(versions: { worker: string; host: string }): Record<string, unknown> {
    return {
      version: versions.worker,
      hostVersion: versions.host,
      Disposable,
      setProgrammingModel: (model: ProgrammingModel) => {
        this.#model = model;
      },
      getProgrammingModel: () => this.#model,
      registerFunction: (metadata: FunctionMetadata, callback: FunctionCallback) =>
        this.#register(metadata, callback),
      registerHook: (name: string, hook: Hook) => this.#registerHook(name, hook),
      log: (level: string, category: string, message: string) => this.emit(level, category, message),
    };
  }
}

const logLevels: readonly string[] = ['trace', 'debug', 'information', 'warning', 'error', 'critical'];

function toLogLevel(level: unknown): LogLevel {
  return typeof level === 'string' && logLevels.includes(level) ? (level as LogLevel) : 'information';
}
