// One invocation as the real worker runs it: arguments, pre-invocation hooks, handler, post-invocation hooks,
// response. Hooks run one after the other in the order of registration and share `hookData`.
import { randomUUID } from 'node:crypto';
import {
  type CoreRegistry,
  type CoreResponse,
  type FunctionMetadata,
  type ProgrammingModel,
  type Registration,
} from './coreApi.ts';
import { isTriggerType } from './functionMetadata.ts';
import { toInvocationRequest } from './rpcDefaults.ts';
import type { Invocation, InvocationResult, TypedData } from './types.ts';

type InvocationState = 'preInvocationHooks' | 'invocation' | 'postInvocationHooks' | undefined;

interface Loaded {
  metadata: FunctionMetadata;
  registration: Registration;
  triggerName: string;
}

export class InvocationPipeline {
  readonly #core: CoreRegistry;
  readonly #model: ProgrammingModel;
  readonly #loaded = new Map<string, Loaded>();

  constructor(
    core: CoreRegistry,
    model: ProgrammingModel,
    toMetadata: (registration: Registration) => FunctionMetadata,
  ) {
    this.#core = core;
    this.#model = model;
    for (const registration of core.registrations.values()) {
      const metadata = toMetadata(registration);
      const trigger = Object.entries(metadata.bindings).find(([, binding]) => isTriggerType(binding.type));
      this.#loaded.set(registration.functionId, { metadata, registration, triggerName: trigger?.[0] ?? '' });
    }
  }

  /** Rejects with what the handler, a hook or a conversion threw; `throw undefined` counts as success, as in Azure. */
  async invoke(invocation: Invocation): Promise<InvocationResult> {
    const loaded = this.#loaded.get(invocation.functionId);
    if (loaded === undefined) throw new Error(`Function code for '${invocation.functionId}' is not loaded.`);
    const { metadata, registration, triggerName } = loaded;
    const invocationId = invocation.invocationId ?? randomUUID();
    const handed: { context?: unknown } = {};
    const coreContext = {
      invocationId,
      metadata,
      request: toInvocationRequest(invocation, triggerName, invocationId),
      state: undefined as InvocationState,
      log: (level: string, category: string, message: string) =>
        this.#core.emit(level, category, message, { functionName: metadata.name, context: handed.context }),
    };
    const model = await this.#model.getInvocationModel(coreContext);
    const { context, inputs } = await model.getArguments();
    handed.context = context;

    const hookData = {};
    const before: Record<string, unknown> = {
      ...this.#hookContext(hookData, context),
      inputs,
      functionCallback: registration.callback,
    };
    coreContext.state = 'preInvocationHooks';
    for (const hook of this.#core.hooks('preInvocation')) await hook(before);

    const after: Record<string, unknown> = {
      ...this.#hookContext(hookData, context),
      inputs: before['inputs'],
      result: null,
      error: null,
    };
    coreContext.state = 'invocation';
    try {
      const callback = before['functionCallback'] as Registration['callback'];
      after['result'] = await model.invokeFunction(context, before['inputs'] as unknown[], callback);
    } catch (error) {
      after['error'] = error;
    }
    coreContext.state = 'postInvocationHooks';
    for (const hook of this.#core.hooks('postInvocation')) await hook(after);
    coreContext.state = undefined;
    const failure = after['error'];
    // The handler's own error is what the caller must see, whatever was thrown.
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    if (failure !== null && failure !== undefined) throw failure;
    return toResult(await model.getResponse(context, after['result']));
  }

  #hookContext(hookData: object, invocationContext: unknown): Record<string, unknown> {
    return { hookData, appHookData: this.#core.appHookData, invocationContext };
  }
}

function toResult(response: CoreResponse): InvocationResult {
  const outputs = new Map<string, TypedData>();
  for (const { name, data } of response.outputData ?? []) {
    if (data !== null && data !== undefined) outputs.set(name, data as TypedData);
  }
  const value = response.returnValue;
  return value === null || value === undefined ? { outputs } : { returnValue: value as TypedData, outputs };
}
